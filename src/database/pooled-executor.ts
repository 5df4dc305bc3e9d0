import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, QueryRunner } from 'typeorm';
import { ApiError } from '../common/errors';
import { OneAtATime } from '../common/one-at-a-time';
import { errorCode } from './busy';
import { ADVISORY } from './advisory-locks';
import { type Executor, RunAgain, runEffect, SOON, type UnitWatch, type Work } from './executor';
import { inTime } from './unit-runner';

/**
 * serialization_failure, deadlock_detected, unique_violation: the unit did nothing, and can run again. The last one is what PostgreSQL says to the second of
 * two who insert one key at the same moment, also where a reader before would have seen the first.
 */
const CONFLICTS = ['40001', '40P01', '23505'];
const ATTEMPTS = 12;
/** The longest import, which asks for each of its entries over the network. */
const UNIT_MS = 120_000;
const MAX_RUNNING = 4096;

function isConflict(error: unknown): boolean {
  return error instanceof RunAgain || CONFLICTS.includes(errorCode(error));
}

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
  private readonly again = new OneAtATime(MAX_RUNNING);

  constructor(
    private readonly source: DataSource,
    private readonly watch?: UnitWatch,
  ) {}

  get depth(): number {
    return this.running.size;
  }

  run<T>(work: Work<T>): Promise<T> {
    if (this.running.size >= MAX_RUNNING) return Promise.reject(new ApiError('unavailable', 'Too many writes are waiting', SOON));
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

  /** At first side by side with all others. Who met another there goes through a lane in which one runs at a time, in all processes. */
  private async insist<T>(work: Work<T>): Promise<T> {
    try {
      return await this.attempt(work);
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    return this.again.run(() => this.alone(work));
  }

  private async alone<T>(work: Work<T>): Promise<T> {
    const lane = this.source.createQueryRunner();
    try {
      await lane.query('SELECT pg_advisory_lock($1)', [ADVISORY.retrying]);
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await this.attempt(work, true);
        } catch (error) {
          if (!isConflict(error)) throw error;
          if (attempt === ATTEMPTS)
            throw errorCode(error) === '23505' ? error : new ApiError('unavailable', 'Too many others write the same', SOON);
        }
      }
    } finally {
      await lane.query('SELECT pg_advisory_unlock($1)', [ADVISORY.retrying]).catch(() => undefined);
      await lane.release();
    }
  }

  private async attempt<T>(work: Work<T>, isAgain = false): Promise<T> {
    if (isAgain) this.watch?.repeated();
    const runner = this.source.createQueryRunner();
    const unit: Unit = { effects: [] };
    try {
      await runner.startTransaction('SERIALIZABLE');
      const value = await this.units.run(unit, () => inTime(runner, work, UNIT_MS));
      const begun = performance.now();
      await runner.commitTransaction();
      this.watch?.committed(1, performance.now() - begun);
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
