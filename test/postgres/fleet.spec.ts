import { setTimeout as sleep } from 'node:timers/promises';
import { startTestApp, type TestApp } from '../support/test-app';
import { ApiClient } from '../support/api-client';
import { type Server, startServer } from '../support/servers';
import { createWorld, draftDiagnosis, login, type Person, type World } from '../support/world';

/** Two servers on one PostgreSQL database. */
let world: World;
let url: string;
beforeAll(async () => {
  world = await createWorld();
  url = world.foundations.config.postgres?.url ?? '';
  await world.app.close();
}, 60_000);
afterAll(() => world.close());

interface Seal {
  readonly chainId: string;
  readonly height: number;
  readonly blockHash: string;
  readonly recordId: string;
  readonly state: string;
}

async function withFleet(work: (servers: readonly Server[]) => Promise<void>, settings: Record<string, string> = {}): Promise<void> {
  const servers = await Promise.all([1, 2].map(() => startServer(world.dir, { DATABASE_URL: url, ...settings })));
  try {
    await work(servers);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function inspected(check: (app: TestApp) => Promise<void>): Promise<void> {
  const app = await startTestApp({ DATABASE_URL: url }, world.dir);
  try {
    await app.expectChainsIntact();
    await check(app);
  } finally {
    await app.app.close();
  }
}

const at = (server: Server | undefined, person: Person): Person => ({ ...person, api: new ApiClient(server?.url ?? '', person.api.token) });

async function sealThere(server: Server | undefined, doctor: Person, patientId: string): Promise<Seal | null> {
  const there = at(server, doctor);
  const draft = await draftDiagnosis(there, patientId).catch(() => null);
  const sealed = draft === null ? null : await there.api.post<Seal & Record<string, unknown>>(`/records/${draft}/seal`).catch(() => null);
  return sealed?.status === 201 ? sealed.body : null;
}

test('SEC-93 ATTACK two instances forking one chain: 80 seals on one chain through two servers never fork it', async () => {
  const seals: (Seal | null)[] = [];
  await withFleet(async (servers) => {
    const work = Array.from({ length: 80 }, (_, index) => sealThere(servers[index % 2], world.doctorA, world.patientA.id));
    seals.push(...(await Promise.all(work)));
  });
  const places = seals.map((seal) => `${seal?.chainId} ${seal?.height}`);
  expect(new Set(places).size).toBe(80);
  expect(seals.map((seal) => seal?.state)).toEqual(seals.map(() => 'logged'));
  await inspected(async ({ foundations }) => {
    const rows = await foundations.sources.reader.query<{ n: number }[]>('SELECT COUNT(*) AS n FROM "ledger_block" WHERE "height" > 0');
    expect(rows).toEqual([{ n: 80 }]);
  });
}, 120_000);

test('SEC-92 kill -9 of the server that leads: the other one takes over, nothing acknowledged is lost', async () => {
  const seals: Seal[] = [];
  await withFleet(async (servers) => {
    let isOver = false;
    const worker = async (index: number): Promise<void> => {
      while (!isOver) {
        const seal = await sealThere(servers[index % 2], [world.doctorA, world.colleagueA][index % 2] ?? world.doctorA, world.patientA.id);
        if (seal) seals.push(seal);
        else await sleep(20);
      }
    };
    const workers = Array.from({ length: 8 }, (_, index) => worker(index));
    while (seals.length < 40) await sleep(5);
    await servers[0]?.stop('SIGKILL');
    const before = seals.length;
    while (seals.length < before + 40) await sleep(5);
    isOver = true;
    await Promise.all(workers);
  });
  expect(new Set(seals.map((seal) => `${seal.chainId} ${seal.height}`)).size).toBe(seals.length);
  await inspected(async ({ foundations }) => {
    const rows = await foundations.sources.reader.query<{ id: string; hash: string }[]>(
      `SELECT "recordId" AS id, encode("blockHash", 'hex') AS hash FROM "ledger_block"`,
    );
    const stored = new Map(rows.map(({ id, hash }) => [id, hash]));
    expect(seals.filter((seal) => stored.get(seal.recordId) !== seal.blockHash)).toEqual([]);
  });
}, 120_000);

test('SEC-14 a session that ends at one server has ended at the other within 2 s', async () => {
  await withFleet(async ([first, second]) => {
    const lags: number[] = [];
    for (let trial = 0; trial < 20; trial += 1) {
      const anonymous = new ApiClient(first?.url ?? '', null);
      const session = await login({ ...world, anonymous }, world.patientA.id, world.patientA.username);
      expect((await at(second, session).api.get('/auth/me')).status).toBe(200);
      expect((await session.api.post('/auth/logout')).status).toBe(204);
      const ended = performance.now();
      while ((await at(second, session).api.get('/auth/me')).status !== 401) await sleep(5);
      lags.push(performance.now() - ended);
    }
    expect(Math.max(...lags)).toBeLessThan(2_000);
  });
}, 120_000);
