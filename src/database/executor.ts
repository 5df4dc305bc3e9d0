import type { EntityManager } from 'typeorm';

/** For refusals that will pass: headers of the answer. */
export const SOON = { headers: { 'retry-after': '1' } } as const;

/** A unit of work: uses only the manager that it is given and awaits nothing slow. */
export type Work<T> = (tx: EntityManager) => Promise<T>;

/** Thrown by a unit that has learnt what will let it succeed: nothing of it is stored, and it runs once more from its beginning, alone. */
export class RunAgain extends Error {
  override readonly name = 'RunAgain';
}

/** Told how units of work go, for metrics. Called for every commit: whoever listens does next to nothing. */
export interface UnitWatch {
  /** So many units became durable in one commit, which took so many ms. */
  committed(units: number, ms: number): void;
  /** A unit runs again, because it met another one or learnt something. */
  repeated(): void;
}

/** What units share that run beside each other: `writing`, which units that run alone wait for, or, when all they do is append to the trail, `trail`. */
export type SharedLock = 'writing' | 'trail';

/** Runs units of work, each atomic for itself and durable when it is acknowledged. */
export interface Executor {
  /** Units that are not yet done. */
  readonly depth: number;
  /** Runs a unit that no other one overlaps. Resolves with its value after the commit is durable. */
  run<T>(work: Work<T>): Promise<T>;
  /** The same for a unit that others of this kind may overlap, where the store lets them. */
  runBeside<T>(work: Work<T>, lock: SharedLock): Promise<T>;
  /** Calls `effect` after the commit of the unit that is running now; never when it is rolled back. */
  afterCommit(effect: () => void): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** The unit is durable, so an effect that fails must neither refuse it nor stop those that wait behind it. */
export function runEffect(effect: () => void): void {
  try {
    effect();
  } catch (error) {
    process.emitWarning(`An effect after a commit failed: ${error instanceof Error ? error.name : 'unknown'}`);
  }
}
