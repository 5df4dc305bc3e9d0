import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SealLoad } from '../cluster/seal-load';
import { storedSeals } from '../cluster/stored-seals';
import { enrol } from '../cluster/trial';
import { onEachStore } from '../support/each-store';
import { ApiClient } from '../support/api-client';
import { type Running, startRunning } from '../support/running';
import { freePort } from '../support/servers';
import { TEST_SETTINGS } from '../support/test-app';
import { createWorld, draftDiagnosis, login, type World } from '../support/world';

const CLIENTS = 12;

onEachStore(() => {
  let world: World;
  let token: string;
  let patients: readonly string[];
  let store: Record<string, string>;
  let running: Running | undefined;
  beforeAll(async () => {
    world = await createWorld();
    const { postgres } = world.foundations.config;
    store = postgres ? { DATABASE_URL: postgres.url } : {};
    token = world.doctorA.api.token ?? '';
    patients = await enrol(world, CLIENTS);
    await world.app.close();
  }, 60_000);
  afterEach(() => running?.kill());
  afterAll(() => world.close());

  async function start(program: 'main' | 'cluster', settings: Record<string, string> = {}): Promise<Running> {
    const own = { DATA_DIR: world.dir, PORT: String(await freePort()), CLUSTER_PROCESSES: '2', ...store };
    return (running = await startRunning(program, { ...TEST_SETTINGS, ...own, ...settings }));
  }
  const loadOn = ({ url }: Running): SealLoad =>
    new SealLoad(
      url,
      () => token,
      (client) => patients[client] ?? '',
    );

  /** What clients were told that was no success. */
  const failuresOf = ({ failures }: SealLoad): string[] => [...failures.keys()];

  /** Everything that was stored was acknowledged, and the other way round: nobody was cut off. */
  async function expectAllTold(load: SealLoad, before: { records: number; blocks: number }): Promise<void> {
    const after = await storedSeals(world.dir, store, load.acknowledged);
    expect(after).toMatchObject({ lost: 0, forked: 0, doubled: 0 });
    expect(after.records - before.records).toBe(load.drafts);
    expect(after.blocks - before.blocks).toBe(load.acknowledged.length);
  }

  test.each(['main', 'cluster'] as const)(
    '%s: SIGTERM under load cuts no request off, what was acknowledged is stored and nothing else, exit code 0',
    async (program) => {
      const before = await storedSeals(world.dir, store, []);
      const server = await start(program);
      const load = loadOn(server);
      const ended = load.run(Infinity, CLIENTS);
      while (load.acknowledged.length < 60) await sleep(5);
      expect(await server.end()).toBe(0);
      load.stop();
      await ended;
      // Who came too late found nobody; who was there was answered.
      for (const what of failuresOf(load)) expect(what).toMatch(/^(ECONNREFUSED|ECONNRESET)$/);
      await expectAllTold(load, before);
    },
    120_000,
  );

  test('workers are replaced one by one under load, and no client notices', async () => {
    const before = await storedSeals(world.dir, store, []);
    const server = await start('cluster');
    const load = loadOn(server);
    const ended = load.run(Infinity, CLIENTS);
    for (const [index, pid] of server.workers.entries()) {
      const seals = load.acknowledged.length;
      while (load.acknowledged.length < seals + 30) await sleep(5);
      process.kill(pid, 'SIGTERM');
      await server.printed(new RegExp(`worker ${index + 1} \\(pid ${pid}\\) ended \\(exit code 0\\); pid \\d+ took its place`));
    }
    load.stop();
    await ended;
    expect(await server.end()).toBe(0);
    expect(failuresOf(load)).toEqual([]);
    await expectAllTold(load, before);
  }, 120_000);

  test('a seal that waits for its proof when the signal comes is answered with it', async () => {
    const server = await start('main', { LEDGER_CHECKPOINT_MS: '2000' });
    const doctor = { ...world.doctorA, api: new ApiClient(server.url, token) };
    // The first checkpoint comes at once; the seal after it waits for the next one.
    expect((await doctor.api.post(`/records/${await draftDiagnosis(doctor, world.patientA.id)}/seal`)).status).toBe(201);
    const draft = await draftDiagnosis(doctor, world.patientA.id);
    const sealing = doctor.api.post<Record<string, unknown>>(`/records/${draft}/seal?wait=logged`);
    await sleep(300);
    const gone = server.end();
    const { status, body, headers } = await sealing;
    expect([status, body['state'], headers.get('connection')]).toEqual([201, 'logged', 'close']);
    expect(await gone).toBe(0);
  }, 60_000);
});

