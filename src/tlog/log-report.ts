import { type FindingCode, MAX_FINDINGS, type Verdict } from '../ledger/core/verdict';

/** One thing in a stored log that does not fit. */
export interface LogFinding {
  readonly code: FindingCode;
  /** Index of the leaf at fault; of a checkpoint its size; else the size of the log. */
  readonly index: number;
  /** What is at fault: `leaf`, `leaf.kind`, `tile 0/12`, `checkpoint.root`, `log.edge` … */
  readonly field: string;
}

/** What the verification of one stored log found. */
export interface LogReport {
  readonly origin: string;
  /** `VALID`, `VALID_UNWITNESSED` (witnesses are known, and the newest checkpoint has not enough of them) or `TAMPERED`. */
  readonly verdict: Verdict;
  /** Leaves, as of the beginning. */
  readonly size: number;
  /** Size of the newest checkpoint; 0 when there is none. */
  readonly signedSize: number;
  /** Size of the newest checkpoint that satisfies the policy; 0 when there is none. */
  readonly witnessedSize: number;
  /** False when the key of the log is not known: notes were read, and nobody could tell who signed them. */
  readonly signaturesChecked: boolean;
  readonly findings: readonly LogFinding[];
  /** Further findings that were counted but not kept. */
  readonly omitted: number;
}

/** Findings in the order in which they were made; the first {@link MAX_FINDINGS} are kept. */
export class LogFindings {
  readonly kept: LogFinding[] = [];
  omitted = 0;

  say(code: FindingCode, index: number, field: string): void {
    if (this.kept.length < MAX_FINDINGS) this.kept.push({ code, index, field });
    else this.omitted += 1;
  }

  add(findings: readonly LogFinding[], omitted: number): void {
    for (const { code, index, field } of findings) this.say(code, index, field);
    this.omitted += omitted;
  }
}
