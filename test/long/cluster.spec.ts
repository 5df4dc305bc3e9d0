import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterTrial, complaintsOf } from '../cluster/trial';
import { ApiClient } from '../support/api-client';
import { onEachStore } from '../support/each-store';
import { type Running, startRunning } from '../support/running';
import { freePort } from '../support/servers';
import { TEST_SETTINGS } from '../support/test-app';
import { createWorld, login, type World } from '../support/world';

const SEALS = 2_000;

onEachStore(() => {
  test('SEC-92 SEC-93 ATTACK kill -9 of one of two workers amid 2,000 seals: no fork, nothing acknowledged lost, all chains valid', async () => {
    const report = await clusterTrial({ seals: SEALS });
    expect(complaintsOf(report, SEALS)).toEqual([]);
    // The killed one led: the logs went on without it.
    expect(report.hotHeight).toBeGreaterThan(SEALS / 50);
  }, 600_000);
});

describe('a cluster on SQLite', () => {
  let world: World;
  let cluster: Running;
  beforeAll(async () => {
    world = await createWorld();
    await world.app.close();
    const own = { DATA_DIR: world.dir, PORT: String(await freePort()), CLUSTER_PROCESSES: '2', MAX_CONNECTIONS: '20' };
    cluster = await startRunning('cluster', { ...TEST_SETTINGS, ...own });
  }, 120_000);
  afterAll(async () => {
    await cluster.end();
    await world.close();
  });

  /** One GET on a connection of its own, which the next worker gets, or on a kept one. */
  const getAt = (agent: Agent, path: string, token: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      const sent = request(`${cluster.url}/api/v1${path}`, { agent, headers }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0));
      });
      sent.once('error', reject).end();
    });

  test('SEC-14 a session that ends at one worker has ended at the others within 2 s', async () => {
    const kept = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    for (let trial = 0; trial < 5; trial += 1) {
      const session = await login({ ...world, anonymous: new ApiClient(cluster.url, null) }, world.patientA.id, world.patientA.username);
      const token = session.api.token ?? '';
      for (const agent of kept) expect(await getAt(agent, '/auth/me', token)).toBe(200);
      expect((await session.api.post('/auth/logout')).status).toBe(204);
      const ended = performance.now();
      for (const agent of kept) while ((await getAt(agent, '/auth/me', token)) !== 401) await sleep(5);
      expect(performance.now() - ended).toBeLessThan(2_000);
    }
    for (const agent of kept) agent.destroy();
  }, 60_000);

  test('one scrape shows every worker, each under its own label', async () => {
    for (let scrape = 0; scrape < 4; scrape += 1) {
      const metrics = await (await fetch(`${cluster.url}/metrics`, { headers: { connection: 'close' } })).text();
      for (const name of ['process_cpu_seconds_total', 'process_start_time_seconds', 'ehr_log_size', 'http_request_duration_seconds_count'])
        for (const worker of ['1', '2']) expect(metrics).toMatch(new RegExp(`^${name}\\{(.*,)?worker="${worker}"\\} \\d`, 'm'));
      expect(metrics.match(/^# TYPE process_cpu_seconds_total /gm)).toHaveLength(1);
    }
  });

  test('each worker writes log files of its own, and every line says whose it is', () => {
    for (const worker of [1, 2]) {
      for (const name of ['ehr.log', 'audit.log']) {
        const lines = readFileSync(join(world.dir, 'logs', `worker-${worker}`, name), 'utf8')
          .trim()
          .split('\n');
        for (const line of lines.filter((text) => text !== '')) expect(JSON.parse(line)).toMatchObject({ worker });
      }
    }
  });

  test('SEC-76 connections beyond what all workers may have are closed, not handed round', async () => {
    const { port } = new URL(cluster.url);
    let [open, closed] = [0, 0];
    const sockets = Array.from({ length: 60 }, () =>
      connect(Number(port), '127.0.0.1')
        .on('connect', () => (open += 1))
        .on('close', () => (closed += 1))
        .on('error', () => undefined),
    );
    while (open + closed < 60 || closed < 20) await sleep(10);
    expect(60 - closed).toBeLessThanOrEqual(40);
    for (const socket of sockets) socket.destroy();
    while (closed < 60) await sleep(10);
    expect((await fetch(`${cluster.url}/health/ready`)).status).toBe(200);
  }, 30_000);

  test('a worker that dies again and again ends the cluster with a non-zero exit code', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-'));
    const own = { DATA_DIR: dir, PORT: String(await freePort()), CLUSTER_PROCESSES: '2' };
    const dying = await startRunning('cluster', { ...TEST_SETTINGS, ...own });
    try {
      expect(dying.output().match(/Set-up code/g)).toHaveLength(1);
      const killed = new Set<number>();
      const isOver = dying.gone.then(() => true);
      process.kill(dying.workers[1] ?? 0, 'SIGKILL');
      while (!(await Promise.race([isOver, sleep(20, false)]))) {
        const [pid = 0] = [...dying.output().matchAll(/; pid (\d+) took its place/g)].map(([, text]) => Number(text)).slice(-1);
        if (pid !== 0 && !killed.has(pid)) process.kill(pid, 'SIGKILL');
        killed.add(pid);
      }
      expect(await dying.gone).toBe(1);
      expect(dying.output()).toContain('in a row ended soon');
    } finally {
      dying.kill();
      rmSync(dir, { recursive: true, force: true });
    }
  }, 120_000);

  test.each([
    ['a wrong setting', { CLUSTER_PROCESSES: '0' }],
    ['no keys for the database', { KEYS_DIR: '/nowhere/keys' }],
  ])(
    'with %s it does not start: non-zero exit, said once',
    async (_name, wrong) => {
      const own = { DATA_DIR: world.dir, PORT: String(await freePort()), CLUSTER_PROCESSES: '2' };
      const error = await startRunning('cluster', { ...TEST_SETTINGS, ...own, ...wrong }).then(
        () => 'started',
        (reason: unknown) => String(reason),
      );
      expect(error.match(/did not start: /g)).toHaveLength(1);
    },
    60_000,
  );
});
