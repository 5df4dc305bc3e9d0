import { IsIn, IsOptional, IsUUID } from 'class-validator';
import { PageQuery } from '../common/page';
import { ERASURE_REASONS, type ErasureReason } from '../ledger/core/erasure';
import { ERASURE_STATES, type ErasureState } from './erasure.entity';

export class ErasureDto {
  /** The sealed record to erase; left out: the whole patient. */
  @IsOptional()
  @IsUUID()
  recordId?: string;

  /**
   * GDPR Article 17(1), points a to f. A code and no text, for what is to be forgotten must not come back in the reason.
   * @example "consent-withdrawn"
   */
  @IsIn(ERASURE_REASONS)
  reason!: ErasureReason;
}

export class ErasureQuery extends PageQuery {
  @IsOptional()
  @IsIn(ERASURE_STATES)
  state?: ErasureState;
}

/** What somebody asked to erase, and what became of it. */
export class ErasureResponse {
  id!: string;
  patientId!: string;
  hospitalId!: string;
  /** Null: the whole patient. */
  recordId!: string | null;
  reason!: string;
  /** requested, executed, refused, or superseded by an erasure of the whole patient. */
  state!: string;
  /** Account of who asked. */
  requestedBy!: string;
  requestedAt!: string;
  /** Accounts that approved, in their order; two different ones execute it. */
  approvedBy!: string[];
  refusedBy!: string | null;
  /** When it was executed, refused or superseded. */
  decidedAt!: string | null;
  /** When the bytes had left the files of the database too. Backups are not known to this server. */
  purgedAt!: string | null;
}

export class ErasurePage {
  items!: ErasureResponse[];
  nextCursor!: string | null;
}

/** An Ed25519 public key (RFC 8037). */
export class CertificateKeyResponse {
  kty!: string;
  crv!: string;
  x!: string;
}

/** Proves an erasure without any key of this server: docs/ledger-format.md section 8. */
export class CertificateResponse {
  schema!: string;
  /** Name of the hospital's ledger. */
  origin!: string;
  chainId!: string;
  /** Record id of the ERASE block: the id of the erasure. */
  recordId!: string;
  version!: number;
  /** The sealed statement, as exact text. */
  statement!: string;
  /** Base64url, as header. */
  opening!: string;
  header!: string;
  /** Compact JWS of who approved last. */
  attestation!: string;
  key!: CertificateKeyResponse;
}
