import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { countTrailRows } from '../audit/trail-rows';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { LOGS, type Logs } from '../common/logger';
import { CONFIG, type Config } from '../config/config';
import { holdTrail } from '../database/beside';
import { Database } from '../database/database';
import { insertRow } from '../database/rows';
import { hospitalIds } from '../hospital/hospitals.service';
import { TlogService } from '../tlog/tlog.service';
import { type TrailBatch, trailBody, trailHash, trailRoot } from './core/trail';
import { TrailBatchEntity } from './trail-batch.entity';
import { newestTrailBatch, trailLeaves } from './trail-batches';

/** Most rows of one batch; when more wait, several batches follow each other. */
export const MAX_BATCH_ROWS = 10_000;
/** How soon a process looks again whether the one that seals the trail is still there. */
const FOLLOW_MS = 5_000;
/** How often to begin anew when another process was faster. */
const TRIES = 3;

/**
 * Seals the trail, in the background: each minute (LEDGER_TRAIL_SECONDS) the rows since the last batch become a batch, and its hash an entry in the log of
 * every hospital. From then on a row that is changed, deleted or slipped in is found, and with a witness' cosignature not even the operator can deny it.
 *
 * Rows are read and hashed beside the writers. The transaction only counts them again, which suffices because rows are only ever added, and stores the batch;
 * from its commit on a trigger refuses rows at or below its last one. Several processes may do this on one database: the number is the primary key.
 */
@Injectable()
export class TrailBatchesService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  private wake: () => void = () => undefined;

  constructor(
    private readonly database: Database,
    private readonly tlog: TlogService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGS) private readonly logs: Logs,
  ) {}

  onApplicationBootstrap(): void {
    this.running = this.run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    this.wake();
    await this.running;
  }

  /** Seals all rows that are there now. @returns how many; 0 makes no batch */
  async sealAll(): Promise<number> {
    let all = 0;
    for (let lost = 0; lost < TRIES && !this.stopped;) {
      const rows = await this.sealSome();
      if (rows === null) lost += 1;
      else all += rows;
      if (rows !== null && rows < MAX_BATCH_ROWS) break;
    }
    return all;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const everyMs = this.config.ledger.trailSeconds * 1000;
      let pause = everyMs;
      try {
        const newest = await newestTrailBatch(this.database.reader);
        // A clock that was set back must not stop this: an instant in the future counts as long ago.
        const age = newest ? this.clock.now() - newest.madeAt : Infinity;
        if (age >= 0 && age < everyMs) pause = everyMs - age;
        else if (await this.database.peers.leads()) await this.sealAll();
        else pause = Math.min(everyMs, FOLLOW_MS);
      } catch (error) {
        this.logs.app.error({ err: error }, 'the trail is not sealed');
      }
      await this.sleep(pause);
    }
  }

  private async sleep(ms: number): Promise<void> {
    if (this.stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Makes one batch. @returns its number of rows, or null when others wrote meanwhile and nothing was stored */
  private async sealSome(): Promise<number | null> {
    const { reader } = this.database;
    const last = await newestTrailBatch(reader);
    const from = last?.until ?? null;
    let until = '';
    const leaves: Buffer[] = [];
    for await (const leaf of trailLeaves(reader, { after: from, until: null }, MAX_BATCH_ROWS)) {
      if (!leaf.hash) throw new ApiError('integrity_error', `Row ${leaf.id} of the trail is not one that this server writes`);
      leaves.push(leaf.hash);
      until = leaf.id;
    }
    if (leaves.length === 0) return 0;
    const number = (last?.number ?? 0) + 1;
    const batch = { number, from, until, count: leaves.length, root: trailRoot(leaves), previous: last?.hash ?? null };
    // After the rows: a hospital of which a row speaks is among them.
    const hospitals = await hospitalIds(reader);
    const stored = await this.database.transaction((tx) => this.store(tx, batch, leaves, hospitals));
    return stored ? leaves.length : null;
  }

  /** If the process dies before the commit, nothing is stored, and the next batch begins where this one did. */
  private async store(tx: EntityManager, batch: TrailBatch, leaves: readonly Buffer[], hospitals: readonly string[]): Promise<boolean> {
    const { number, from, until, count } = batch;
    await holdTrail(tx); // rows are appended beside units that run alone, as this one does
    const newest = await newestTrailBatch(tx);
    if ((newest?.number ?? 0) !== number - 1) return false;
    if ((await countTrailRows(tx, { after: from, until })) !== count) return false;
    const body = trailBody(batch);
    const row = { number, until, hash: trailHash(body), body, leaves: Buffer.concat(leaves), madeAt: this.clock.now() };
    await insertRow(tx, TrailBatchEntity, row);
    for (const hospitalId of hospitals) await this.queue(tx, hospitalId, row.hash);
    return true;
  }

  /** A halted log takes nothing. The other logs do, and the next batch in it, which names this one, makes up for it. */
  private async queue(tx: EntityManager, hospitalId: string, hash: Buffer): Promise<void> {
    try {
      await this.tlog.queue(tx, hospitalId, 'access-log', hash);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'log_halted')) throw error;
    }
  }
}
