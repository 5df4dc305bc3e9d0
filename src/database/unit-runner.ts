import type { EntityManager, QueryRunner } from 'typeorm';
import { ApiError } from '../common/errors';
import { SOON, type Work } from './executor';

/** One unit's own way to the one connection: it can be closed without closing the connection. */
interface UnitRunner {
  readonly manager: EntityManager;
  /** From now on every statement of the unit is refused. */
  readonly close: () => void;
}

/**
 * TypeORM has one query runner for one SQLite connection, so a unit that outlives its time would write into whatever transaction is open then.
 * Each unit therefore gets an object that inherits the runner: what it counts (nested savepoints) it counts for itself, and its statements pass
 * a gate. A statement of better-sqlite3 runs in the turn in which it was called, so none is half done when a timer closes the gate.
 */
function unitRunner(runner: QueryRunner): UnitRunner {
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

/**
 * Runs a unit that may take so long. One that hangs would stop every write, or keep its connection and its locks: it is refused like one that throws, and
 * whatever it does later reaches no transaction.
 */
export async function inTime<T>(runner: QueryRunner, work: Work<T>, unitMs: number): Promise<T> {
  const { manager, close } = unitRunner(runner);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      close();
      process.emitWarning(`A unit of work did not end within ${unitMs} ms and was rolled back`);
      reject(new ApiError('unavailable', 'The write took too long', SOON));
    }, unitMs);
  });
  try {
    return await Promise.race([work(manager), late]);
  } finally {
    clearTimeout(timer);
    close();
  }
}
