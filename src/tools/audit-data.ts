import { availableParallelism } from 'node:os';
import type { DataSource, EntityManager } from 'typeorm';
import type { Config } from '../config/config';
import type { RowTagger } from '../crypto/row-tag';
import { type RowReport, verifyTaggedTables } from '../database/tagged-tables';
import type { ChainVerdictBase } from '../ledger/ledger.dto';
import { ChainEntity } from '../ledger/ledger.entity';
import { auditTrail, type TrailVerdict } from '../ledger/verify-trail';
import { chainsOf, type ChainName, type ChainVerdict, patientsWithSeals, verdictsWithoutChain } from '../ledger/verify-ledger';
import { LeafMarks } from '../tlog/leaf-marks';
import type { LogReport } from '../tlog/log-report';
import { LogVerification, type LogSnapshot, segmentsOf, snapshotLogs } from '../tlog/verify-log';
import { auditLog, judgeKept, type KeptCheckpoint, lostLog, readKept } from './audit-logs';
import { AuditPool, type AuditRunner, ownThread } from './audit-pool';
import { AuditError, type AuditSource, openAuditSource, ROW_KEEPERS } from './audit-source';
import { AuditHand } from './audit-tasks';

export { AuditError } from './audit-source';

export interface AuditOptions {
  /** Only the chain of this patient; each block is proven under the newest checkpoint, and the logs themselves are not walked. */
  readonly patientId?: string;
  /** Leaves contents closed: for auditors who do not hold the keys. */
  readonly withoutKeys?: boolean;
  /** Leaves contents closed and authors' signatures out: hashes, links and leaves only. */
  readonly hashesOnly?: boolean;
  /** How many threads; as many as the machine has when left out, and none of its own for a small ledger. */
  readonly threads?: number;
  /** The auditor's own policy file. */
  readonly policyFile?: string;
  /** Files with checkpoints that the auditor kept: the logs must still begin with their trees. */
  readonly trust?: readonly string[];
  readonly tellLog?: (report: LogReport) => void;
  /** Told how much there is to do, and then once for each chain and each segment of a log. */
  readonly progress?: { begin(total: number): void; advance(): void };
}

export interface AuditSummary {
  readonly chains: number;
  readonly blocks: number;
  /** Chains that are neither VALID nor ERASED. */
  readonly bad: number;
  /** The trail against its batches; null when only one patient was asked for. */
  readonly trail: TrailVerdict | null;
  /** The rows that no block speaks about, against their tags; null without keys, or when only one patient was asked for. */
  readonly rows: RowReport | null;
  readonly logs: number;
  readonly leaves: number;
  /** Logs that are TAMPERED. */
  readonly badLogs: number;
  readonly threads: number;
  readonly seconds: number;
}

/** Blocks from which on threads of their own are worth their start. */
const WORTH_THREADS = 5_000;
/** Blocks and chains that make a task for one thread. */
const TASK_BLOCKS = 2_000;
const TASK_CHAINS = 64;

/**
 * Verifies a whole data folder: every chain, every log, and the trail. The database is opened read-only, once for each thread; it may run beside the server.
 * @throws AuditError when there is no database, it is not one of ours, or the asked patient has no chain; CryptoError when keys are missing or wrong
 */
