import type { EntityManager, QueryRunner } from 'typeorm';
import { ApiError } from '../common/errors';

/** One unit's own way to the one connection: it can be closed without closing the connection. */
export interface UnitRunner {
  readonly manager: EntityManager;
  /** From now on every statement of the unit is refused. */
  readonly close: () => void;
}

/**
 * TypeORM has one query runner for one SQLite connection, so a unit that outlives its time would write into whatever transaction is open then.
 * Each unit therefore gets an object that inherits the runner: what it counts (nested savepoints) it counts for itself, and its statements pass
 * a gate. A statement of better-sqlite3 runs in the turn in which it was called, so none is half done when a timer closes the gate.
 */
export function unitRunner(runner: QueryRunner): UnitRunner {
  let open = true;
  const own = Object.create(runner) as QueryRunner & { manager: EntityManager };
  const query = runner.query.bind(own) as (...rest: unknown[]) => Promise<unknown>;
  own.query = ((...rest: unknown[]) =>
    open ? query(...rest) : Promise.reject(new ApiError('unavailable', 'The unit of work is over'))) as QueryRunner['query'];
  own.manager = runner.dataSource.createEntityManager(own);
  return {
    manager: own.manager,
    close: () => {
      open = false;
    },
  };
}
