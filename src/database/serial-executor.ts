import type { EntityManager, QueryRunner } from 'typeorm';
import { ApiError } from '../common/errors';

/** A unit of work: uses only the manager that it is given and awaits nothing slow. */
export type Work<T> = (tx: EntityManager) => Promise<T>;

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
 * Why: TypeORM shares one SQLite connection among all callers, so concurrent transactions would become savepoints of each other and one rollback
 * would undo acknowledged work of the others (test/integration/database.spec.ts shows it).
 */
export class SerialExecutor {
  private waiting: Unit[] = [];
  private draining: Promise<void> | undefined;
  private current: Unit | undefined;

  constructor(private readonly runner: QueryRunner) {
    const query = runner.query.bind(runner) as (sql: string, parameters?: unknown[], structured?: boolean) => Promise<unknown>;
    // A deferred BEGIN that reads before it writes fails at once when another process wrote meanwhile; IMMEDIATE waits its turn instead.
    const immediate = (sql: string, parameters?: unknown[], structured?: boolean) =>
      query(sql === 'BEGIN TRANSACTION' ? 'BEGIN IMMEDIATE' : sql, parameters, structured);
    runner.query = immediate as QueryRunner['query'];
  }

  /** Queues a unit; resolves with its value after the commit is durable. */
  run<T>(work: Work<T>): Promise<T> {
    if (this.waiting.length >= MAX_WAITING)
      return Promise.reject(new ApiError('unavailable', 'Too many writes are waiting', { headers: { 'retry-after': '1' } }));
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({ work, effects: [], resolve: resolve, reject });
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
    await this.draining;
  }

  private async drain(): Promise<void> {
    await Promise.resolve(); // let the callers of this tick join the first batch
    while (this.waiting.length > 0) await this.commitTogether(this.waiting.splice(0, MAX_BATCH));
    this.draining = undefined;
  }

  private async commitTogether(batch: readonly Unit[]): Promise<void> {
    const acknowledge: (() => void)[] = [];
    try {
      await this.runner.startTransaction();
      for (const unit of batch) acknowledge.push(await this.runUnit(unit));
      await this.runner.commitTransaction();
    } catch (error) {
      await this.abandon();
      for (const unit of batch) unit.reject(error);
      return;
    }
    for (const settle of acknowledge) settle();
  }

  /** Runs one unit in its savepoint; the returned function tells its caller, and is called only after the commit. */
  private async runUnit(unit: Unit): Promise<() => void> {
    await this.runner.startTransaction();
    this.current = unit;
    try {
      const value = await unit.work(this.runner.manager);
      await this.runner.commitTransaction();
      return () => {
        for (const effect of unit.effects) runEffect(effect);
        unit.resolve(value);
      };
    } catch (error) {
      await this.runner.rollbackTransaction();
      return () => unit.reject(error);
    } finally {
      this.current = undefined;
    }
  }

  /**
   * Leaves no transaction open, whatever happened: after a full disk or an I/O error SQLite has rolled back by itself, ROLLBACK fails, and
   * TypeORM would still count a transaction. The next batch must start with a BEGIN.
   */
  private async abandon(): Promise<void> {
    await this.runner.query('ROLLBACK').catch(() => undefined);
    Reflect.set(this.runner, 'transactionDepth', 0);
    Reflect.set(this.runner, 'isTransactionActive', false);
  }
}

/** The unit is durable, so an effect that fails must neither refuse it nor stop those that wait behind it. */
function runEffect(effect: () => void): void {
  try {
    effect();
  } catch (error) {
    process.emitWarning(`An effect after a commit failed: ${error instanceof Error ? error.name : 'unknown'}`);
  }
}
