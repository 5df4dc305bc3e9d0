import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { ApiError, invalid } from '../common/errors';
import { CONFIG, type Config } from '../config/config';
import { Database } from '../database/database';
import { selectRows } from '../database/rows';
import { HospitalsService } from '../hospital/hospitals.service';
import { EntryKind, type EntryKindName } from '../ledger/core/entry';
import { verifyCheckpoint } from '../ledger/core/policy';
import { formatReceipt } from '../ledger/core/receipt';
import { cosignedCheckpoints, cosignedNote, newestCheckpoint } from './checkpoint-store';
import { LogPublisher } from './log-publisher.service';
import { beginLog, currentLog, queueEntry } from './log-store';
import { LeafEntity, LogEntity } from './tlog.entity';
import { newTileCache, TreeReader } from './tree-reader';
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
/** Older cosigned checkpoints that are tried when the newest do not satisfy the policy. */
const CANDIDATES = 8;

/** What other modules see of the logs: they queue entries in their own transactions, wait for proofs, and get receipts. */
@Injectable()
export class TlogService implements BeforeApplicationShutdown {
  private readonly tiles = newTileCache();
  private readonly ids = new Map<string, number>();
  private readonly waiters = new Set<() => void>();
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly hospitals: HospitalsService,
    private readonly publisher: LogPublisher,
    private readonly witnessing: WitnessingService,
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
    const leaf = await this.leaf(manager, hospitalId, hash);
    if (!leaf) return null;
    const under = await this.checkpointOver(manager, leaf);
    if (!under) return null;
    const tree = new TreeReader(manager, leaf.logId, this.tiles);
    const proof = await tree.inclusion(BigInt(leaf.leafIndex), BigInt(under.size));
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
    const under = last && found.length === hashes.length ? await this.checkpointOver(manager, last) : null;
    if (!under) return null;
    const tree = new TreeReader(manager, log.id, this.tiles);
    const places: LoggedEntries['places'][number][] = [];
    const indexes = found.map(({ leafIndex }) => leafIndex);
    for await (const proof of tree.inclusions(indexes.map(BigInt), BigInt(under.size))) {
      places.push({ leafIndex: indexes[places.length] ?? -1, proof });
      if (places.length % TURN === 0) await nextTurn();
    }
    return { checkpoint: under.note, places };
  }

  /** The newest checkpoint of a hospital's log with its cosignatures, as a signed note; null before the first. */
  async checkpoint(hospitalId: string): Promise<string | null> {
    const log = await currentLog(this.database.reader, hospitalId);
    const newest = log && (await newestCheckpoint(this.database.reader, log.id));
    return newest && cosignedNote(this.database.reader, newest);
  }

  private async leaf(manager: EntityManager, hospitalId: string, hash: Buffer): Promise<LeafEntity | null> {
    const log = await currentLog(manager, hospitalId);
    const leaves = log ? await selectRows(manager, LeafEntity, 'hash', [hash]) : [];
    return leaves.find((leaf) => leaf.logId === log?.id) ?? null;
  }

  private async checkpointOver(
    manager: EntityManager,
    leaf: LeafEntity,
  ): Promise<{ note: string; size: number; witnessed: boolean } | null> {
    const { logId, leafIndex } = leaf;
    const newest = await newestCheckpoint(manager, logId);
    if (!newest || newest.size <= leafIndex) return null;
    const { origin } = await manager.getRepository(LogEntity).findOneByOrFail({ id: logId });
    const candidates = await cosignedCheckpoints(manager, logId, leafIndex, CANDIDATES);
    for (const candidate of candidates) {
      const note = await cosignedNote(manager, candidate);
      if (this.isWitnessed(note, origin)) return { note, size: candidate.size, witnessed: true };
    }
    return { note: await cosignedNote(manager, newest), size: newest.size, witnessed: false };
  }

  private isWitnessed(note: string, origin: string): boolean {
    const verdict = verifyCheckpoint(note, this.witnessing.policyFor(origin));
    return !('invalid' in verdict) && verdict.witnessed;
  }

  /** The id of the hospital's log; begins it when there is none. */
  private async open(tx: EntityManager, hospitalId: string): Promise<number> {
    const known = this.ids.get(hospitalId);
    if (known !== undefined) return known;
    const log = await currentLog(tx, hospitalId);
    if (log) return log.id;
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
