import { type VerificationContext } from '../ledger/chain-verification';
import { type ChainName, type ChainVerdict, verificationContext, verifyChain } from '../ledger/verify-ledger';
import type { LeafMarks } from '../tlog/leaf-marks';
import { LogProvers } from '../tlog/log-provers';
import { type LogSnapshot, type SegmentReport, type TrustedCheckpoint, verifySegment } from '../tlog/verify-log';
import { type AuditSource, ROW_KEEPERS } from './audit-source';

/** How an audit checks; the same on every thread. */
export interface AuditMode {
  /** Leaves the signatures of authors out. */
  readonly hashesOnly: boolean;
  /** Proves each leaf under the newest checkpoint, for the logs themselves are not walked. */
  readonly proveLeaves: boolean;
}

/** A part of an audit that one thread does: some chains, or one segment of a log. */
export type AuditTask =
  | { readonly kind: 'chains'; readonly chains: readonly ChainName[] }
  | { readonly kind: 'segment'; readonly log: LogSnapshot; readonly number: number; readonly trusted: readonly TrustedCheckpoint[] };

/** What came out, in the kind of the task. */
export type AuditResult =
  { readonly kind: 'chains'; readonly verdicts: readonly ChainVerdict[] } | { readonly kind: 'segment'; readonly report: SegmentReport };

/** Does tasks on one connection. */
export class AuditHand {
  private constructor(
    private readonly opened: AuditSource,
    private readonly context: VerificationContext,
    private readonly marks: LeafMarks,
  ) {}

  /** @param marks shared by all threads: first every chain is walked, then the logs are */
  static async of(opened: AuditSource, mode: AuditMode, marks: LeafMarks): Promise<AuditHand> {
    const { source, keyRing, trust } = opened;
    const context = await verificationContext(source.manager, keyRing, ROW_KEEPERS);
    const provers = new LogProvers(source.manager, (origin) => trust.policyFor(origin));
    const leaves = { marks, ...(mode.proveLeaves && { proverOf: (logId: number) => provers.of(logId) }) };
    return new AuditHand(opened, { ...context, leaves, signatures: !mode.hashesOnly }, marks);
  }

  async run(task: AuditTask): Promise<AuditResult> {
    const { manager } = this.opened.source;
    if (task.kind === 'segment') {
      const { trust } = this.opened;
      const report = await verifySegment(manager, task.log, task.number, { trust, trusted: task.trusted, marks: this.marks });
      return { kind: 'segment', report };
    }
    const verdicts: ChainVerdict[] = [];
    for (const chain of task.chains) verdicts.push(await verifyChain(manager, chain, this.context));
    return { kind: 'chains', verdicts };
  }
}
