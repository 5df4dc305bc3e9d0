import { Transform } from 'class-transformer';
import { IsInt, IsOptional, Max, Min } from 'class-validator';

const toNumber = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;

/** Between which sizes of a log a consistency proof is asked for. */
export class ConsistencyQuery {
  /** The smaller size. */
  @Transform(toNumber)
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  from!: number;

  /** The larger size, of a published checkpoint; the newest when left out. */
  @IsOptional()
  @Transform(toNumber)
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  to?: number;
}

/** A log that ended when its hospital began the next. Receipts from it stay valid. */
export class FormerLogResponse {
  origin!: string;
  /** C2SP signed-note verifier key. */
  vkey!: string;
}

/** One hospital's transparency log. */
export class LogResponse {
  hospitalId!: string;
  /** First line of its checkpoints. */
  origin!: string;
  /** Public key of its checkpoints as a C2SP signed-note verifier key. */
  vkey!: string;
  /** Leaves. */
  size!: number;
  /** Leaves under the newest checkpoint; 0 before the first. */
  signedSize!: number;
  /** ROLLBACK, CHECKPOINT_INVALID, CONSISTENCY_INVALID or LOG_ALTERED when the log is halted, else null. */
  halted!: string | null;
  /** 1, or how many times the hospital began a log. */
  incarnation!: number;
  /** Why the log began after a former one; the SHA-256 of this text is its first entry. Null for a first log. */
  statement!: string | null;
  /** Former logs of the hospital, the newest first. */
  former!: FormerLogResponse[];
}

/** The logs of this server, and the key with which it cosigns the logs of others. */
export class LogsResponse {
  logs!: LogResponse[];
  /** C2SP signed-note verifier key of type 4 (cosignature/v1). */
  witnessVkey!: string;
}
