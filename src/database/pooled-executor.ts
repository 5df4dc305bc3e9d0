import { AsyncLocalStorage } from 'node:async_hooks';
import { BoundedQueue } from '../common/bounded-queue';
import { ApiError } from '../common/errors';
import { markBeside } from './beside';
import { errorCode } from './busy';
import type { PooledConnections } from './connections';
import { type Executor, RunAgain, runEffect, type SharedLock, SOON, type UnitWatch, type Work } from './executor';
import { SerialExecutor } from './serial-executor';
import { inTime } from './unit-runner';

/**
 * serialization_failure, deadlock_detected, unique_violation: the unit did nothing, and runs again, alone. The last one is what PostgreSQL says to the
 * second of two who insert one key at the same moment; alone, the unit sees the first.
 */
const CONFLICTS = ['40001', '40P01', '23505'];
/** The longest import, which asks for each of its entries over the network. */
const UNIT_MS = 120_000;
const MAX_RUNNING = 4096;
/** For a turn to write; then the answer is that there was none, before whoever asked gives up. */
const TURN_MS = 10_000;

interface Unit {
  readonly effects: (() => void)[];
}

/**
 * Runs units of work on PostgreSQL. A unit runs alone, in all processes, as on SQLite: what it has read is still so when it commits. Units of the kind that
 * the services know to be safe run beside each other, each on a connection of its own; they hold one lock together, which a unit that runs alone
 * has for itself. Where such a unit finds that it cannot go on beside others (`needAlone`), or that it has met one, it runs again, alone: it must have no effects but
 * its statements and `afterCommit`.
 */
export class PooledExecutor implements Executor {
  private readonly units = new AsyncLocalStorage<Unit>();
  private readonly running = new Set<Promise<unknown>>();
  private readonly alone: SerialExecutor;
  /** The first of them may have to wait for a unit that runs alone: all connections but a few may wait with them. */
  private readonly writers: BoundedQueue;

  constructor(
    private readonly connections: PooledConnections,
    private readonly watch?: UnitWatch,
  ) {
    this.alone = new SerialExecutor(connections, UNIT_MS, watch);
    this.writers = new BoundedQueue(connections.beside, MAX_RUNNING, tooMany);
  }

  get depth(): number {
    return this.running.size + this.alone.depth;
  }

  run<T>(work: Work<T>): Promise<T> {
    return this.units.exit(() => this.alone.run(work)); // also when asked inside a unit that does not wait for it
  }

  runBeside<T>(work: Work<T>, lock: SharedLock): Promise<T> {
    if (this.running.size >= MAX_RUNNING) return Promise.reject(tooMany());
    const attempt = lock === 'trail' ? this.attempt(work, lock) : this.inTurn(() => this.attempt(work, lock));
    const done = attempt.catch((error: unknown) => {
      if (!(error instanceof RunAgain) && !CONFLICTS.includes(errorCode(error))) throw error;
      this.watch?.repeated();
      return this.run(work);
    });
    this.running.add(done);
    const forget = () => void this.running.delete(done);
    done.then(forget, forget);
    return done;
  }

  afterCommit(effect: () => void): void {
    const unit = this.units.getStore();
    if (unit) unit.effects.push(effect);
    else this.alone.afterCommit(effect);
  }

  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled([...this.running]);
    await this.alone.idle();
  }

  private inTurn<T>(attempt: () => Promise<T>): Promise<T> {
    const asked = performance.now();
    return this.writers.run(() => (performance.now() - asked > TURN_MS ? Promise.reject(tooMany()) : attempt()));
  }

  private async attempt<T>(work: Work<T>, lock: SharedLock): Promise<T> {
    const runner = await this.connections.take();
    const unit: Unit = { effects: [] };
    try {
      await this.connections.beginBeside(runner, lock);
      markBeside(runner);
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
      await this.connections.give(runner).catch(() => undefined); // what is stored is stored
    }
  }
}

function tooMany(): ApiError {
  return new ApiError('unavailable', 'Too many writes are waiting', SOON);
}
