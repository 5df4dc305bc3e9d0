import { setTimeout as sleep } from 'node:timers/promises';
import { TEST_SETTINGS } from '../support/test-app';
import { type Running, startRunning } from '../support/running';
import { freePort } from '../support/servers';
import { runProgram } from '../support/tools';
import { createWorld, type World } from '../support/world';
import { ApiClient } from '../support/api-client';
import { SealLoad } from './seal-load';
import { storedSeals } from './stored-seals';

export interface TrialOptions {
  readonly seals: number;
  readonly processes?: number;
  readonly clients?: number;
}

/** What a trial found; `complaintsOf` judges it. */
export interface TrialReport {
  readonly store: 'sqlite' | 'postgres';
  readonly processes: number;
  readonly patients: number;
  readonly seals: number;
  readonly seconds: number;
  readonly sealsPerSecond: number;
  readonly longestGapMs: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly unsure: number;
  readonly hotHeight: number;
  readonly replaced: string;
  readonly exit: number | string;
  readonly records: number;
  readonly blocks: number;
  readonly leaves: number;
  readonly pending: number;
  /** Acknowledged seals that are not stored as they were acknowledged. */
  readonly lost: number;
  /** Places in chains that were given to two seals, and records that have two blocks. */
  readonly forked: number;
  readonly doubled: number;
  readonly auditExit: number;
  readonly auditSummary: string;
}

/** What clients may see when a worker was killed, and when there is no other. */
const KNOWN = /^(503 |ECONNRESET|EPIPE|cut off|no answer in time)/;
const GONE = /^ECONNREFUSED/;
const TOKEN_MS = 120_000;
/** One seal in so many is of the hot patient. */
const HOT = 16;

/**
 * Seals on many chains and on a hot one through a cluster over the ordinary routes; in the middle the worker that leads is killed; at the end everything that
 * was acknowledged must be there, once, and all chains valid. On PostgreSQL when the tests have one (test/support/test-store.ts), else on SQLite.
 */
export async function clusterTrial({ seals, processes = 2, clients = 32 }: TrialOptions): Promise<TrialReport> {
  const world = await createWorld();
  try {
    const { config } = world.foundations;
    const patients = await enrol(world, Math.min(500, Math.max(20, Math.ceil(seals / 100))));
    await world.app.close();
    const store: Record<string, string> = config.postgres ? { DATABASE_URL: config.postgres.url } : {};
    const env = {
      ...TEST_SETTINGS,
      LEDGER_CHECKPOINT_MS: '1000',
      DATA_DIR: world.dir,
      PORT: String(await freePort()),
      CLUSTER_PROCESSES: String(processes),
      ...store,
    };
    const cluster = await startRunning('cluster', env);
    const start = performance.now();
    const [load, exit] = await sealAndKill(cluster, world, patients, seals, clients);
    const { code, stdout } = await runProgram('tools/audit', [], { PATH: process.env['PATH'] ?? '', DATA_DIR: world.dir, ...store });
    return {
      store: config.postgres ? 'postgres' : 'sqlite',
      processes,
      patients: patients.length + 1,
      seals: load.acknowledged.length,
      seconds: Math.round((load.endedAt - start) / 1_000),
      sealsPerSecond: Math.round(load.acknowledged.length / ((load.endedAt - start) / 1_000)),
      longestGapMs: Math.round(load.longestGap),
      failures: Object.fromEntries(load.failures),
      unsure: load.unsure.length,
      replaced: /worker 1 .*took its place/.exec(cluster.output())?.[0] ?? 'never',
      exit,
      ...(await storedSeals(world.dir, store, load.acknowledged)),
      auditExit: code,
      auditSummary: stdout.trim().split('\n').slice(-6).join(' | '),
    };
  } finally {
    await world.close();
  }
}

/** Why the trial was not passed; empty when it was. */
export function complaintsOf(report: TrialReport, seals: number): string[] {
  const complaints: string[] = [];
  const expect = (isRight: boolean, complaint: string) => void (isRight || complaints.push(complaint));
  expect(report.seals >= seals, `only ${report.seals} seals were acknowledged`);
  for (const key of ['lost', 'forked', 'doubled', 'pending'] as const) expect(report[key] === 0, `${report[key]} ${key}`);
  expect(report.blocks >= report.seals && report.blocks <= report.seals + report.unsure, `${report.blocks} blocks`);
  expect(report.leaves >= report.blocks, `${report.leaves} leaves`);
  expect(report.replaced !== 'never', 'the killed worker was never replaced');
  expect(report.exit === 0, `the cluster ended with ${report.exit}`);
  expect(report.auditExit === 0, `the audit ended with ${report.auditExit}`);
  // A client may see that its connection broke, or that it should come again; nothing else.
  for (const what of Object.keys(report.failures))
    expect(KNOWN.test(what) || (report.processes === 1 && GONE.test(what)), `answers: ${what}`);
  return complaints;
}

/** Patients of hospital A, without accounts. */
export async function enrol({ doctorA }: World, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const profile = { name: `Patient ${index}`, birthDate: '1984-02-29', gender: 'female' };
    const { status, body } = await doctorA.api.post<{ patient: { id: string } }>('/patients', profile);
    if (status !== 201) throw new Error(`enrolment: ${status}`);
    ids.push(body.patient.id);
  }
  return ids;
}

type Ran = SealLoad & { endedAt: number };

async function sealAndKill(
  cluster: Running,
  world: World,
  patients: string[],
  seals: number,
  clients: number,
): Promise<[Ran, number | string]> {
  const anonymous = new ApiClient(cluster.url, null);
  const { username, password } = world.doctorA;
  const login = async () => (await anonymous.post<{ accessToken: string }>('/auth/login', { username, password })).body.accessToken;
  let token = await login();
  // While a worker dies a login may fail; the next one comes soon enough.
  const renewal = setInterval(
    () =>
      void login().then(
        (fresh) => (token = fresh ?? token),
        () => undefined,
      ),
    TOKEN_MS,
  );
  const load = new SealLoad(
    cluster.url,
    () => token,
    (client, seal) => (client % HOT === 0 ? world.patientA.id : (patients[(client * 7919 + seal) % patients.length] ?? '')),
  );
  try {
    const running = load.run(seals, clients);
    while (load.acknowledged.length < seals / 2) await sleep(5);
    process.kill(cluster.workers[0] ?? 0, 'SIGKILL');
    await running;
    const endedAt = performance.now();
    await cluster.printed(/took its place/);
    await sequenced(cluster.url);
    return [Object.assign(load, { endedAt }), await cluster.end()];
  } finally {
    clearInterval(renewal);
    cluster.kill();
  }
}

/** Resolves when every entry has its place in the log. */
async function sequenced(url: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1, await sleep(200)) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const waiting = [...metrics.matchAll(/^ehr_log_pending\S* (\d+)$/gm)].map(([, count]) => Number(count));
    if (waiting.length > 0 && waiting.every((count) => count === 0)) return;
  }
  throw new Error('entries wait for ever for their place in the log');
}
