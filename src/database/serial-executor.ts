import { AsyncResource } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { QueryRunner } from 'typeorm';
import { ApiError } from '../common/errors';
import { isBusy } from './busy';
import type { Connections } from './connections';
import { type Executor, RunAgain, runEffect, SOON, type UnitWatch, type Work } from './executor';
import { inTime } from './unit-runner';

/** What must run while no transaction is open. */
export type Upkeep = (runner: QueryRunner) => Promise<void>;

interface Unit {
  readonly work: Work<unknown>;
  readonly effects: (() => void)[];
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

const MAX_BATCH = 64;
const MAX_WAITING = 4096;

/**
 * Runs units of work one after another on one connection, with group commit: the units that wait are run in one transaction, each in its own
 * savepoint; the transaction is committed once; only then are all of them acknowledged. A unit that throws is rolled back to its savepoint and
 * takes nobody with it. When the commit itself fails, every unit of the batch is refused and nothing of them is stored.
 *
 * On PostgreSQL the transaction also waits until it is the only one in all processes, so that a unit meets what it would meet on SQLite.
 *
 * Why: TypeORM shares one SQLite connection among all callers, so concurrent transactions would become savepoints of each other and one rollback
 * would undo acknowledged work of the others (test/integration/database.spec.ts shows it).
 */
export class SerialExecutor implements Executor {
  private waiting: Unit[] = [];
  private upkeep: Upkeep[] = [];
  private draining: Promise<void> | undefined;
  private current: Unit | undefined;
  /** Units of the batch that runs now. */
  private taken = 0;

  /** @param unitMs how long a unit may take */
  constructor(
    private readonly connections: Connections,
    private readonly unitMs: number,
    private readonly watch?: UnitWatch,
  ) {}

  get depth(): number {
    return this.waiting.length + this.taken;
  }

  /** Queues a unit; resolves with its value after the commit is durable. */
  run<T>(work: Work<T>): Promise<T> {
    if (this.waiting.length >= MAX_WAITING) return Promise.reject(new ApiError('unavailable', 'Too many writes are waiting', SOON));
    const asking = new AsyncResource('UnitOfWork'); // its context is that of who asks, not of whoever began to drain
    const own: Work<T> = (tx) => asking.runInAsyncScope(work, undefined, tx);
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({ work: own, effects: [], resolve: resolve, reject });
      this.draining ??= this.drain();
    });
  }

  /** Every unit runs alone here. */
  runBeside<T>(work: Work<T>): Promise<T> {
    return this.run(work);
  }

  /** Runs `work` on the connection between two batches, while no transaction is open. It must leave none behind. */
  between<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.upkeep.push((runner) => work(runner).then(resolve, reject));
      this.draining ??= this.drain();
    });
  }

  /** Calls `effect` after the commit of the unit that is running now; never when it is rolled back. */
  afterCommit(effect: () => void): void {
    if (!this.current) throw new Error('afterCommit outside a unit of work');
    this.current.effects.push(effect);
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.draining) await this.draining;
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0 || this.upkeep.length > 0) {
      // The driver answers in microtasks, so without this turn a batch would be committed before the next socket is read: one COMMIT for each unit.
      await nextTurn();
      const runner = await this.connections.take();
      for (const work of this.upkeep.splice(0)) await work(runner);
      if (this.waiting.length > 0) await this.commitTogether(runner, this.waiting.splice(0, MAX_BATCH));
      await this.connections.give(runner).catch(() => undefined); // whatever becomes of it, others wait here
    }
    this.draining = undefined;
  }

  private async commitTogether(runner: QueryRunner, batch: readonly Unit[]): Promise<void> {
    const acknowledge: (() => void)[] = [];
    this.taken = batch.length;
    try {
      await this.connections.begin(runner);
      for (const unit of batch) acknowledge.push(await this.runUnit(runner, unit));
      const begun = performance.now();
      await runner.commitTransaction();
      this.watch?.committed(batch.length, performance.now() - begun);
    } catch (error) {
      await abandon(runner);
      const reason = isBusy(error) ? new ApiError('unavailable', 'Another process keeps the database', SOON) : error;
      for (const unit of batch) unit.reject(reason);
      return;
    } finally {
      this.taken = 0;
    }
    for (const settle of acknowledge) settle();
  }

  /** Runs one unit in its savepoint; the returned function tells its caller, and is called only after the commit. */
  private async runUnit(runner: QueryRunner, unit: Unit, isAgain = false): Promise<() => void> {
    await runner.query('SAVEPOINT "unit"');
    this.current = unit;
    try {
      const value = await inTime(runner, unit.work, this.unitMs);
      await runner.query('RELEASE "unit"');
      return () => {
        for (const effect of unit.effects) runEffect(effect);
        unit.resolve(value);
      };
    } catch (error) {
      await runner.query('ROLLBACK TO "unit"');
      await runner.query('RELEASE "unit"');
      unit.effects.length = 0;
      if (!(error instanceof RunAgain) || isAgain) return () => unit.reject(error);
      this.watch?.repeated();
      return await this.runUnit(runner, unit, true);
    } finally {
      this.current = undefined;
    }
  }
}

/**
 * Leaves no transaction open, whatever happened: after a full disk or an I/O error SQLite has rolled back by itself, ROLLBACK fails, and
 * TypeORM would still count a transaction. The next batch must start with a BEGIN.
 */
async function abandon(runner: QueryRunner): Promise<void> {
  await runner.query('ROLLBACK').catch(() => undefined);
  Reflect.set(runner, 'transactionDepth', 0);
  Reflect.set(runner, 'isTransactionActive', false);
}
