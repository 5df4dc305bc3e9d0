import { IsIn, IsNotEmpty, IsOptional, IsString, IsUUID, Length, Matches, MaxLength } from 'class-validator';
import type { Role } from '../common/actor';
import { PageQuery } from '../common/page';
import { ACCOUNT_STATUSES, type AccountStatus } from './account.entity';

/** Letters, digits and `. _ @ -`; compared without case. */
const USERNAME = /^[\p{L}\p{N}._@-]+$/u;

export class CredentialsDto {
  /**
   * Chosen by the holder; unique in the whole system.
   * @example "dr.ada"
   */
  @IsString()
  @Length(3, 64)
  @Matches(USERNAME, { message: 'username may have letters, digits and . _ @ -' })
  username!: string;

  /**
   * At least 15 characters, any script; no rule about kinds of characters. Common passwords and those made of user name, names or hospital are refused.
   * @example "violet kettle walks north"
   */
  @IsString()
  @IsNotEmpty()
  @MaxLength(1024)
  password!: string;
}

/** Login and hospital of somebody who registers. */
export class RegistrationDto extends CredentialsDto {
  /** The hospital that approves. */
  @IsUUID()
  hospitalId!: string;
}

export class SetupDto extends CredentialsDto {
  /** The code that the server printed at its first start. */
  @IsString()
  @Length(8, 64)
  code!: string;

  /** @example "Founder" */
  @IsString()
  @Length(1, 200)
  name!: string;
}

export class ActivateDto extends CredentialsDto {
  /** The one-time code that the hospital or the founder handed over. */
  @IsString()
  @Length(8, 64)
  code!: string;
}

export class LoginDto {
  /** @example "dr.ada" */
  @IsString()
  @Length(1, 64)
  username!: string;

  /** @example "violet kettle walks north" */
  @IsString()
  @Length(1, 1024)
  password!: string;
}

export class RefreshDto {
  /**
   * The refresh token of the last answer; it works once.
   * @example "rt_Vd1zJ0m0nQ3Jt0p9yF5l2c8s7b6a4x1w0v9u8t7s6r5"
   */
  @IsString()
  @Matches(/^rt_[A-Za-z0-9_-]{43}$/)
  refreshToken!: string;
}

export class PasswordDto {
  @IsString()
  @Length(1, 1024)
  currentPassword!: string;

  /** @example "seven quiet lamps in snow" */
  @IsString()
  @Length(1, 1024)
  newPassword!: string;
}

export class IssueAccountDto {
  @IsIn(['ADMIN', 'AUDITOR'])
  role!: 'ADMIN' | 'AUDITOR';

  /** @example "Data protection office" */
  @IsString()
  @Length(1, 200)
  name!: string;
}

export class AccountQuery extends PageQuery {
  @IsOptional()
  @IsIn(ACCOUNT_STATUSES)
  status?: AccountStatus;
}

export class EndSessionsQuery {
  /** `current` leaves the session that asks. */
  @IsOptional()
  @IsIn(['current'])
  keep?: 'current';
}

export class TokenResponse {
  /** ES256 JSON Web Token, sent as `Authorization: Bearer …`. */
  accessToken!: string;
  /** @example "Bearer" */
  tokenType!: string;
  /** Seconds until the access token expires. */
  expiresIn!: number;
  /** Opaque; gives new tokens once. */
  refreshToken!: string;
}

export class LoginResponse extends TokenResponse {
  /**
   * Send it as `X-Device-Token` with the next sign-in from this device, which then works also while strangers' guesses have locked the account. Good
   * for 90 days after the last sign-in; a secret like a password.
   */
  deviceToken!: string;
}

export class PendingResponse {
  /** Always the same answer, also when the user name is taken: it must not tell who is registered. */
  status!: 'PENDING';
}

export class IssuedCodeResponse {
  accountId!: string;
  /**
   * Hand it over on paper; it is shown only here. Null when somebody else gives it: the hospital, at `POST /accounts/:id/code`, for an account that a
   * doctor asked for; for a further founder, the founder who approves.
   */
  code!: string | null;
  expiresAt!: string | null;
}

export class AccountResponse {
  id!: string;
  role!: Role;
  status!: AccountStatus;
  /** Of a locked account: `guesses`, `hospital` or `founder`. What the founder locked, only a founder unlocks. */
  lockedBy!: string | null;
  name!: string;
  hospitalId!: string | null;
  createdAt!: string;
}

export class ApprovedResponse extends AccountResponse {
  /** The one-time code of a further founder, after the approval; else null. */
  activation!: IssuedCodeResponse | null;
}

export class AccountPage {
  items!: AccountResponse[];
  nextCursor!: string | null;
}

export class SessionResponse {
  id!: string;
  createdAt!: string;
  lastUsedAt!: string;
  expiresAt!: string;
  /** How it was proved (RFC 8176): `pwd`, and `otp` or `hwk` for a second factor. */
  amr!: string[];
  /** True for the session that asks. */
  current!: boolean;
}

export class DeviceResponse {
  id!: string;
  createdAt!: string;
  lastUsedAt!: string;
  expiresAt!: string;
}

export class JwksResponse {
  /** JSON Web Keys (RFC 7517), public parts only. */
  keys!: Record<string, unknown>[];
}

export class SetupResponse {
  /** The founder's account. */
  id!: string;
}
