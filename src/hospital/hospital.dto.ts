import { IntersectionType } from '@nestjs/swagger';
import { IsOptional, IsString, IsUUID, Length, Matches } from 'class-validator';
import { IssuedCodeResponse, RegistrationDto } from '../auth/auth.dto';

export class CreateHospitalDto {
  /** @example "City Hospital" */
  @IsString()
  @Length(1, 200)
  name!: string;

  /** @example "Diyarbakır" */
  @IsString()
  @Length(1, 100)
  city!: string;

  /** @example "TR" */
  @IsString()
  @Length(2, 100)
  country!: string;
}

export class HospitalResponse {
  id!: string;
  name!: string;
  city!: string;
  country!: string;
  /** Name of the hospital's ledger. */
  ledgerOrigin!: string;
  createdAt!: string;
}

export class CreatedHospitalResponse extends HospitalResponse {
  /** One-time code with which the hospital chooses its login. */
  activation!: IssuedCodeResponse;
}

export class HospitalPage {
  items!: HospitalResponse[];
  nextCursor!: string | null;
}

/** What a hospital knows of a health worker. */
export class StaffProfileDto {
  /** @example "Dr. Ada Yılmaz" */
  @IsString()
  @Length(1, 200)
  name!: string;

  /** @example "Cardiology" */
  @IsString()
  @Length(1, 100)
  specialty!: string;

  /**
   * Number of the licence to practise.
   * @example "TR-114-2231"
   */
  @IsOptional()
  @IsString()
  @Length(1, 60)
  licence?: string;

  /** @example "+90 412 000 00 00" */
  @IsOptional()
  @IsString()
  @Length(3, 60)
  phone?: string;
}

export class RegisterDoctorDto extends IntersectionType(StaffProfileDto, RegistrationDto) {}

export class DepartureDto {
  /** Last working day, YYYY-MM-DD. The login ends now. */
  @Matches(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/)
  lastDay!: string;

  /** @example "Moved to another city" */
  @IsString()
  @Length(1, 500)
  reason!: string;

  /** A doctor of the same hospital who takes over the drafts. */
  @IsOptional()
  @IsUUID()
  handOverTo?: string;
}

export class StaffResponse {
  id!: string;
  hospitalId!: string;
  name!: string;
  specialty!: string;
  licence!: string | null;
  phone!: string | null;
  /** Status of the login. */
  status!: string;
  startedAt!: string | null;
  lastDay!: string | null;
  departureReason!: string | null;
  handOverTo!: string | null;
}

export class AddedStaffResponse {
  staff!: StaffResponse;
  /** One-time code with which the worker chooses a login. */
  activation!: IssuedCodeResponse;
}

export class StaffPage {
  items!: StaffResponse[];
  nextCursor!: string | null;
}
