import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { primary } from '../common/ipc';
import { currentSpan } from '../common/tracing';
import { ClusterPeers } from './cluster-peers';
import { OneConnection, PooledConnections } from './connections';
import type { Executor, SharedLock, UnitWatch, Work } from './executor';
import { NoPeers, type Peers, PostgresPeers } from './peers';
import { PooledExecutor } from './pooled-executor';
import { type PoolLoad, poolLoad } from './pool-load';
import { clientOptions } from './postgres-options';
import { purgePostgres, purgeSqlite } from './purge';
import { onRejectedRow, type RejectionListener } from './row-tags';
import { SerialExecutor } from './serial-executor';
import { tracedUnit } from './traced-unit';

/** The longest import takes a few seconds. */
const UNIT_MS = 30_000;

/** The two connections to one database: the writer belongs to the executor, the reader cannot write. */
export interface DataSources {
  readonly writer: DataSource;
  readonly reader: DataSource;
}

/** How busy a database is. */
export interface DatabaseLoad {
  /** Units of work that are not yet done. */
  readonly units: number;
  /** None on SQLite. */
  readonly pools: readonly PoolLoad[];
}

/** All that services see of the database. */
@Injectable()
export class Database implements OnApplicationShutdown {
  /** Reads of committed data that need not wait for writers. The connection refuses writes. */
  readonly reader: EntityManager;
  /** Other processes on the same database. */
  readonly peers: Peers;
  private readonly executor: Executor;
  private readonly purgeFiles: (since: number) => Promise<boolean>;
  private readonly watches: UnitWatch[] = [];

  constructor(private readonly sources: DataSources) {
    this.reader = sources.reader.manager;
    const { options } = sources.writer;
    const isPostgres = options.type === 'postgres';
    this.peers = isPostgres ? new PostgresPeers(clientOptions(options)) : primary ? new ClusterPeers(primary) : new NoPeers();
    const watch: UnitWatch = {
      committed: (units, ms) => this.watches.forEach((each) => each.committed(units, ms)),
      repeated: () => this.watches.forEach((each) => each.repeated()),
    };
    if (isPostgres) {
      this.executor = new PooledExecutor(new PooledConnections(sources.writer), watch);
      this.purgeFiles = (since) => purgePostgres(clientOptions(options), since);
    } else {
      const executor = new SerialExecutor(new OneConnection(sources.writer.createQueryRunner()), UNIT_MS, watch);
      this.executor = executor;
      this.purgeFiles = () => purgeSqlite((work) => executor.between(work));
    }
  }

  /**
   * Runs `work` as one atomic unit and resolves after it is durable. When `work` throws, nothing of it is stored and the error is passed on.
   * Inside, use only `tx`, and await nothing slow.
   */
  transaction<T>(work: Work<T>): Promise<T> {
    return currentSpan() ? tracedUnit((unit) => this.executor.run(unit), work) : this.executor.run(work);
  }

  /**
   * The same for a unit that others of this kind may overlap (on PostgreSQL): one that changes the chart of one patient, which it claims first (`claim`).
   * Whatever else it reads may change until it commits; what must not, it does after `needAlone`.
   */
  beside<T>(work: Work<T>): Promise<T> {
    return this.runBeside(work, 'writing');
  }

  /** The same for a unit that does nothing but append to the trail. It waits for no other one but the sealing of the trail: reading goes on while somebody imports. */
  append<T>(work: Work<T>): Promise<T> {
    return this.runBeside(work, 'trail');
  }

  /** @throws when the database takes no writes now, or does not answer. On PostgreSQL without waiting for those who write. */
  async assertWritable(): Promise<void> {
    const { writer } = this.sources;
    if (writer.options.type !== 'postgres') return void (await this.transaction((tx) => tx.query('SELECT 1')));
    const [row] = await writer.query<{ may: boolean }[]>(
      `SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS may`,
    );
    if (row?.may !== true) throw new Error('The database is read-only');
  }

  /** Calls `effect` once the unit that is running now is durable: for caches and log files, which must not run ahead of the database. */
  afterCommit(effect: () => void): void {
    this.executor.afterCommit(effect);
  }

  /** Calls the listener once for each row that was refused because somebody else wrote it. */
  onRejectedRow(listener: RejectionListener): void {
    onRejectedRow(this.sources.writer, listener);
  }

  /** Tells from now on how units of work go. */
  onUnits(watch: UnitWatch): void {
    this.watches.push(watch);
  }

  /** How busy it is now. */
  load(): DatabaseLoad {
    const { writer, reader } = this.sources;
    const pools = writer.options.type === 'postgres' ? [poolLoad('writer', writer), poolLoad('reader', reader)] : [];
    return { units: this.executor.depth, pools };
  }

  /**
   * Takes the bytes of rows that were deleted or overwritten before out of the files of the database. Waits up to a second for those who read an older
   * state; false when they are still there.
   * @param since when the last of these rows was deleted, ms
   */
  purge(since = Date.now()): Promise<boolean> {
    return this.purgeFiles(since);
  }

  private runBeside<T>(work: Work<T>, lock: SharedLock): Promise<T> {
    return currentSpan() ? tracedUnit((unit) => this.executor.runBeside(unit, lock), work) : this.executor.runBeside(work, lock);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.executor.idle();
    await this.peers.close();
    await this.sources.reader.destroy();
    await this.sources.writer.destroy();
  }
}
