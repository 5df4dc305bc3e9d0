import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { ApiError, invalid } from '../common/errors';
import { CONFIG, type Config } from '../config/config';
import { needAlone } from '../database/beside';
import { Database } from '../database/database';
import { selectRows } from '../database/rows';
import { HospitalsService } from '../hospital/hospitals.service';
import { EntryKind, type EntryKindName } from '../ledger/core/entry';
import { formatReceipt } from '../ledger/core/receipt';
import { cosignedNote, newestCheckpoint, witnessedCheckpoints } from './checkpoint-store';
import { LogPublisher } from './log-publisher.service';
import { beginLog, currentLog, logOf, queueEntry } from './log-store';
import { LeafEntity, LogEntity } from './tlog.entity';
import { Trees } from './tree-reader';
import { WitnessingService } from './witnessing.service';

/** How far something has come: it is stored, it is under a published checkpoint, that checkpoint satisfies the server's policy. */
export type Proven = 'sealed' | 'logged' | 'witnessed';

/** Proof that an entry is in a log. */
export interface LoggedEntry {
  readonly state: Exclude<Proven, 'sealed'>;
  readonly leafIndex: number;
  /** C2SP tlog-proof, as text. */
  readonly receipt: string;
}

/** Proofs of several entries under one checkpoint. */
export interface LoggedEntries {
  /** Signed note with its cosignatures. */
  readonly checkpoint: string;
  readonly places: readonly { readonly leafIndex: number; readonly proof: readonly Buffer[] }[];
}

const MAX_BACKLOG = 4_096;
const HASHES_A_QUERY = 500;
/** After so many proofs other requests get a turn. */
const TURN = 64;

/** What other modules see of the logs: they queue entries in their own transactions, wait for proofs, and get receipts. */
@Injectable()
export class TlogService implements BeforeApplicationShutdown {
  private readonly ids = new Map<string, number>();
  private readonly waiters = new Set<() => void>();
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly hospitals: HospitalsService,
    private readonly publisher: LogPublisher,
    private readonly witnessing: WitnessingService,
    private readonly trees: Trees,
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
  async settle(hospitalId: string, hash: Buffer, wait: Proven, extra?: Buffer): Promise<LoggedEntry | null> {
    if (wait === 'sealed') return null;
    const end = performance.now() + this.config.ledger.waitSeconds * 1000;
    for (;;) {
      const { promise, cancel } = this.nextChange(end - performance.now());
      const found = await this.proof(this.database.reader, hospitalId, hash, extra);
      if (found && (wait === 'logged' || found.state === 'witnessed')) return (cancel(), found);
      if (this.stopped || performance.now() >= end) return (cancel(), found);
      await promise;
    }
  }

  /** The proof of an entry under the newest checkpoint that satisfies the policy, else under the newest one; null when it is not logged yet. */
  async proof(manager: EntityManager, hospitalId: string, hash: Buffer, extra?: Buffer): Promise<LoggedEntry | null> {
    const log = await currentLog(manager, hospitalId);
    const leaves = log ? await selectRows(manager, LeafEntity, 'hash', [hash]) : [];
    const leaf = leaves.find(({ logId }) => logId === log?.id);
    const under = log && leaf ? await this.checkpointOver(manager, log, leaf.leafIndex) : null;
    if (!leaf || !under) return null;
    const proof = await this.trees.of(manager, leaf.logId).inclusion(BigInt(leaf.leafIndex), BigInt(under.size));
    const receipt = formatReceipt({ ...(extra && { extra }), index: BigInt(leaf.leafIndex), proof, checkpoint: under.note });
    return { state: under.witnessed ? 'witnessed' : 'logged', leafIndex: leaf.leafIndex, receipt };
  }

  /**
   * Proofs of many entries, in the order of `hashes`, all under one checkpoint: the newest that satisfies the policy, else the newest one. Null when one
   * of them is not logged yet.
   */
  async proofs(manager: EntityManager, hospitalId: string, hashes: readonly Buffer[]): Promise<LoggedEntries | null> {
    const log = await currentLog(manager, hospitalId);
    if (!log) return null;
    const leaves = new Map<string, LeafEntity>();
    for (let at = 0; at < hashes.length; at += HASHES_A_QUERY) {
      for (const leaf of await selectRows(manager, LeafEntity, 'hash', hashes.slice(at, at + HASHES_A_QUERY)))
        if (leaf.logId === log.id) leaves.set(leaf.hash.toString('latin1'), leaf);
    }
    const found = hashes.flatMap((hash) => leaves.get(hash.toString('latin1')) ?? []);
    const last = found.reduce<LeafEntity | undefined>((high, leaf) => (high && high.leafIndex > leaf.leafIndex ? high : leaf), undefined);
    const under = last && found.length === hashes.length ? await this.checkpointOver(manager, log, last.leafIndex) : null;
    if (!under) return null;
    const tree = this.trees.of(manager, log.id);
    const places: LoggedEntries['places'][number][] = [];
    const indexes = found.map(({ leafIndex }) => leafIndex);
    for await (const proof of tree.inclusions(indexes.map(BigInt), BigInt(under.size))) {
      places.push({ leafIndex: indexes[places.length] ?? -1, proof });
      if (places.length % TURN === 0) await nextTurn();
    }
    return { checkpoint: under.note, places };
  }

  private async checkpointOver(
    manager: EntityManager,
    log: LogEntity,
    leafIndex: number,
  ): Promise<{ note: string; size: number; witnessed: boolean } | null> {
    const newest = await newestCheckpoint(manager, log.id);
    if (!newest || newest.size <= leafIndex) return null;
    const policy = this.witnessing.policyFor(log.origin);
    for await (const { note, size } of witnessedCheckpoints(manager, log.id, leafIndex, policy)) return { note, size, witnessed: true };
    return { note: await cosignedNote(manager, newest), size: newest.size, witnessed: false };
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