export async function auditData(
  config: Pick<Config, 'sqlitePath' | 'postgres' | 'keysDir' | 'pkcs11' | 'ledger'>,
  options: AuditOptions,
  tell: (verdict: ChainVerdict) => void,
): Promise<AuditSummary> {
  const start = performance.now();
  const withoutKeys = options.withoutKeys === true || options.hashesOnly === true;
  const { sqlitePath, postgres, keysDir, pkcs11, ledger } = config;
  const setup = { config: { sqlitePath, postgres, keysDir, pkcs11, ledger }, withoutKeys, policyFile: options.policyFile ?? null };
  const opened = await openAuditSource(setup);
  const { manager } = opened.source;
  try {
    // The logs as they are before the chains are listed: each block below these sizes is then met in a chain.
    const logs = options.patientId === undefined ? await snapshotLogs(manager) : [];
    const marks = LeafMarks.forSizes(logs.map(({ id, leaves }) => [id, leaves]));
    const mode = { hashesOnly: options.hashesOnly === true, proveLeaves: options.patientId !== undefined };
    const threads = await threadsFor(manager, options);
    const own = AuditHand.of(opened, mode, marks);
    const runner = threads > 1 ? new AuditPool(threads, { setup, mode, bits: marks.bits }, own) : ownThread(own);
    try {
      const audit = new Audit(opened, runner, options, tell);
      await audit.begin(logs);
      await audit.chains();
      await audit.logs(logs, marks);
      const trail = options.patientId === undefined ? await auditTrail(manager) : null;
      const rows = options.patientId === undefined && opened.tagger ? await auditRows(opened.source, opened.tagger) : null;
      return { ...audit.result(), trail, rows, threads: Math.max(1, threads), seconds: (performance.now() - start) / 1000 };
    } finally {
      await runner.close();
    }
  } finally {
    await opened.source.destroy();
  }
}

/** 0: the caller's own thread does it. */
async function threadsFor(manager: EntityManager, { threads, patientId }: AuditOptions): Promise<number> {
  if (threads !== undefined) return threads;
  if (patientId !== undefined) return 0;
  const heights = (await manager.getRepository(ChainEntity).sum('height', {})) ?? 0;
  return heights < WORTH_THREADS ? 0 : availableParallelism();
}

/** In one read transaction, so that the sums and the rows are of one moment also beside a running server. */
function auditRows(source: DataSource, tagger: RowTagger): Promise<RowReport> {
  const work = (tx: EntityManager): Promise<RowReport> => verifyTaggedTables(tx, tagger);
  // On SQLite every transaction is of one moment; PostgreSQL's usual ones see what others commit meanwhile.
  return source.options.type === 'postgres' ? source.transaction('REPEATABLE READ', work) : source.transaction(work);
}

class Audit {
  private readonly kept: readonly KeptCheckpoint[];
  private readonly sums = { chains: 0, blocks: 0, bad: 0, logs: 0, leaves: 0, badLogs: 0 };

  constructor(
    private readonly opened: AuditSource,
    private readonly runner: AuditRunner,
    private readonly options: AuditOptions,
    private readonly tell: (verdict: ChainVerdict) => void,
  ) {
    this.kept = (options.trust ?? []).map((file) => readKept(file, opened.trust));
  }

  async begin(logs: readonly LogSnapshot[]): Promise<void> {
    const { patientId, progress } = this.options;
    if (!progress) return;
    const chains = await this.manager.getRepository(ChainEntity).countBy(patientId === undefined ? {} : { patientId });
    progress.begin(chains + logs.reduce((sum, log) => sum + segmentsOf(log), 0));
  }

  async chains(): Promise<void> {
    const { patientId } = this.options;
    const sealedFor = await patientsWithSeals(this.manager, ROW_KEEPERS);
    const running = new Set<Promise<void>>();
    for await (const chains of batches(chainsOf(this.manager, patientId))) {
      for (const chain of chains) sealedFor.delete(chain.patientId);
      const work: Promise<void> = this.walk(chains).finally(() => running.delete(work));
      running.add(work);
      if (running.size >= 2 * this.runner.width) await Promise.race(running);
    }
    await Promise.all(running);
    for await (const verdict of verdictsWithoutChain(this.manager, sealedFor, patientId)) this.take(verdict);
    if (patientId !== undefined && this.sums.chains === 0) throw new AuditError(`No chain here is of patient ${patientId}`);
  }

  async logs(logs: readonly LogSnapshot[], marks: LeafMarks): Promise<void> {
    const { trust } = this.opened;
    for (const log of logs) {
      const own = this.kept.filter(({ origin }) => origin === log.origin);
      const verification = new LogVerification(this.manager, log, { trust, marks, trusted: own });
      const report = await auditLog(this.runner, verification, log, own, () => this.options.progress?.advance());
      this.takeLog(judgeKept(report, own));
    }
    const lost = (one: KeptCheckpoint) => !logs.some(({ origin }) => origin === one.origin);
    if (this.options.patientId === undefined) for (const one of this.kept.filter(lost)) this.takeLog(lostLog(one));
  }

