/** The interleaved rounds: in each one every measure of ours stands beside the same measure of the floor, so that a noisy machine troubles both. */
import { fileURLToPath } from 'node:url';
import { DIAGNOSIS } from './ours.mjs';
import { cpuMs, message, start } from './processes.mjs';

const LOAD = fileURLToPath(new URL('./load.mjs', import.meta.url));
const POOL = 512;
const INVALID = '/api/v1/patients?limit=0';

/** Work for each connection: `length` requests, a whole number per connection. */
const spread = (connections, make, each = 8) =>
  Array.from({ length: connections * each }, (_, index) => make(index + Math.floor(index / connections)));

/** Requests per second to begin with, before a measure was ever seen. */
const FIRST_PACE = { ours: 400, floor: 3000 };

export class Rounds {
  /**
   * @param {import('./ours.mjs').OurServer} ours
   * @param {{ url: string, token: string, pid: number }} floor
   * @param {{ url: string, token: string, pid: number }} bare
   * @param {number} seconds length of a phase, roughly: each is a number of requests, from the rate of the last one
   */
  constructor(ours, floor, bare, seconds) {
    Object.assign(this, { ours, floor, bare, seconds });
    this.load = start(LOAD);
    this.number = 0;
    /** Requests per second as last seen, by measure and connections. */
    this.pace = new Map();
    this.sealed = [];
    this.drafts = new Map();
  }

  /** How many requests make a phase: a whole and even number for each connection, for an act may be two. */
  amount(name, connections, first = FIRST_PACE.ours) {
    const pace = this.pace.get(`${name}/${connections}`) ?? first;
    return Math.max(2, Math.round((pace * this.seconds) / connections / 2) * 2) * connections;
  }