describe('the end of a server', () => {
  let world: World;
  let running: Running | undefined;
  beforeAll(async () => {
    world = await createWorld();
    await world.app.close();
  }, 60_000);
  afterEach(() => running?.kill());
  afterAll(() => world.close());

  async function start(program: 'main' | 'cluster', settings: Record<string, string>): Promise<Running> {
    const own = { DATA_DIR: world.dir, PORT: String(await freePort()), CLUSTER_PROCESSES: '2' };
    return (running = await startRunning(program, { ...TEST_SETTINGS, ...own, ...settings }));
  }

  /** A request whose body never comes to its end. */
  async function startEndless({ url }: Running): Promise<Socket> {
    const anonymous = new ApiClient(url, null);
    const doctor = await login({ ...world, anonymous }, world.doctorA.id, world.doctorA.username);
    const draft = await draftDiagnosis(doctor, world.patientA.id);
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    const head = [
      `POST /api/v1/records/${draft}/attachments HTTP/1.1`,
      'host: localhost',
      `authorization: Bearer ${doctor.api.token}`,
      'content-type: image/png',
      'content-disposition: attachment; filename="x.png"',
      'content-length: 100000',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\nfirst bytes`);
    await sleep(300);
    return socket;
  }

  const readiness = (url: string, agent: Agent): Promise<{ status: number; connection: string | undefined }> =>
    new Promise((resolve, reject) => {
      get(`${url}/health/ready`, { agent }, (response) => {
        response.resume().once('end', () => resolve({ status: response.statusCode ?? 0, connection: response.headers.connection }));
      }).once('error', reject);
    });

  test.each(['main', 'cluster'] as const)(
    '%s: readiness is 503 at once and connections are told to end, while new ones are still served for the delay',
    async (program) => {
      const server = await start(program, { SHUTDOWN_DELAY_SECONDS: '3' });
      const { url } = server;
      const kept = new Agent({ keepAlive: true, maxSockets: 1 });
      expect(await readiness(url, kept)).toEqual({ status: 200, connection: 'keep-alive' });
      const gone = server.end();
      while ((await readiness(url, kept)).status === 200) await sleep(5);
      for (let request = 0; request < 4; request += 1)
        expect(await readiness(url, new Agent({ keepAlive: true }))).toEqual({ status: 503, connection: 'close' });
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
      expect(await gone).toBe(0);
      await expect(fetch(`${url}/health/live`)).rejects.toThrow();
    },
    60_000,
  );

  test.each(['main', 'cluster'] as const)(
    '%s: a request that does not end is cut off at the bound, and the exit code says so',
    async (program) => {
      const server = await start(program, { SHUTDOWN_SECONDS: '1' });
      const socket = await startEndless(server);
      const cut = once(socket, 'close');
      expect(await server.end()).toBe(1);
      await cut;
    },
    60_000,
  );

  test.each(['main', 'cluster'] as const)(
    '%s: a second signal ends it at once',
    async (program) => {
      const server = await start(program, { SHUTDOWN_SECONDS: '600' });
      await startEndless(server);
      void server.end();
      await sleep(1_000);
      expect(await Promise.race([server.gone, Promise.resolve('runs')])).toBe('runs');
      expect(await server.end()).toBe(1);
      for (const pid of server.workers) while (isAlive(pid)) await sleep(20);
    },
    60_000,
  );

  test('a terminal signals the whole group: workers leave it to their primary', async () => {
    const server = await start('cluster', {});
    for (const pid of server.workers) process.kill(pid, 'SIGINT');
    const gone = server.end('SIGINT');
    for (const pid of server.workers) process.kill(pid, 'SIGINT');
    expect(await gone).toBe(0);
  }, 60_000);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
