import { FormatError, isUuid } from './bytes';
import { Say } from './block';
import { FindingCode, MAX_FINDINGS, Verdict } from './verdict';

/** The formats that are verified without a server. */
export type ProofFormat = 'receipt' | 'bundle' | 'chain';

/**
 * What a verification looks at, in this order:
 * - `form`: the file is in its format; `header`: so is the header of the block (of a chain: see `chain`)
 * - `content`: the payload is the one that the block commits to
 * - `attestation`: the author signed this very block; `chain`: the blocks follow one another without a gap, each fits its content and its author
 * - `checkpoint`: the log signed it, and every known witness that signed it did so truly
 * - `inclusion`: every block is a leaf of the tree of that checkpoint; a link of the chain never stands in for that
 * - `head`: the chain contains the head that the verifier knows from elsewhere
 * - `trust`: the checkpoint continues the one that the verifier saw last
 */
export const CHECKS = ['form', 'header', 'content', 'attestation', 'chain', 'checkpoint', 'inclusion', 'head', 'trust'] as const;
export type CheckName = (typeof CHECKS)[number];

/** `skipped`: an earlier check failed, so there was nothing to hold this one against. */
export interface ProofCheck {
  readonly check: CheckName;
  readonly result: 'passed' | 'failed' | 'skipped';
}

/** As `Finding`, but in a file that cannot be read there is no height. */
export interface ProofFinding {
  readonly code: FindingCode;
  readonly field: string;
  readonly height: number | null;
  readonly recordId?: string;
}

/** A checkpoint under which something was proven. */
export interface ProvenCheckpoint {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Buffer;
  /** The signed note, verbatim. */
  readonly note: string;
  /** Names of the policy, with the time by their own clocks, seconds since the epoch. */
  readonly cosigners: readonly { readonly name: string; readonly timestamp: bigint }[];
}

/** What the file is about. Only what the verdict is good for: of a file that is not valid nothing here is proven. */
export interface ProofFacts {
  origin?: string;
  /** Base64url. */
  chainId?: string;
  height?: number;
  recordId?: string;
  version?: number;
  /** Number of the block's kind. */
  kind?: number;
  /** Lower-case hex. */
  blockHash?: string;
  /** Milliseconds since the epoch, by the server's clock. */
  sealedAt?: number;
  /** The author's key as the file names it; `custody` is the file's word and proven by nothing. */
  author?: { readonly kid: string; readonly custody: string };
  leafIndex?: bigint;
  /** Blocks of an exported chain. */
  blocks?: number;
  /** Blocks of an exported chain whose content was opened. */
  opened?: number;
  /** Blocks whose content was erased lawfully. */
  erased?: number;
}

/** The result of verifying one file. */
export interface ProofReport {
  readonly format: ProofFormat;
  readonly verdict: Verdict;
  readonly checks: readonly ProofCheck[];
  readonly facts: Readonly<ProofFacts>;
  readonly findings: readonly ProofFinding[];
  /** Further findings that were counted but not kept. */
  readonly omitted: number;
  /** Present when the log's signature is good. */
  readonly checkpoint?: ProvenCheckpoint;
  /** The quorum of the policy is met by at least one witness. An `ERASED` file says it here only. */
  readonly witnessed: boolean;
  /** The verifier may keep this checkpoint as its newest: it is the first of its log, or consistent with the one kept and larger. */
  readonly keep: boolean;
}

/** Collects what the checks of one file find. */
export class ReportMaker {
  readonly facts: ProofFacts = {};
  checkpoint?: ProvenCheckpoint;
  witnessed = false;
  keep = false;
  private readonly results = new Map<CheckName, ProofCheck['result']>();
  private readonly findings: ProofFinding[] = [];
  private made = 0;
  private tampered = false;

  constructor(
    private readonly format: ProofFormat,
    private readonly planned: readonly CheckName[],
  ) {}

  /** Runs one check; a FormatError in it is a finding `MALFORMED`. @returns what `work` gives; undefined when the check failed */
  check<T>(name: CheckName, work: (say: Say) => T): T | undefined {
    const before = this.made;
    let value: T | undefined;
    try {
      value = work((code, field) => this.find({ code, field }));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.find({ code: 'MALFORMED', field: error.field });
    }
    const passed = this.made === before;
    this.results.set(name, passed ? 'passed' : 'failed');
    return passed ? value : undefined;
  }

  /** Notes a contradiction, of the block that the facts name unless `place` says of which. */
  find(finding: Pick<ProofFinding, 'code' | 'field'> & Partial<ProofFinding>): void {
    this.tampered = true;
    this.note(finding);
  }

  /** Notes that something is missing without which nothing can be said. */
  miss(finding: Pick<ProofFinding, 'code' | 'field'> & Partial<ProofFinding>): void {
    this.note(finding);
  }

  report(): ProofReport {
    return {
      format: this.format,
      verdict: this.verdict(),
      checks: this.planned.map((check) => ({ check, result: this.results.get(check) ?? 'skipped' })),
      facts: this.facts,
      findings: this.findings,
      omitted: this.made - this.findings.length,
      ...(this.checkpoint === undefined ? {} : { checkpoint: this.checkpoint }),
      witnessed: this.witnessed,
      keep: this.keep,
    };
  }

  private note(finding: Pick<ProofFinding, 'code' | 'field'> & Partial<ProofFinding>): void {
    this.made += 1;
    if (this.findings.length >= MAX_FINDINGS) return;
    const { height = null, recordId } = this.facts;
    this.findings.push({ height, ...(isUuid(recordId) ? { recordId } : {}), ...finding });
  }

  private verdict(): Verdict {
    if (this.tampered) return 'TAMPERED';
    // What was not looked at is not valid, whatever the reason.
    if (this.made > 0 || this.planned.some((check) => this.results.get(check) !== 'passed')) return 'INCOMPLETE';
    if ((this.facts.erased ?? 0) > 0) return 'ERASED';
    return this.witnessed ? 'VALID' : 'VALID_UNWITNESSED';
  }
}