  /**
   * Runs one job and says what it cost. Anything but the expected status ends the run.
   * @returns {Promise<{ rate: number, p50: number, p99: number, count: number, seconds: number, cpuUs: number | null, loadShare: number | null,
   *   kept: unknown[] }>} rate per second; latencies in ms; `cpuUs`: CPU time of the server for each; `loadShare`: of all CPU time, the generator's
   */
  async measure(name, { pid, amount, ...job }) {
    const number = ++this.number;
    const answer = message(this.load, (value) => value.number === number);
    const whole = amount ?? this.amount(name, job.connections, pid === this.ours.pid ? FIRST_PACE.ours : FIRST_PACE.floor);
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
    const used = before === null ? null : cpuMs(pid) - before;
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

  async ourJob(role, connections) {
    const { url, pid } = this.ours;
    return { url, pid, connections, headers: { authorization: `Bearer ${await this.ours.token(role)}` } };
  }

  floorJob(server, connections) {
    const { url, pid, token } = server;
    return { url, pid, connections, headers: { authorization: `Bearer ${token}` } };
  }

  /** `amount` drafts, over all patients or for the hot one; their ids wait for `seal`. */
  async draft(amount, hot) {
    const connections = Math.min(64, amount);
    const { patients, hot: one } = this.ours;
    const path = (index) => `/api/v1/patients/${hot ? one : patients[index % patients.length]}/diagnoses`;
    const requests = spread(connections, (index) => ({ method: 'POST', path: path(index), body: DIAGNOSIS }));
    const result = await this.measure('draft', {
      ...(await this.ourJob('doctor', connections)),
      requests,
      amount,
      expect: 201,
      keep: 'id',
    });
    this.drafts.set(hot, result.kept);
    return result;
  }

  /** Seals drafts that were made before, each once. */
  async seal(connections, hot) {
    const drafted = await this.draft(this.amount('seal', connections), hot);
    const ids = this.drafts.get(hot);
    const requests = ids.map((id) => ({ method: 'POST', path: `/api/v1/records/${id}/seal?wait=sealed` }));
    await this.beforeSeal?.();
    const result = await this.measure('seal', { ...(await this.ourJob('doctor', connections)), requests, amount: ids.length, expect: 201 });
    this.sealed = [...this.sealed, ...ids].slice(-POOL);
    return { sealed: result, drafted };
  }

  async draftAndSeal(connections) {
    const { patients } = this.ours;
    const path = (index) => `/api/v1/patients/${patients[index % patients.length]}/diagnoses`;
    const requests = spread(connections, (index) => ({ method: 'POST', path: path(index), body: DIAGNOSIS }));
    return this.measure('draft+seal', { ...(await this.ourJob('doctor', connections)), requests, expect: 201, thenSeal: true });
  }

  async floorWrite(connections, hot) {
    const path = (index) => `/patients/${hot ? 'hot' : `patient-${index % this.ours.patients.length}`}/diagnoses`;
    const requests = spread(connections, (index) => ({ method: 'POST', path: path(index), body: DIAGNOSIS }));
    const result = await this.measure('floor write', {
      ...this.floorJob(this.floor, connections),
      requests,
      expect: 201,
      keep: 'recordId',
    });
    this.floorIds = result.kept.slice(-POOL);
    return result;
  }

  async read(connections) {
    const requests = spread(connections, (index) => ({
      method: 'GET',
      path: `/api/v1/records/${this.sealed[index % this.sealed.length]}`,
    }));
    return this.measure('read', { ...(await this.ourJob('doctor', connections)), requests, expect: 200 });
  }

  floorRead(connections) {
    const requests = spread(connections, (index) => ({ method: 'GET', path: `/records/${this.floorIds[index % this.floorIds.length]}` }));
    return this.measure('floor read', { ...this.floorJob(this.floor, connections), requests, expect: 200 });
  }

  /** A request that validation refuses (400): rate limit, token, role and validation are all that happens; no statement, nothing on the trail. */
  async invalid(connections) {
    const requests = spread(connections, () => ({ method: 'GET', path: INVALID }));
    return this.measure('invalid', { ...(await this.ourJob('doctor', connections)), requests, expect: 400 });
  }

  /** A route that the doctor's role is refused (403): the refusal is on the trail before the answer. */
  async refused(connections) {
    const requests = spread(connections, () => ({ method: 'GET', path: '/api/v1/hospitals/me/staff' }));
    return this.measure('refused', { ...(await this.ourJob('doctor', connections)), requests, expect: 403 });
  }

  /** The least that is answered with 200 to a token holder: one row through the ORM, nothing on the trail. */
  async oneRow(connections) {
    const requests = spread(connections, () => ({ method: 'GET', path: `/api/v1/hospitals/${this.ours.hospitalId}` }));
    return this.measure('one row', { ...(await this.ourJob('doctor', connections)), requests, expect: 200 });
  }

  bareTrivial(connections) {
    const requests = spread(connections, () => ({ method: 'GET', path: '/trivial' }));
    return this.measure('bare', { ...this.floorJob(this.bare, connections), requests, expect: 200 });
  }

  /** One round. @param {number[]} others connection counts beside 64 */
  async round(others) {
    const result = {};
    for (const connections of [64, ...others]) {
      const { sealed, drafted } = await this.seal(connections, false);
      result[`seal/${connections}`] = sealed;
      if (connections === 64) result['draft/64'] = drafted;
      result[`floor-write/${connections}`] = await this.floorWrite(connections, false);
      result[`read/${connections}`] = await this.read(connections);
      result[`floor-read/${connections}`] = await this.floorRead(connections);
    }
    result['seal-hot/64'] = (await this.seal(64, true)).sealed;
    result['floor-write-hot/64'] = await this.floorWrite(64, true);
    result['draft+seal/64'] = await this.draftAndSeal(64);
    result['invalid/64'] = await this.invalid(64);
    result['refused/64'] = await this.refused(64);
    result['one-row/64'] = await this.oneRow(64);
    result['bare/64'] = await this.bareTrivial(64);
    for (const measure of Object.values(result)) delete measure.kept;
    return result;
  }
}
