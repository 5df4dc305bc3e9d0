import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { setTimeout as pause } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { Clock, isoTime } from '../common/clock';
import { LOGS, type Logs } from '../common/logger';
import { CONFIG, type Config } from '../config/config';
import { KeyRing } from '../crypto/key-ring.service';
import { RowTagger } from '../crypto/row-tag';
import { ROOT_KEYS, type RootKeys } from '../crypto/root-keys';
import { Database } from '../database/database';
import { verifyTaggedTables } from '../database/tagged-tables';
import { LeafMarks } from '../tlog/leaf-marks';
import { snapshotLogs, verifyStoredLog } from '../tlog/verify-log';
import { WitnessingService } from '../tlog/witnessing.service';
import { ChainEntity } from './ledger.entity';
import { VerificationService } from './verification.service';
import { type ChainVerdict, verifyLedger } from './verify-ledger';

/** How far the scrub has come. */
export interface ScrubProgress {
  /** From 1; 0 when nothing was read yet, or the scrub is off. */
  readonly cycle: number;
  readonly chainsDone: number;
  readonly chains: number;
  /** Verified since the start of the server. */
  readonly blocks: number;
  readonly lastCompletedAt: string | null;
  /** Of this cycle or the last whole one, whichever has more. */
  readonly findings: number;
}

/** A leaf or a tagged row is read and hashed in a small part of the time of a block with its signature and its content. */
const ROWS_PER_BLOCK = 16;
/** Blocks that are read at once: with their signatures some milliseconds, for which others wait. */
const PAGE = 16;
/** Before a cycle begins anew, and after an error. */
const REST_MS = 1_000;
const MAX_SAID = 10_000;

class Stopped extends Error {}

/**
 * Reads everything that is sealed again, all the time and slowly (LEDGER_SCRUB_BLOCKS a second): checks of new blocks never see that an old row was edited.
 * The tagged rows, chain after chain, then the logs, then from the beginning. What does not fit is logged once as an error and counted; nothing is repaired. The
 * place is not kept over a restart.
 */
@Injectable()
export class ScrubService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stop = new AbortController();
  private readonly said = new Set<string>();
  private running: Promise<void> = Promise.resolve();
  private cycle = 0;
  private chainsDone = 0;
  private chains = 0;
  private blocks = 0;
  private lastCompletedAt: number | null = null;
  private found = 0;
  private foundBefore = 0;
  /** Work that is not yet paid for by a pause, in blocks. */
  private debt = 0;
  private readonly tagger: RowTagger;

  constructor(
    private readonly database: Database,
    private readonly keyRing: KeyRing,
    private readonly verification: VerificationService,
    private readonly witnessing: WitnessingService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGS) private readonly logs: Logs,
    @Inject(ROOT_KEYS) keys: RootKeys,
  ) {
    this.tagger = new RowTagger(keys);
  }

  onApplicationBootstrap(): void {
    if (this.config.ledger.scrubBlocks > 0) this.running = this.run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stop.abort();
    await this.running;
  }

  progress(): ScrubProgress {
    const { cycle, chainsDone, chains, blocks } = this;
    const lastCompletedAt = this.lastCompletedAt === null ? null : isoTime(this.lastCompletedAt);
    return { cycle, chainsDone, chains, blocks, lastCompletedAt, findings: Math.max(this.found, this.foundBefore) };
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        if (await this.database.peers.leads()) await this.wholeCycle(this.database.reader);
      } catch (error) {
        if (!(error instanceof Stopped)) this.logs.app.error({ err: error }, 'scrub');
      }
      await this.rest(REST_MS);
    }
  }

  private async wholeCycle(manager: EntityManager): Promise<void> {
    Object.assign(this, { cycle: this.cycle + 1, chainsDone: 0, found: 0 });
    const pace = (blocks: number) => this.paced(blocks, blocks);
    const slowly = (rows: number) => this.paced(rows / ROWS_PER_BLOCK, 0);
    const tagged = await verifyTaggedTables(manager, this.tagger, slowly);
    for (const { table, id } of tagged.findings) this.say(id === null ? { table } : { table, id });
    // The logs as they are before the chains are read: each block below these sizes is then met in its chain.
    const logs = await snapshotLogs(manager);
    this.chains = await manager.getRepository(ChainEntity).count();
    const marks = LeafMarks.forSizes(logs.map(({ id, leaves }) => [id, leaves]));
    const checks = { leaves: { marks }, page: PAGE, pace };
    for await (const verdict of verifyLedger(manager, this.keyRing, this.verification.rowKeepers, undefined, checks)) {
      this.chainsDone += 1;
      this.chains = Math.max(this.chains, this.chainsDone);
      this.judge(verdict);
    }
    const trust = { policyFor: (origin: string) => this.witnessing.policyFor(origin) };
    for (const log of logs) {
      const report = await verifyStoredLog(manager, log, { trust, marks, pace: slowly });
      for (const { code, index, field } of report.findings) this.say({ origin: log.origin, code, index, field });
    }
    this.lastCompletedAt = this.clock.now();
    this.foundBefore = this.found;
  }

  private judge({ chainId, findings }: ChainVerdict): void {
    for (const { code, height, field } of findings) this.say({ chainId, code, height, field });
  }

  /** A chain and a place in it, or a table and a key. */
  private say(finding: Readonly<Record<string, string | number>>): void {
    this.found += 1;
    const key = JSON.stringify(finding);
    if (this.said.has(key)) return;
    if (this.said.size >= MAX_SAID) this.said.clear();
    this.said.add(key);
    this.logs.app.error(finding, 'the scrub found something that does not fit');
  }

  /** Waits until the work that was done is paid for. @throws Stopped at shutdown: what is under way is given up */
  private async paced(work: number, blocks: number): Promise<void> {
    this.blocks += blocks;
    this.debt += (work * 1000) / this.config.ledger.scrubBlocks;
    // Timers are exact to a millisecond or so: small debts are paid together.
    const ms = this.debt >= 5 ? Math.floor(this.debt) : 0;
    this.debt -= ms;
    await this.rest(ms);
    if (this.stop.signal.aborted) throw new Stopped();
  }

  private async rest(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.stop.signal, ref: false }).catch(() => undefined);
  }
}
