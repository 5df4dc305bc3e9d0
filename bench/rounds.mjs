/** The interleaved rounds: in each one every measure of ours stands beside the same measure of the floor, so that a noisy machine troubles both. */
import { availableParallelism } from 'node:os';
import { DIAGNOSIS, PASSWORD } from './ours.mjs';
import { Meter, spread } from './measure.mjs';
import { cpuMs } from './processes.mjs';
import { rawArgon2id } from './raw.mjs';

const POOL = 512;
/** Sign-ins at once: the server hashes twice as many as there are cores, and lets 50 more wait. */
const SIGN_INS = 16;
const CHART = 20;

/** The acts of a client, each a measure. */
export class Rounds extends Meter {
  /**
   * @param {import('./ours.mjs').OurServer} ours
   * @param {Record<'floor' | 'bare' | 'naive', { url: string, token: string, pid: number } | undefined>} yardsticks
   */
  constructor(ours, yardsticks, seconds) {
    super(seconds);
    Object.assign(this, { ours, ...yardsticks });
    this.sealed = [];
    this.drafts = new Map();
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
  async seal(connections, hot, amount = this.amount('seal', connections)) {
    const drafted = await this.draft(amount, hot);
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

  /**
   * The least that happens to a token holder without a statement: an import without a body, which the handler refuses at once (415). Rate limit, token,
   * role, sign-in, handler; nothing on the trail.
   */
  async trivial(connections) {
    const requests = spread(connections, () => ({ method: 'POST', path: '/api/v1/imports' }));
    return this.measure('trivial', { ...(await this.ourJob('doctor', connections)), requests, expect: 415 });
  }

  /** A query that validation refuses (400), with the list of what is wrong. */
  async invalid(connections) {
    const requests = spread(connections, () => ({ method: 'GET', path: '/api/v1/patients?limit=0' }));
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

  /** The naive app does draft and seal in one request, as the floor. */
  naiveWrite(connections) {
    const path = (index) => `/patients/patient-${index % this.ours.patients.length}/diagnoses`;
    const requests = spread(connections, (index) => ({ method: 'POST', path: path(index), body: DIAGNOSIS }));
    return this.measure('naive', { ...this.floorJob(this.naive, connections), requests, expect: 201 });
  }

  /** The first page of a chart, all of it decrypted. */
  async list(connections) {
    const { patients } = this.ours;
    const requests = spread(connections, (index) => ({
      method: 'GET',
      path: `/api/v1/patients/${patients[index % patients.length]}/records?limit=${CHART}`,
    }));
    return this.measure('list', { ...(await this.ourJob('doctor', connections)), requests, expect: 200 });
  }

  /** By two words of a name. */
  async search(connections) {
    const { names } = this.ours;
    const requests = spread(connections, (index) => ({
      method: 'GET',
      path: `/api/v1/patients?q=${encodeURIComponent(names[(index * 7) % names.length])}`,
    }));
    return this.measure('search', { ...(await this.ourJob('doctor', connections)), requests, expect: 200 });
  }

  /** From a device that is known. */
  async login() {
    const { url, pid, deviceToken } = this.ours;
    const body = JSON.stringify({ username: 'doctor', password: PASSWORD });
    const requests = spread(SIGN_INS, () => ({ method: 'POST', path: '/api/v1/auth/login', body }));
    const headers = { 'x-device-token': deviceToken };
    return this.measure('login', { url, pid, connections: SIGN_INS, headers, requests, expect: 200 });
  }

  /** Sixteen sessions, each refreshed again and again. */
  async refresh() {
    const { url, pid } = this.ours;
    const signIns = await Promise.all(Array.from({ length: SIGN_INS }, () => this.ours.signIn('doctor')));
    const refresh = signIns.map(({ refreshToken }) => refreshToken);
    return this.measure('refresh', { url, pid, connections: SIGN_INS, headers: {}, refresh, expect: 200 });
  }

  /** One bundle, all of it in one transaction; acts are records. */
  async import(records) {
    const before = cpuMs(this.ours.pid);
    const started = performance.now();
    await this.ours.importChain(records);
    const seconds = (performance.now() - started) / 1000;
    return { rate: records / seconds, count: records, seconds, cpuUs: ((cpuMs(this.ours.pid) - before) * 1000) / records, loadShare: null };
  }

  /** Fills the charts, so that lists have what they show. */
  async fillCharts() {
    const { patients } = this.ours;
    await this.seal(16, false, patients.length * CHART);
  }

  /**
   * One round.
   * @param {ReadonlySet<string>} parts which measures @param {readonly number[]} connections counts, 64 among them @param {number} records of an import
   */
  async round(parts, connections, records) {
    const result = {};
    const once = async (name, work) => (result[name] ??= await work());
    const sealBoth = async (count, hot) => {
      const name = hot ? 'seal-hot' : 'seal';
      if (result[`${name}/${count}`]) return;
      const { sealed, drafted } = await this.seal(count, hot);
      result[`${name}/${count}`] = sealed;
      if (!hot && count === 64) result['draft/64'] = drafted;
      result[`floor-${hot ? 'write-hot' : 'write'}/${count}`] = await this.floorWrite(count, hot);
    };
    if (parts.has('seal')) {
      for (const count of connections) for (const hot of [false, true]) await sealBoth(count, hot);
      result['draft+seal/64'] = await this.draftAndSeal(64);
    }
    if (parts.has('naive')) {
      await sealBoth(64, false);
      await once('draft+seal/64', () => this.draftAndSeal(64));
      result['naive/64'] = await this.naiveWrite(64);
    }
    if (parts.has('read'))
      for (const count of connections) {
        result[`read/${count}`] = await this.read(count);
        result[`floor-read/${count}`] = await this.floorRead(count);
      }
    if (parts.has('list')) {
      result['list/64'] = await this.list(64);
      await once('floor-read/64', () => this.floorRead(64));
      result['search/64'] = await this.search(64);
    }
    if (parts.has('login')) {
      result['login/16'] = await this.login();
      result['argon2/16'] = await rawArgon2id(this.seconds, availableParallelism());
      result['refresh/16'] = await this.refresh();
      await once('floor-write/16', () => this.floorWrite(16, false));
    }
    if (parts.has('trivial')) {
      result['trivial/64'] = await this.trivial(64);
      result['bare/64'] = await this.bareTrivial(64);
      result['invalid/64'] = await this.invalid(64);
      result['refused/64'] = await this.refused(64);
      result['one-row/64'] = await this.oneRow(64);
    }
    if (parts.has('import')) {
      result.import = await this.import(records);
      await once('floor-write/64', () => this.floorWrite(64, false));
    }
    for (const measure of Object.values(result)) delete measure.kept;
    return result;
  }
}
