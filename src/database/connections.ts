import type { DataSource, QueryRunner } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { ADVISORY } from './advisory-locks';
import { PATIENCE_MS, whileBusy } from './busy';
import type { SharedLock } from './executor';

/** Connections of the pool that units beside each other leave free. */
const RESERVED = 2;

/** Where transactions run that no other one overlaps, of whatever process. */
export interface Connections {
  /** A connection without a transaction; to be given back. */
  take(): Promise<QueryRunner>;
  give(runner: QueryRunner): Promise<void>;
  /** Opens the transaction, and waits until it is the only one. */
  begin(runner: QueryRunner): Promise<void>;
}

/** SQLite: the one connection that writes. */
export class OneConnection implements Connections {
  /** `busyMs`: how long to wait for a lock that another process holds. */
  constructor(
    private readonly runner: QueryRunner,
    busyMs = PATIENCE_MS,
  ) {
    const query = runner.query.bind(runner) as (sql: string, parameters?: unknown[], structured?: boolean) => Promise<unknown>;
    // A deferred BEGIN that reads before it writes fails at once when another process wrote meanwhile; IMMEDIATE waits its turn instead.
    const immediate = (sql: string, parameters?: unknown[], structured?: boolean) =>
      sql === 'BEGIN TRANSACTION' ? whileBusy(() => query('BEGIN IMMEDIATE'), busyMs) : query(sql, parameters, structured);
    runner.query = immediate as QueryRunner['query'];
  }

  take(): Promise<QueryRunner> {
    return Promise.resolve(this.runner);
  }

  give(): Promise<void> {
    return Promise.resolve();
  }

  begin(runner: QueryRunner): Promise<void> {
    return runner.startTransaction();
  }
}

/** PostgreSQL, READ COMMITTED (`postgres-options.ts`): any of a pool, with the lock that units share or have alone (`beside.ts`). */
export class PooledConnections implements Connections {
  constructor(private readonly source: DataSource) {}

  /** How many units may write beside each other: what is left of the pool serves the unit that runs alone, the trail and the probes while these wait. */
  get beside(): number {
    const { poolSize = 0 } = this.source.options as PostgresDataSourceOptions;
    return Math.max(1, poolSize - RESERVED);
  }

  take(): Promise<QueryRunner> {
    return Promise.resolve(this.source.createQueryRunner());
  }

  give(runner: QueryRunner): Promise<void> {
    return runner.release();
  }

  async begin(runner: QueryRunner): Promise<void> {
    await runner.startTransaction();
    await runner.query('SELECT pg_advisory_xact_lock($1)', [ADVISORY.writing]);
  }

  /** Opens a transaction that others with this lock overlap. */
  async beginBeside(runner: QueryRunner, lock: SharedLock): Promise<void> {
    await runner.startTransaction();
    await runner.query('SELECT pg_advisory_xact_lock_shared($1)', [ADVISORY[lock]]);
  }
}
