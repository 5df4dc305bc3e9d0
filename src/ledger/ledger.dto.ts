import { IsIn, IsOptional } from 'class-validator';
import { PageQuery } from '../common/page';

/** One thing that does not fit. */
export class FindingResponse {
  /** One of a closed list, for example CIPHERTEXT_MISMATCH. */
  code!: string;
  height!: number;
  /** Name of the field, for example `ciphertext` or `header.prevHash`. */
  field!: string;
  recordId!: string | null;
}

/** Verdict over one patient's chain. */
export class ChainVerdictResponse {
  patientId!: string;
  /** VALID, ERASED, INCOMPLETE or TAMPERED. */
  verdict!: string;
  chainId!: string;
  blocks!: number;
  /** Height of the last block; null when there is none. */
  height!: number | null;
  /** Block hash of the last block, hex. */
  headHash!: string | null;
  findings!: FindingResponse[];
}

export class BlockResponse {
  height!: number;
  kind!: string;
  recordId!: string;
  version!: number;
  blockHash!: string;
  prevHash!: string;
  sealedAt!: string;
  /** RFC 7638 thumbprint of the author's key; null for the block that opens the chain. */
  authorKeyId!: string | null;
}

export class ChainResponse {
  patientId!: string;
  chainId!: string;
  height!: number;
  items!: BlockResponse[];
  nextCursor!: string | null;
}

export class ChainQuery extends PageQuery {}

export class ExportQuery {
  /** `true`: with the keys that open every content. For the patient only. */
  @IsOptional()
  @IsIn(['true', 'false'])
  contents: 'true' | 'false' = 'false';
}

export class LedgerStatusResponse {
  chains!: number;
  blocks!: number;
  authorKeys!: number;
}
