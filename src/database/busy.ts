import { setTimeout as sleep } from 'node:timers/promises';
import { QueryFailedError } from 'typeorm';

/** How long the driver itself waits for a lock of another process, ms. It waits with the event loop stopped, so hardly at all. */
export const DRIVER_WAIT_MS = 20;
/** How long we wait, with the event loop free. */
export const PATIENCE_MS = 5_000;
const LONGEST_PAUSE_MS = 100;

/** Did another process hold the lock? */
export function isBusy(error: unknown): boolean {
  return errorCode(error).startsWith('SQLITE_BUSY');
}

/** The driver's code of an error: `SQLITE_…`, or the five characters of an SQLSTATE; empty when there is none. */
export function errorCode(error: unknown): string {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  const code: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'code') : undefined;
  return typeof code === 'string' ? code : '';
}

/** Tries again, with growing pauses, while another process holds the lock. `work` must leave nothing behind when it fails. */
export async function whileBusy<T>(work: () => Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  const until = performance.now() + patienceMs;
  for (let pause = 5; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= until) throw error;
    }
    await sleep(pause);
  }
}
