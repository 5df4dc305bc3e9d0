import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient, type Answer } from '../support/api-client';
import { type OwnPostgres, ownPostgres } from '../support/own-postgres';
import { ask } from '../support/postgres-roles';
import { type Server, startServer } from '../support/servers';
import { startTestApp } from '../support/test-app';
import { createWorld, draftDiagnosis, type Person, type World } from '../support/world';

let postgres: OwnPostgres;
let world: World;
let url: string;
beforeAll(async () => {
  postgres = ownPostgres();
  await ask(postgres.url(), 'CREATE DATABASE ehr');
  url = postgres.url('ehr');
  world = await createWorld({ DATABASE_URL: url });
  await world.app.close();
}, 90_000);
afterAll(async () => {
  await world.close();
  postgres.end();
});

async function withServer(settings: Record<string, string>, work: (server: Server) => Promise<void>): Promise<void> {
  const server = await startServer(world.dir, { DATABASE_URL: url, ...settings });
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

const at = (server: Server, person: Person): Person => ({ ...person, api: new ApiClient(server.url, person.api.token) });
const ready = (server: Server): Promise<Response> => fetch(`${server.url}/health/ready`);

interface Sealed {
  recordId: string;
  blockHash: string;
}

async function blocks(): Promise<Map<string, string>> {
  const { rows } = await ask(url, `SELECT "recordId" AS id, encode("blockHash", 'hex') AS hash FROM "ledger_block"`);
  return new Map((rows as { id: string; hash: string }[]).map(({ id, hash }) => [id, hash]));
}

test('SEC-92 PostgreSQL crashes beneath a working server and comes back: clients see 503 and then go on, and nothing acknowledged is lost', async () => {
  const acknowledged: Sealed[] = [];
  const refused: Answer[] = [];
  await withServer({}, async (server) => {
    const doctors = [world.doctorA, world.colleagueA].map((doctor) => at(server, doctor));
    let isOver = false;
    const post = async (doctor: Person, path: string, body?: Record<string, unknown>): Promise<Answer | null> => {
      const answer = await doctor.api.post(path, body);
      if (answer.status < 400) return answer;
      refused.push(answer);
      await sleep(50);
      return null;
    };
    const worker = async (index: number): Promise<void> => {
      const doctor = doctors[index % 2] ?? at(server, world.doctorA);
      while (!isOver) {
        const draft = await post(doctor, `/patients/${world.patientA.id}/diagnoses`, { code: 'I10', display: 'Hypertension' });
        const sealed = draft && (await post(doctor, `/records/${String(draft.body['id'])}/seal`));
        if (sealed) acknowledged.push(sealed.body as unknown as Sealed);
      }
    };
    const workers = Array.from({ length: 6 }, (_, index) => worker(index));
    for (const round of [1, 2]) {
      const before = acknowledged.length;
      while (acknowledged.length < before + 20) await sleep(5);
      await postgres.crash();
      const down = await ready(server);
      expect([round, down.status, down.headers.get('retry-after')]).toEqual([round, 503, '1']);
      while (refused.length < 20 * round) await sleep(5);
      await postgres.start();
      while ((await ready(server)).status !== 200) await sleep(20);
    }
    const before = acknowledged.length;
    while (acknowledged.length < before + 20) await sleep(5);
    isOver = true;
    await Promise.all(workers);
  });
  expect(new Set(refused.map(({ status, headers }) => `${status} ${headers.get('retry-after')}`))).toEqual(new Set(['503 1']));
  const stored = await blocks();
  expect(acknowledged.filter(({ recordId, blockHash }) => stored.get(recordId) !== blockHash)).toEqual([]);
  const app = await startTestApp({ DATABASE_URL: url }, world.dir);
  await app.expectChainsIntact();
  await app.app.close();
}, 120_000);

test('each pool has as many connections as it may, and says who it is; more units than connections wait for their turn', async () => {
  await withServer({ DATABASE_POOL: '3', DATABASE_READ_POOL: '2' }, async (server) => {
    const doctor = at(server, world.doctorA);
    const counts: Record<string, number> = {};
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        const { rows } = await ask(
          url,
          `SELECT application_name AS name, COUNT(*)::int AS n FROM pg_stat_activity WHERE datname = 'ehr' GROUP BY 1`,
        );
        for (const { name, n } of rows as { name: string; n: number }[]) counts[name] = Math.max(n, counts[name] ?? 0);
      }
    })();
    const reads = Promise.all(Array.from({ length: 40 }, () => doctor.api.get(`/patients/${world.patientA.id}`)));
    const drafts = await Promise.all(Array.from({ length: 40 }, () => draftDiagnosis(doctor, world.patientA.id)));
    expect((await reads).map(({ status }) => status)).toEqual(drafts.map(() => 200));
    isOver = true;
    await watching;
    expect(new Set(drafts).size).toBe(40);
    expect(counts).toMatchObject({ 'bjwt-ehr writer': 3, 'bjwt-ehr reader': expect.any(Number) as number, 'bjwt-ehr peers': 1 });
    expect(counts['bjwt-ehr reader']).toBeLessThanOrEqual(2);
  });
}, 60_000);

