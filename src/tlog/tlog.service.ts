import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { ApiError, invalid } from '../common/errors';
import { Together } from '../common/together';
import { CONFIG, type Config } from '../config/config';
import { needAlone } from '../database/beside';
import { Database } from '../database/database';
import { HospitalsService } from '../hospital/hospitals.service';
import { EntryKind, type EntryKindName } from '../ledger/core/entry';
import { LogProofs, type ProvenEntry } from './log-proofs.service';
import { LogPublisher } from './log-publisher.service';
import { beginLog, currentLog, logOf, queueEntry } from './log-store';
import { WitnessingService } from './witnessing.service';

/** How far something has come: it is stored, it is under a published checkpoint, that checkpoint satisfies the server's policy. */
export type Proven = 'sealed' | 'logged' | 'witnessed';

const MAX_BACKLOG = 4_096;

/** What other modules do with the logs: they queue entries in their own transactions, and wait until these are proven. */
@Injectable()
export class TlogService implements BeforeApplicationShutdown {
  private readonly ids = new Map<string, number>();
  private readonly waiters = new Set<() => void>();
  /** By hospital: a checkpoint wakes all who wait for it. */
  private readonly asked = new Map<string, Together<Buffer, ProvenEntry | null>>();
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly hospitals: HospitalsService,
    private readonly publisher: LogPublisher,
    private readonly witnessing: WitnessingService,
    private readonly proofs: LogProofs,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    publisher.onPublished(() => this.wakeAll());
  }

  beforeApplicationShutdown(): void {
    this.stopped = true;
    this.wakeAll();
  }

  /**
   * Queues an entry of the hospital's log in the caller's transaction.
   * @throws ApiError `log_halted` when the log takes nothing, `unavailable` when too much waits already
   */
  async queue(tx: EntityManager, hospitalId: string, kind: EntryKindName, hash: Buffer): Promise<void> {
    const logId = await this.open(tx, hospitalId);
    const halt = this.publisher.haltOf(logId);
    if (halt) throw new ApiError('log_halted', `The ledger of this hospital is halted (${halt}); its operator must act`);
    if (this.publisher.backlogOf(logId) > MAX_BACKLOG)
      throw new ApiError('unavailable', 'The log is behind; try again', { headers: { 'retry-after': '1' } });
    await queueEntry(tx, logId, { kind: EntryKind[kind], hash });
    this.database.afterCommit(() => {
      this.ids.set(hospitalId, logId);
      this.publisher.queued(logId);
    });
  }

  /** @throws ApiError `invalid_request` when nothing could ever be proven that far */
  assertOffered(wait: Proven): void {
    if (wait === 'witnessed' && this.witnessing.witnesses.length === 0) throw invalid('wait', 'no witnesses are configured');
  }

  /** Waits until an entry is proven as far as asked, or time is up: then it answers with what there is; null when it is not logged yet. */
  async settle(hospitalId: string, hash: Buffer, wait: Proven): Promise<ProvenEntry | null> {
    if (wait === 'sealed') return null;
    const end = performance.now() + this.config.ledger.waitSeconds * 1000;
    for (;;) {
      const { promise, cancel } = this.nextChange(end - performance.now());
      const found = await this.proofsAt(hospitalId).ask(hash);
      if (found && (wait === 'logged' || found.state === 'witnessed')) return (cancel(), found);
      if (this.stopped || performance.now() >= end) return (cancel(), found);
      await promise;
    }
  }

  private proofsAt(hospitalId: string): Together<Buffer, ProvenEntry | null> {
    const known =
      this.asked.get(hospitalId) ?? new Together((hashes: readonly Buffer[]) => this.proofs.each(this.database.reader, hospitalId, hashes));
    this.asked.set(hospitalId, known);
    return known;
  }

  /** The id of the hospital's log; begins it when there is none. */
  private async open(tx: EntityManager, hospitalId: string): Promise<number> {
    const known = this.ids.get(hospitalId);
    if (known !== undefined) return known;
    const log = await currentLog(tx, hospitalId);
    // Somebody may have put a row of a log there that is to take what is sealed.
    if (log) return (await logOf(tx, log.id)).id;
    needAlone(tx);
    const origin = await this.hospitals.ledgerOrigin(hospitalId);
    return (await beginLog(tx, { hospitalId, incarnation: 1, origin })).id;
  }

  private nextChange(ms: number): { promise: Promise<void>; cancel: () => void } {
    let cancel: () => void = () => undefined;
    const promise = new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiters.delete(done);
        resolve();
      };
      // Also without news: another process may have published.
      const timer = setTimeout(done, Math.max(0, Math.min(ms, 1_000)));
      this.waiters.add(done);
      cancel = done;
    });
    return { promise, cancel };
  }

  private wakeAll(): void {
    for (const wake of [...this.waiters]) wake();
  }
}
