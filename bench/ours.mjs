/** Our server as its own process on a scratch folder, and the world in it, made over HTTP as any client would. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask, end, printed, start } from './processes.mjs';

export const PASSWORD = 'violet kettle walks north';
const PROBE = new URL('./probe.mjs', import.meta.url);
const GIVEN = ['Ayşe', 'Chen', 'Dilan', 'Elif', 'Fatma', 'Hasan', 'Jun', 'Leyla', 'Mehmet', 'Nour', 'Omar', 'Rojda', 'Sara'];
const FAMILY = ['Acar', 'Bulut', 'Demir', 'Erdem', 'Güneş', 'Kaya', 'Li', 'Öztürk', 'Şahin', 'Tekin', 'Wang', 'Yıldız'];
const ENROLLED_AT_ONCE = 16;
/** Access tokens live 600 s; a phase must not meet the end of one. */
const FRESH_MS = 200_000;

/** About 1 KB as it is sent. */
export const DIAGNOSIS = JSON.stringify({
  code: 'E11.9',
  display: 'Type 2 diabetes mellitus without complications',
  onset: '2026-10-01',
  severity: 'moderate',
  note: 'Fasting glucose 148 mg/dL twice, HbA1c 7.9 %. Metformin 500 mg twice daily, diet advice given, retinal screening ordered. '
    .repeat(9)
    .slice(0, 860),
});

/** Production settings; only the rate limits are raised, and a proxy is trusted so that clients have addresses of their own. */
const settings = (data) => ({
  PATH: process.env.PATH ?? '',
  NODE_ENV: 'production',
  DATA_DIR: data,
  PORT: '0',
  LOG_CONSOLE: 'false',
  REQUESTS_PER_MINUTE: '100000000',
  LOGINS_PER_MINUTE: '100000000',
  LOGINS_PER_MINUTE_ALL: '100000000',
  TRUSTED_PROXIES: '127.0.0.1',
});

export class OurServer {
  /**
   * @param {string} dir scratch folder
   * @param {string} dist folder of the compiled server
   * @param {Record<string, string>} more settings
   */
  constructor(dir, dist, more = {}) {
    Object.assign(this, { dir, dist, more });
    this.data = join(dir, 'data');
    this.database = join(this.data, 'ehr.sqlite');
    this.people = {};
  }

  /** Starts the process; resolves when it listens. `startMs` is the time from the spawn to that line. */
  async start({ countSql = false } = {}) {
    this.program = start(join(this.dist, 'src', 'main.js'), {
      execArgv: ['--import', fileURLToPath(PROBE)],
      env: {
        ...settings(this.data),
        ...this.more,
        ...(countSql ? { BENCH_COUNT_SQL: '1', LEDGER_SCRUB_BLOCKS: '0', LEDGER_TRAIL_SECONDS: '3600' } : {}),
      },
    });
    const [, url] = await printed(this.program, /listens on (http\S+)/);
    this.url = url.replace('[::1]', '127.0.0.1');
    this.startMs = performance.now() - this.program.startedAt;
    this.tokens = {};
    return this;
  }

  stop() {
    return end(this.program);
  }

  get pid() {
    return this.program.pid;
  }

  ask(question, more) {
    return ask(this.program, question, more);
  }

  /** One call of the API; anything but the expected status ends the run. */
  async call(role, method, path, body, { expect = method === 'POST' ? 201 : 200, type = 'application/json' } = {}) {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        ...(role === null ? {} : { authorization: `Bearer ${await this.token(role)}` }),
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status !== expect) throw new Error(`${method} ${path}: ${response.status}, not ${expect}: ${text.slice(0, 500)}`);
    return text === '' ? {} : JSON.parse(text);
  }

  /** A token with time left. */
  async token(role) {
    const known = this.tokens[role];
    if (known && Date.now() - known.at < FRESH_MS) return known.token;
    const { accessToken, deviceToken } = await this.signIn(role);
    this.tokens[role] = { token: accessToken, at: Date.now() };
    if (role === 'doctor') this.deviceToken = deviceToken;
    return accessToken;
  }

  signIn(role) {
    return this.call(null, 'POST', '/auth/login', { username: this.people[role].username, password: PASSWORD }, { expect: 200 });
  }

  /** Founder, hospital, doctor, and patients: one hot, `count` others, and `named` to search for. */
  async setUp(count, named = 0) {
    const [, code] = await printed(this.program, /Set-up code[^:]*: (\S+)/);
    await this.call(null, 'POST', '/setup', { code, name: 'Founder', username: 'founder', password: PASSWORD });
    this.people.founder = { username: 'founder' };
    const hospital = await this.call('founder', 'POST', '/hospitals', { name: 'City Hospital', city: 'Diyarbakır', country: 'TR' });
    await this.activate('hospital', hospital.activation);
    const staff = { name: 'Dr. Ada Yılmaz', specialty: 'Cardiology', licence: 'TR-114' };
    await this.activate('doctor', (await this.call('hospital', 'POST', '/hospitals/me/staff', staff)).activation);
    this.hospitalId = (await this.call('hospital', 'GET', '/auth/me')).hospitalId;
    const enrol = async (name) =>
      (await this.call('doctor', 'POST', '/patients', { name, birthDate: '1984-02-29', gender: 'female' })).patient.id;
    this.patients = [];
    for (let index = 0; index < count; index += 1) this.patients.push(await enrol(`Patient ${index}`));
    this.hot = await enrol('Hot Patient');
    this.names = Array.from({ length: named }, (_, index) => `${GIVEN[index % GIVEN.length]} ${FAMILY[(index * 3) % FAMILY.length]}`);
    for (let index = 0; index < named; index += ENROLLED_AT_ONCE)
      await Promise.all(this.names.slice(index, index + ENROLLED_AT_ONCE).map(enrol));
  }

  async activate(role, { code }) {
    await this.call(null, 'POST', '/auth/activate', { code, username: role, password: PASSWORD }, { expect: 200 });
    this.people[role] = { username: role };
  }

  /** Seals a chain of `blocks` records of one new patient through the import of a bundle; answers with the patient's id. */
  async importChain(blocks) {
    const patient = 'urn:uuid:00000000-0000-4000-8000-000000000001';
    const { note, code, display } = JSON.parse(DIAGNOSIS);
    const condition = {
      resourceType: 'Condition',
      clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }] },
      code: { coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code, display }], text: display },
      subject: { reference: patient },
      note: [{ text: note }],
    };
    const person = { resourceType: 'Patient', name: [{ text: 'Long Chain' }], birthDate: '1950-01-01', gender: 'male' };
    const entry = [{ fullUrl: patient, resource: person }, ...Array.from({ length: blocks }, () => ({ resource: condition }))];
    const bundle = JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry });
    return (await this.call('doctor', 'POST', '/imports', bundle, { type: 'application/fhir+json' })).patientId;
  }
}
