import { createHash } from 'node:crypto';
import type { EntityManager, QueryRunner } from 'typeorm';
import { ADVISORY } from './advisory-locks';
import { dialectOf } from './dialect';
import { RunAgain } from './executor';

/** On the runner of a unit that others may run beside. */
const BESIDE = Symbol('beside');

export function markBeside(runner: QueryRunner): void {
  Reflect.set(runner, BESIDE, true);
}

function isBeside({ queryRunner }: EntityManager): boolean {
  return queryRunner !== undefined && Reflect.get(queryRunner, BESIDE) === true;
}

/**
 * Waits until no other unit has claimed this name, and keeps it until the end of the unit.
 * @returns whether there could have been another one: what was read before may have changed, and is to be read again
 */
export async function claim(tx: EntityManager, name: string): Promise<boolean> {
  if (!isBeside(tx)) return false;
  const digest = createHash('sha256').update(name).digest();
  await tx.query('SELECT pg_advisory_xact_lock($1::int, $2::int)', [digest.readInt32BE(0), digest.readInt32BE(4)]);
  return true;
}

/** To be called before what only a unit that runs alone may do. @throws RunAgain in any other one: it runs again, alone */
export function needAlone(tx: EntityManager): void {
  if (isBeside(tx)) throw new RunAgain();
}

/** Waits until no unit appends to the trail that began before, and keeps it from others until the end of the unit (PostgreSQL; on SQLite no unit overlaps another). */
export async function holdTrail(tx: EntityManager): Promise<void> {
  if (dialectOf(tx) === 'postgres') await tx.query('SELECT pg_advisory_xact_lock($1)', [ADVISORY.trail]);
}
