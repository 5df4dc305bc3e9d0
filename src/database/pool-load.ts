import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';

/** Connections of one pool, and who waits for one. */
export interface PoolLoad {
  readonly name: 'writer' | 'reader';
  readonly busy: number;
  readonly idle: number;
  /** Most connections that it opens. */
  readonly limit: number;
  readonly waiting: number;
}

/** How busy the pool of a PostgreSQL connection is. */
export function poolLoad(name: PoolLoad['name'], source: DataSource): PoolLoad {
  const { totalCount, idleCount, waitingCount, options } = (source.driver as PostgresDriver).master as Pool;
  return { name, busy: totalCount - idleCount, idle: idleCount, limit: options.max, waiting: waitingCount };
}