test('a statement whose time is up, or whose lock somebody holds, is a 503 that may be tried again', async () => {
  await withServer({}, async (server) => {
    const doctor = at(server, world.doctorA);
    const lock = ask(url, 'BEGIN', 'LOCK TABLE "record" IN ACCESS EXCLUSIVE MODE', 'SELECT pg_sleep(60)').catch(() => undefined);
    const waiting = doctor.api.post(`/patients/${world.patientA.id}/diagnoses`, { code: 'I10', display: 'Hypertension' });
    const cancel = (pattern: string) =>
      ask(url, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = 'ehr' AND pid <> pg_backend_pid() AND ${pattern}`);
    while ((await cancel(`wait_event_type = 'Lock' AND application_name = 'bjwt-ehr writer'`)).rowCount === 0) await sleep(20);
    const answer = await waiting;
    expect([answer.status, answer.body['code'], answer.headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
    await cancel(`query LIKE '%pg_sleep%'`);
    await lock;
    await draftDiagnosis(doctor, world.patientA.id);
  });
}, 60_000);

test('PostgreSQL itself ends what hangs: time limits of statements, locks and open transactions, on both pools', async () => {
  const app = await startTestApp({ DATABASE_URL: url }, world.dir);
  const names = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
  for (const source of [app.foundations.sources.writer, app.foundations.sources.reader]) {
    const rows = await source.query<{ setting: string }[]>(`SELECT setting FROM pg_settings WHERE name = ANY($1)`, [names]);
    expect(rows).toHaveLength(3);
    for (const { setting } of rows) expect(Number(setting)).toBeGreaterThan(0);
  }
  await app.app.close();
});

/** A way to the database on which, when `freeze` is called, what is connected carries nothing any more, as after a power cut of its host; new connections work. */
async function proxy(): Promise<{ url: string; freeze(): void; close(): void }> {
  const folder = decodeURIComponent(/host=([^&]*)/.exec(url)?.[1] ?? '');
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-proxy-'));
  const pairs: [Socket, Socket][] = [];
  const server = createServer((near) => {
    const far = connect(join(folder, '.s.PGSQL.5432'));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const)
      from
        .on('data', (data) => to.write(data))
        .on('error', () => to.destroy())
        .on('close', () => to.destroy());
    pairs.push([near, far]);
  });
  await new Promise<void>((resolve) => server.listen(join(dir, '.s.PGSQL.5432'), resolve));
  return {
    url: url.replace(/host=[^&]*/, `host=${encodeURIComponent(dir)}`),
    freeze: () => {
      for (const [near, far] of pairs.splice(0)) {
        near.removeAllListeners('close').removeAllListeners('data').pause();
        far.removeAllListeners('close').removeAllListeners('data').destroy();
      }
    },
    close: () => {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

test('SEC-92 ATTACK connections that die without a word: the server gives them up within a minute and works again, with nothing half done', async () => {
  const way = await proxy();
  const server = await startServer(world.dir, { DATABASE_URL: way.url });
  try {
    const [doctor, hospital] = [at(server, world.doctorA), at(server, world.hospitalA)];
    const acts: (() => Promise<{ status: number }>)[] = [
      () => doctor.api.get(`/patients/${world.patientA.id}`),
      () => doctor.api.post(`/patients/${world.patientA.id}/diagnoses`, { code: 'I10', display: 'Hypertension' }),
      () => hospital.api.post('/patients', { name: 'New Born', birthDate: '2020-01-01', gender: 'female' }),
      () => ready(server),
    ];
    const statuses = async () => Promise.all(acts.map(async (act) => (await act()).status));
    const well = [200, 201, 201, 200];
    expect(await statuses()).toEqual(well);
    way.freeze();
    const first = statuses(); // each answered, if with an error
    expect((await first).every((status) => status >= 200)).toBe(true);
    await sleep(20_000);
    expect(await statuses()).toEqual(well);
  } finally {
    await server.stop();
    way.close();
  }
}, 180_000);
