import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { primary } from '../common/ipc';
import { currentSpan } from '../common/tracing';
import { ClusterPeers } from './cluster-peers';
import type { Executor, UnitWatch, Work } from './executor';
import { NoPeers, type Peers, PostgresPeers } from './peers';
import { PooledExecutor } from './pooled-executor';
import { clientOptions } from './postgres-options';
import { type PoolLoad, poolLoad } from './pool-load';
import { purgeDeleted } from './purge';
import { onRejectedRow, type RejectionListener } from './row-tags';
import { SerialExecutor } from './serial-executor';
import { tracedUnit } from './traced-unit';

/** The two connections to one database: the writer belongs to the executor, the reader cannot write. */
export interface DataSources {
  readonly writer: DataSource;
  readonly reader: DataSource;
}

/** How busy a database is. */
export interface DatabaseLoad {
  readonly kind: string;
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
    this.executor = isPostgres
      ? new PooledExecutor(sources.writer, watch)
      : new SerialExecutor(sources.writer.createQueryRunner(), undefined, watch);
  }

  /**
   * Runs `work` as one atomic unit and resolves after it is durable. When `work` throws, nothing of it is stored and the error is passed on.
   * Inside, use only `tx`, and await nothing slow.
   */
  transaction<T>(work: Work<T>): Promise<T> {
    return currentSpan() ? tracedUnit(this.executor, work) : this.executor.run(work);
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
    const pool = (name: PoolLoad['name'], source: DataSource) => (source.options.type === 'postgres' ? [poolLoad(name, source)] : []);
    return {
      kind: this.sources.writer.options.type,
      units: this.executor.depth,
      pools: [...pool('writer', this.sources.writer), ...pool('reader', this.sources.reader)],
    };
  }

  /**
   * Takes the bytes of rows that were deleted or overwritten before out of the files of the database. False when somebody who reads kept some of
   * them: try again.
   */
  purge(): Promise<boolean> {
    return this.executor.between(purgeDeleted);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.executor.idle();
    await this.peers.close();
    await this.sources.reader.destroy();
    await this.sources.writer.destroy();
  }
}
