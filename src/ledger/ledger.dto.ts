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

/** What a walk over one patient's chain shows. */
export class ChainVerdictBase {
  patientId!: string;
  /** VALID, VALID_UNWITNESSED, ERASED, INCOMPLETE or TAMPERED. */
  verdict!: string;
  chainId!: string;
  blocks!: number;
  /** Height of the last block; null when there is none. */
  height!: number | null;
  /** Block hash of the last block, hex. */
  headHash!: string | null;
  findings!: FindingResponse[];
}

/** The signed checkpoint of a log that something was proven under. */
export class ProvenUnderResponse {
  /** First line of the checkpoint. */
  origin!: string;
  /** Leaves of its tree. */
  size!: number;
  /** It has the cosignatures that the server's policy asks for. Always false on a server without witnesses. */
  witnessed!: boolean;
}

/** Verdict over one patient's chain. */
export class ChainVerdictResponse extends ChainVerdictBase {
  /** The checkpoint under which the whole chain is proven, to its newest block; null when that is not logged yet. */
  checkpoint!: ProvenUnderResponse | null;
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

/** How far the trail of accesses is sealed. */
export class TrailStatusResponse {
  /** Number of the last batch. */
  batch!: number;
  /** When it was made, ISO 8601 UTC. */
  at!: string;
  /** Its rows. */
  rows!: number;
  /** Rows newer than it: not sealed yet. */
  open!: number;
}

/** How far a witness has followed a log. */
export class WitnessStatusResponse {
  /** Name of its key. */
  name!: string;
  /** Largest size that it has cosigned; 0 before the first. */
  cosignedSize!: number;
}

export class LogStatusResponse {
  /** First line of its checkpoints. */
  origin!: string;
  /** Leaves. */
  size!: number;
  /** Leaves under the newest checkpoint. */
  signedSize!: number;
  /** Entries that wait for their place. */
  pending!: number;
  /** ROLLBACK, CHECKPOINT_INVALID, CONSISTENCY_INVALID or LOG_ALTERED when the log is halted, else null. */
  halted!: string | null;
  witnesses!: WitnessStatusResponse[];
}

/** The scrub: everything that is sealed is read again and verified, slowly, from the beginning to the end and then anew. */
export class ScrubResponse {
  /** Number of the running cycle, from 1; 0 when nothing was read yet, or the scrub is off. */
  cycle!: number;
  /** Of this cycle. */
  chainsDone!: number;
  chains!: number;
  /** Blocks that were verified since the start of the server. */
  blocks!: number;
  /** End of the last whole cycle; null before. */
  lastCompletedAt!: string | null;
  /** What does not fit, as of this cycle and the last whole one. 0 is good; the log of the server names the places. */
  findings!: number;
}

export class LedgerStatusResponse {
  chains!: number;
  blocks!: number;
  authorKeys!: number;
  /** Null before the first batch. */
  trail!: TrailStatusResponse | null;
  logs!: LogStatusResponse[];
  scrub!: ScrubResponse;
}

/** Proof of one row of the trail, to keep (docs/ledger-format.md). It is complete once `receipt` is there. */
export class TrailProofResponse {
  /** `bjwt.trail-proof/1`. */
  schema!: string;
  /** The row's bytes, as text: what is hashed. */
  row!: string;
  /** Body of its batch, as text; null while the row is in none. */
  batch!: string | null;
  /** Place of the row in its batch, from 0. */
  index!: number | null;
  /** RFC 6962 audit path within the batch, base64. */
  path!: string[];
  /** C2SP tlog-proof of the batch; null while it is under no checkpoint. */
  receipt!: string | null;
}
