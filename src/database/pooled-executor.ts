import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';
import { ApiError } from '../common/errors';
import { errorCode } from './busy';
import { type Executor, runEffect, type Work } from './executor';
import { unitRunner } from './unit-runner';

/** serialization_failure and deadlock_detected: the unit did nothing, and can run again. */
const AGAIN = ['40001', '40P01'];
const ATTEMPTS = 12;
/** The longest import takes a few seconds. */
const UNIT_MS = 30_000;
const MAX_RUNNING = 4096;
const LONGEST_PAUSE_MS = 200;

interface Unit {
  effects: (() => void)[];
}

/**
 * Runs units of work on PostgreSQL, each on a connection of its own. They are SERIALIZABLE: what a unit has read is still so when it commits, as on
 * SQLite, where there is one writer. When PostgreSQL cannot give that, it refuses the commit, and the whole unit runs again: it must have no effects
 * but its statements and `afterCommit`.
 */
export class PooledExecutor implements Executor {
  private readonly units = new AsyncLocalStorage<Unit>();
  private readonly running = new Set<Promise<unknown>>();

  constructor(private readonly source: DataSource) {}

  run<T>(work: Work<T>): Promise<T> {
    if (this.running.size >= MAX_RUNNING)
      return Promise.reject(new ApiError('unavailable', 'Too many writes are waiting', { headers: { 'retry-after': '1' } }));
    const done = this.insist(work);
    this.running.add(done);
    const forget = () => void this.running.delete(done);
    done.then(forget, forget);
    return done;
  }

  afterCommit(effect: () => void): void {
    const unit = this.units.getStore();
    if (!unit) throw new Error('afterCommit outside a unit of work');
    unit.effects.push(effect);
  }

  async between<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const runner = this.source.createQueryRunner();
    try {
      return await work(runner);
    } finally {
      await runner.release();
    }
  }

  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled([...this.running]);
  }

  private async insist<T>(work: Work<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.attempt(work);
      } catch (error) {
        if (!AGAIN.includes(errorCode(error))) throw error;
        if (attempt === ATTEMPTS) throw new ApiError('unavailable', 'Too many others write the same', { headers: { 'retry-after': '1' } });
      }
      await sleep(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE_MS));
    }
  }

  private async attempt<T>(work: Work<T>): Promise<T> {
    const runner = this.source.createQueryRunner();
    const unit: Unit = { effects: [] };
    try {
      await runner.startTransaction('SERIALIZABLE');
      const value = await this.units.run(unit, () => inTime(runner, work));
      await runner.commitTransaction();
      for (const effect of unit.effects) runEffect(effect);
      return value;
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    } finally {
      await runner.release();
    }
  }
}

/** A unit that hangs would keep its connection and its locks: it is refused like one that throws, and whatever it does later reaches no transaction. */
async function inTime<T>(runner: QueryRunner, work: Work<T>): Promise<T> {
  const { manager, close } = unitRunner(runner);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ApiError('unavailable', 'The write took too long', { headers: { 'retry-after': '1' } })), UNIT_MS);
  });
  try {
    return await Promise.race([work(manager), late]);
  } finally {
    clearTimeout(timer);
    close();
  }
}
