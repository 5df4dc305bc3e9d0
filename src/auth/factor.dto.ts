import { Type } from 'class-transformer';
import { IsNotEmptyObject, IsObject, IsOptional, IsString, Length, Matches, MaxLength, ValidateNested } from 'class-validator';
import type { FactorKind } from './second-factor.entity';

const BASE64URL = /^[A-Za-z0-9_-]+$/;

export class PasswordProofDto {
  /** @example "violet kettle walks north" */
  @IsString()
  @Length(1, 1024)
  password!: string;
}

export class TotpCodeDto {
  /**
   * The six digits that the app shows.
   * @example "287082"
   */
  @IsString()
  @Matches(/^\d{6}$/)
  code!: string;
}

/** What a PublicKeyCredential says in either ceremony, each as base64url. */
class CredentialDto {
  /** @example "pYdG8n0cXqv1mWm3kqU9rQ" */
  @IsString()
  @Matches(BASE64URL)
  @MaxLength(1400)
  id!: string;

  @IsString()
  @Matches(BASE64URL)
  @MaxLength(4096)
  clientDataJSON!: string;
}

/** Of the PublicKeyCredential that `navigator.credentials.create()` gave. */
export class AddKeyDto extends CredentialDto {
  @IsString()
  @Matches(BASE64URL)
  @MaxLength(16_384)
  attestationObject!: string;
}

/** Of the PublicKeyCredential that `navigator.credentials.get()` gave. */
export class AssertionDto extends CredentialDto {
  @IsString()
  @Matches(BASE64URL)
  @MaxLength(4096)
  authenticatorData!: string;

  @IsString()
  @Matches(BASE64URL)
  @MaxLength(2048)
  signature!: string;
}

/** Exactly one of `totp`, `recoveryCode` and `webauthn`. */
export class SecondFactorDto {
  /**
   * Of the answer that asked for the second factor.
   * @example "mfa_Vd1zJ0m0nQ3Jt0p9yF5l2c8s7b6a4x1w0v9u8t7s6r5"
   */
  @IsString()
  @Matches(/^mfa_[A-Za-z0-9_-]{43}$/)
  mfaToken!: string;

  /**
   * The six digits that the app shows.
   * @example "287082"
   */
  @IsOptional()
  @IsString()
  @Matches(/^\d{6}$/)
  totp?: string;

  @IsOptional()
  @IsString()
  @Length(26, 64)
  recoveryCode?: string;

  @IsOptional()
  @IsObject()
  @IsNotEmptyObject()
  @ValidateNested()
  @Type(() => AssertionDto)
  webauthn?: AssertionDto;
}

export class KeyReference {
  id!: string;
  /** @example "public-key" */
  type!: string;
}

/** PublicKeyCredentialRequestOptionsJSON (WebAuthn Level 3), for `navigator.credentials.get()`. */
export class KeyRequestOptions {
  challenge!: string;
  rpId!: string;
  /** Milliseconds. */
  timeout!: number;
  userVerification!: string;
  allowCredentials!: KeyReference[];
}

export class SecondFactorResponse {
  /** Send it with the second factor to `POST /auth/login/second-factor`; it works once, and nowhere else. */
  mfaToken!: string;
  /** Seconds until the sign-in has to begin again. */
  expiresIn!: number;
  /** What can be proved: `totp`, `webauthn`, `recovery`. */
  factors!: string[];
  /** Present when a passkey or security key can be used. */
  webauthn?: KeyRequestOptions;
}

export class FactorResponse {
  id!: string;
  kind!: FactorKind;
  createdAt!: string;
  lastUsedAt!: string | null;
}

export class FactorsResponse {
  /** Whether the role needs one here. */
  required!: boolean;
  factors!: FactorResponse[];
  /** How many recovery codes are left. */
  recoveryCodes!: number;
}

export class TotpSeedResponse {
  /** Base32, for typing; shown only here. */
  secret!: string;
  /** The same as otpauth URI, for a QR code. */
  uri!: string;
}

export class RecoveryCodesResponse {
  /** Each works once in place of the other factor; shown only here. */
  codes!: string[];
}

export class KeyOwner {
  /** User handle: the account's id, base64url. */
  id!: string;
  name!: string;
  displayName!: string;
}

export class KeySite {
  id!: string;
  name!: string;
}

export class KeyAlgorithm {
  type!: string;
  /** COSE algorithm. */
  alg!: number;
}

export class KeySelection {
  residentKey!: string;
  userVerification!: string;
}

/** PublicKeyCredentialCreationOptionsJSON (WebAuthn Level 3), for `navigator.credentials.create()`. */
export class KeyCreationOptions {
  challenge!: string;
  rp!: KeySite;
  user!: KeyOwner;
  pubKeyCredParams!: KeyAlgorithm[];
  /** Milliseconds. */
  timeout!: number;
  excludeCredentials!: KeyReference[];
  authenticatorSelection!: KeySelection;
  attestation!: string;
}
