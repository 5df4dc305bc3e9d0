import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsObject, IsString, Length } from 'class-validator';
import { REVOCATION_REASONS, type RevocationReason } from './core/key-event';

export class RegisterKeyDto {
  /** Public Ed25519 key as a JWK (RFC 8037); a private one is refused. */
  @IsObject()
  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    example: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  })
  jwk!: Record<string, unknown>;

  /**
   * Compact JWS of type `bjwt-key+jwt` by this key over `{"iss":origin,"sub":account id,"iat":seconds}`: proves that the sender holds it.
   * @example "eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiIsInR5cCI6ImJqd3Qta2V5K2p3dCJ9.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl"
   */
  @IsString()
  @Length(1, 4096)
  proof!: string;
}

export class RevokeKeyDto {
  /** @example "lost" */
  @IsIn(REVOCATION_REASONS)
  reason!: RevocationReason;
}

/** What a hospital's log says about a key at one place. */
export class KeyEventResponse {
  /** `register` or `revoke`. */
  event!: string;
  /** By the server's clock. What counts is the place in the log. */
  at!: string;
  /** retired, lost, compromised or departed; null of a registration. */
  reason!: string | null;
  /** The text whose SHA-256 is in the log. */
  body!: string;
  /** Index of its leaf in the hospital's log; null while it waits for it. */
  leafIndex!: number | null;
}

/** An author's key as one hospital's log has it. */
export class AuthorKeyResponse {
  /** RFC 7638 thumbprint. */
  kid!: string;
  /** Ed25519 public key (JWK member x, RFC 8037). */
  x!: string;
  /** `server`: this server signs with it; `client`: only its holder can. */
  custody!: string;
  accountId!: string;
  /** In whose log it is registered. */
  hospitalId!: string;
  registeredAt!: string;
  revokedAt!: string | null;
  events!: KeyEventResponse[];
}

export class AuthorKeyPage {
  items!: AuthorKeyResponse[];
  nextCursor!: string | null;
}