  result(): Omit<AuditSummary, 'trail' | 'rows' | 'threads' | 'seconds'> {
    return this.sums;
  }

  private get manager(): EntityManager {
    return this.opened.source.manager;
  }

  private async walk(chains: readonly ChainName[]): Promise<void> {
    const result = await this.runner.run({ kind: 'chains', chains });
    if (result.kind !== 'chains') return;
    for (const verdict of result.verdicts) {
      this.take(verdict);
      this.options.progress?.advance();
    }
  }

  private take(verdict: ChainVerdict): void {
    this.sums.chains += 1;
    this.sums.blocks += verdict.blocks;
    if (!isIntact(verdict)) this.sums.bad += 1;
    this.tell(verdict);
  }

  private takeLog(report: LogReport): void {
    this.sums.logs += 1;
    this.sums.leaves += report.size;
    if (report.verdict === 'TAMPERED') this.sums.badLogs += 1;
    this.options.tellLog?.(report);
  }
}

async function* batches(chains: AsyncIterable<ChainEntity>): AsyncGenerator<ChainName[]> {
  let [batch, blocks]: [ChainName[], number] = [[], 0];
  for await (const { chainId, patientId, hospitalId, height } of chains) {
    batch.push({ chainId, patientId, hospitalId });
    blocks += height + 1;
    if (blocks < TASK_BLOCKS && batch.length < TASK_CHAINS) continue;
    yield batch;
    [batch, blocks] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}

/** Nothing contradicts and nothing is missing that should be there. */
export function isIntact({ verdict }: Pick<ChainVerdict, 'verdict'>): boolean {
  return verdict === 'VALID' || verdict === 'ERASED';
}

/** One line for the chain, one for each finding. */
export function linesOf({ verdict, patientId, blocks, height, headHash, findings }: ChainVerdictBase): string[] {
  const head = height === null ? 'no head' : `head ${height} ${headHash ?? 'unknown'}`;
  const place = findings.map(
    (finding) =>
      `${verdict} patient ${patientId} height ${finding.height} field ${finding.field} ${finding.code}` +
      (finding.recordId === null ? '' : ` record ${finding.recordId}`),
  );
  return [`${verdict} patient ${patientId} blocks ${blocks} ${head}`, ...place.map((line) => `  ${line}`)];
}

/** The same for the trail. */
export function trailLinesOf({ verdict, batches, rows, open, findings, omitted }: TrailVerdict): string[] {
  const place = findings.map(
    ({ code, height, field, recordId }) =>
      `  ${verdict} batch ${height} field ${field} ${code}${recordId === undefined ? '' : ` id ${recordId}`}`,
  );
  const more = omitted > 0 ? [`  ${omitted} further findings`] : [];
  return [`${verdict} trail batches ${batches} rows ${rows} not yet sealed ${open}`, ...place, ...more];
}

/** The same for the tagged rows. */
export function rowLinesOf({ rows, findings }: RowReport): string[] {
  const place = findings.map(({ table, id }) =>
    id === null ? `  TAMPERED table ${table}: rows are gone or were put back as they once were` : `  TAMPERED table ${table} row ${id}`,
  );
  return [`${findings.length === 0 ? 'VALID' : 'TAMPERED'} tagged rows ${rows}`, ...place];
}

/** One line for the log, one for each finding. */
export function linesOfLog(report: LogReport): string[] {
  const { verdict, origin, size, signedSize, witnessedSize, signaturesChecked, findings, omitted } = report;
  const place = findings.map(({ code, index, field }) => `  ${verdict} log ${origin} at ${index} ${field} ${code}`);
  const signed = `signed ${signedSize}${signaturesChecked ? '' : ' (key unknown, signatures not checked)'} witnessed ${witnessedSize}`;
  return [`${verdict} log ${origin} leaves ${size} ${signed}`, ...place, ...(omitted > 0 ? [`  and ${omitted} more`] : [])];
}
