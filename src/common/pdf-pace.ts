import { setImmediate as nextTurn } from 'node:timers/promises';
import { OneAtATime } from './one-at-a-time';

const TURN_MS = 8;

/** Prints of whatever kind run one at a time: drawing is work for the one thread. */
export const PRINTS = new OneAtATime();

/** Lets other requests be served whenever a long job has had the thread for some milliseconds. */
export class Pace {
  private since = performance.now();

  async pause(): Promise<void> {
    if (performance.now() - this.since < TURN_MS) return;
    await nextTurn();
    this.since = performance.now();
  }
}
