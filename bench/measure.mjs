/** One measure: a job for the load generator, and what it cost the server. */
import { fileURLToPath } from 'node:url';
import { cpuMs, message, start } from './processes.mjs';

const LOAD = fileURLToPath(new URL('./load.mjs', import.meta.url));
/** Requests per second to begin with, before a measure was ever seen. */
const FIRST_PACE = 400;

/** Work for each connection: `each` requests, a whole number per connection. */
export const spread = (connections, make, each = 8) =>
  Array.from({ length: connections * each }, (_, index) => make(index + Math.floor(index / connections)));

/**
 * @typedef {object} Measure
 * @property {number} rate acts per second
 * @property {number} p50 ms, as the client sees it; so are p95 and p99
 * @property {number} count acts
 * @property {number | null} cpuUs CPU time of the server for each act
 * @property {number | null} loadShare of all CPU time, the generator's
 * @property {unknown[]} kept members of the answers that the job asked for
 */

export class Meter {
  /** @param {number} seconds length of a phase, roughly: each is a number of requests, from the rate of the last one */
  constructor(seconds) {
    this.seconds = seconds;
    this.load = start(LOAD);
    this.number = 0;
    /** Requests per second as last seen, by measure and connections. */
    this.pace = new Map();
  }

  /** How many requests make a phase: a whole and even number for each connection, for an act may be two. */
  amount(name, connections, first = FIRST_PACE) {
    const pace = this.pace.get(`${name}/${connections}`) ?? first;
    return Math.max(2, Math.round((pace * this.seconds) / connections / 2) * 2) * connections;
  }

  /**
   * Runs one job and says what it cost. Anything but the expected status ends the run.
   * @param {{ pid: number, amount?: number } & import('./load.mjs').Job} job `pid` of the server
   * @returns {Promise<Measure>}
   */
  async measure(name, { pid, amount, ...job }) {
    const number = ++this.number;
    const answer = message(this.load, (value) => value.number === number);
    const whole = amount ?? this.amount(name, job.connections);
    const before = cpuMs(pid);
    this.load.child.send({ number, job: { ...job, amount: whole } });
    const { result, error } = await answer;
    if (error) throw new Error(`${name}: ${error}`);
    const { wrong, errors, count, requests, seconds, p50, p95, p99, kept } = result;
    if (wrong.length > 0 || errors.length > 0 || requests !== whole)
      throw new Error(
        `${name}: ${requests} of ${whole} right answers; other statuses ${JSON.stringify(wrong)}; errors ${JSON.stringify(errors)}`,
      );
    this.pace.set(`${name}/${job.connections}`, requests / seconds);
    const after = cpuMs(pid);
    const used = before === null || after === null ? null : after - before;
    return {
      rate: count / seconds,
      p50,
      p95,
      p99,
      count,
      seconds,
      cpuUs: used === null ? null : (used * 1000) / count,
      loadShare: used === null ? null : result.cpuMs / (result.cpuMs + used),
      kept,
    };
  }

  stop() {
    this.load.child.kill();
  }
}
