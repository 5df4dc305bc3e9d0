import { ApiProperty, IntersectionType } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsOptional, IsString, IsUUID, Length, Matches, MaxLength } from 'class-validator';
import { Transform } from 'class-transformer';
import { IssuedCodeResponse, RegistrationDto } from '../auth/auth.dto';
import { PageQuery } from '../common/page';

export const GENDERS = ['male', 'female', 'other', 'unknown'] as const;
/** FHIR administrative-gender. */
export type Gender = (typeof GENDERS)[number];

const DAY = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;

/** Administrative data of a patient. */
export class PatientProfileDto {
  /** @example "Ayşe Demir" */
  @IsString()
  @Length(1, 200)
  name!: string;

  /** @example "1984-02-29" */
  @Matches(DAY)
  birthDate!: string;

  @IsIn(GENDERS)
  gender!: Gender;

  /**
   * National identifier or another number that names one person.
   * @example "10000000146"
   */
  @IsOptional()
  @IsString()
  @Length(1, 64)
  nationalId?: string;

  /** @example "+90 412 111 11 11" */
  @IsOptional()
  @IsString()
  @Length(3, 60)
  phone?: string;

  /** @example "ayse@example.org" */
  @IsOptional()
  @IsString()
  @Length(3, 254)
  email?: string;

  /** @example "Gazi Cad. 12, Diyarbakır" */
  @IsOptional()
  @IsString()
  @MaxLength(500)
  address?: string;
}

export class RegisterPatientDto extends IntersectionType(PatientProfileDto, RegistrationDto) {}

export class EnrolPatientDto extends PatientProfileDto {
  /** Also issue an account and give its one-time code. */
  @IsOptional()
  @IsBoolean()
  issueAccount?: boolean;
}

/** What may change; left out means unchanged. */
export class UpdatePatientDto {
  /** @example "Ayşe Demir" */
  @IsOptional() @IsString() @Length(1, 200) name?: string;
  /** @example "1984-02-29" */
  @IsOptional() @Matches(DAY) birthDate?: string;
  @IsOptional() @IsIn(GENDERS) gender?: Gender;
  /** @example "+90 412 111 11 11" */
  @IsOptional() @IsString() @Length(3, 60) phone?: string;
  /** @example "ayse@example.org" */
  @IsOptional() @IsString() @Length(3, 254) email?: string;
  /** @example "Gazi Cad. 12, Diyarbakır" */
  @IsOptional() @IsString() @MaxLength(500) address?: string;
}

export class PatientQuery extends PageQuery {
  /**
   * National identifier, exactly; or whole words of the name, in any order, with or without accents, and a year of birth if wanted. A page may then have fewer
   * patients than `limit`, even none, and still a `nextCursor`.
   * @example "Ayse Demir 1984"
   */
  @IsOptional()
  @IsString()
  @Length(1, 64)
  q?: string;

  /** Charts of patients elsewhere who let the caller read. */
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsBoolean()
  shared?: boolean;
}

export class PatientResponse {
  id!: string;
  hospitalId!: string;
  /** `***` where the caller does not need to know. */
  name!: string;
  birthDate!: string;
  gender!: string;
  nationalId!: string | null;
  phone!: string | null;
  email!: string | null;
  address!: string | null;
  /** For `If-Match`. */
  version!: number;
  createdAt!: string;
}

export class EnrolledPatientResponse {
  patient!: PatientResponse;
  /** Present when an account was asked for. */
  @ApiProperty({ nullable: true, type: () => IssuedCodeResponse })
  activation!: IssuedCodeResponse | null;
}

export class PatientPage {
  items!: PatientResponse[];
  nextCursor!: string | null;
}

/** One row of what the patient may know: who, from where, when, what, why (EHDS Article 9). */
export class AccessLogItem {
  id!: string;
  at!: string;
  /** Name of the person or institution; null when nobody was signed in. */
  who!: string | null;
  role!: string | null;
  hospital!: string | null;
  action!: string;
  outcome!: string;
  /** HL7 v3 ActReason: TREAT, HOPERAT, PATRQT … */
  purpose!: string | null;
  recordId!: string | null;
  /** How many records were shown. */
  count!: number | null;
  /** The rules that permitted or refused it. */
  rules!: string[];
}

export class AccessLogPage {
  items!: AccessLogItem[];
  nextCursor!: string | null;
}

export class ConsentGrantDto {
  /** The hospital that may read; or `doctorId`. */
  @IsOptional()
  @IsUUID()
  hospitalId?: string;

  /** The doctor who may read; or `hospitalId`. */
  @IsOptional()
  @IsUUID()
  doctorId?: string;

  /**
   * Until when, ISO 8601 UTC; at most two years ahead.
   * @example "2027-01-31T00:00:00.000Z"
   */
  @Matches(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z$/)
  validUntil!: string;
}

export class ConsentRuleResponse {
  id!: string;
  hospitalId!: string | null;
  doctorId!: string | null;
  /** Who may read, by name. */
  name!: string;
  validFrom!: string;
  validUntil!: string;
  actions!: string[];
}

/** The active consent contract. */
export class ConsentResponse {
  /** 0 when the patient never gave consent: then only the own hospital reads. */
  version!: number;
  base!: string;
  rules!: ConsentRuleResponse[];
  /** The block that seals this version; null for version 0. */
  blockHash!: string | null;
}
