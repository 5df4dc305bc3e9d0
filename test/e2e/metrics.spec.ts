import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_ACTIONS, CHART_ACTIONS } from '../../src/audit/actions';
import { PROBLEMS } from '../../src/common/errors';
import { Database } from '../../src/database/database';
import { RunAgain } from '../../src/database/executor';
import { LogPublisher } from '../../src/tlog/log-publisher.service';
import { TrailBatchesService } from '../../src/ledger/trail-batches.service';
import { type Metrics, metricsOf } from '../support/metrics';
import { createWorld, draftDiagnosis, PASSWORD, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
}, 60_000);
afterAll(() => world.close());

/** What moved while `work` ran. */
async function change(work: () => Promise<unknown>): Promise<(name: string, labels?: Record<string, string>) => number> {
  const before = await metricsOf(world);
  await work();
  const after = await metricsOf(world);
  return (name, labels) => after.sum(name, labels) - before.sum(name, labels);
}

async function until(done: (metrics: Metrics) => boolean): Promise<Metrics> {
  for (let tries = 0; tries < 400; tries += 1) {
    const metrics = await metricsOf(world);
    if (done(metrics)) return metrics;
    await sleep(25);
  }
  throw new Error('it did not come to this');
}

describe('R27 metrics move with what they count', () => {
  test('R27 requests by route and class of status, and the reason of those that were refused', async () => {
    const moved = await change(async () => {
      for (let i = 0; i < 3; i += 1) await world.doctorA.api.get(`/patients/${world.patientA.id}`);
      await world.doctorB.api.get(`/patients/${world.patientA.id}`);
      await world.anonymous.get(`/patients/${world.patientA.id}`);
      await world.anonymous.post('/auth/login', { username: 'nobody.here', password: PASSWORD });
    });
    const route = '/api/v1/patients/:id';
    const count = 'http_request_duration_seconds_count';
    expect(moved(count, { method: 'GET', route, status: '2xx' })).toBe(3);
    expect(moved(count, { method: 'GET', route, status: '4xx' })).toBe(2);
    expect(moved('http_request_duration_seconds_sum', { route })).toBeGreaterThan(0);
    expect(moved('http_request_duration_seconds_bucket', { route, le: '+Inf' })).toBe(5);
    expect(moved('ehr_problems_total', { code: 'not_found' })).toBe(1);
    expect(moved('ehr_problems_total', { code: 'unauthenticated' })).toBe(1);
    expect(moved('ehr_problems_total', { code: 'invalid_credentials' })).toBe(1);
  });

  test('R27 what is refused before any route is counted, too', async () => {
    const moved = await change(() =>
      fetch(`${world.url}/api/v1/auth/login`, { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } }),
    );
    expect(moved('ehr_problems_total', { code: 'malformed_json' })).toBe(1);
  });

  test('R27 rows on the trail by action and outcome: sign-ins, refusals, reads', async () => {
    const moved = await change(async () => {
      await world.anonymous.post('/auth/login', { username: world.doctorA.username, password: PASSWORD });
      await world.anonymous.post('/auth/login', { username: world.doctorA.username, password: `${PASSWORD} not` });
      await world.doctorA.api.get(`/patients/${world.patientA.id}`);
      await world.doctorB.api.get(`/patients/${world.patientA.id}`);
    });
    expect(moved('ehr_trail_rows_total', { action: 'login', outcome: 'ok' })).toBe(1);
    expect(
      moved('ehr_trail_rows_total', { action: 'login', outcome: 'denied' }) +
        moved('ehr_trail_rows_total', { action: 'login', outcome: 'failed' }),
    ).toBe(1);
    expect(moved('ehr_trail_rows_total', { action: 'patient.read', outcome: 'ok' })).toBe(1);
    expect(moved('ehr_trail_rows_total', { action: 'patient.read', outcome: 'denied' })).toBe(1);
    expect(moved('ehr_trail_open_rows')).toBeGreaterThanOrEqual(4);
  });

  test('R27 units of work: those of one moment share commits; who waits is seen', async () => {
    const database = world.app.get(Database);
    let inside: Metrics | undefined;
    const moved = await change(async () => {
      let let_go = (): void => undefined;
      const held = new Promise<void>((resolve) => (let_go = resolve));
      const first = database.transaction(() => held);
      await sleep(20);
      const others = Array.from({ length: 9 }, () => database.transaction((tx) => tx.query('SELECT 1')));
      inside = await metricsOf(world);
      let_go();
      await Promise.all([first, ...others]);
    });
    expect(inside?.sum('ehr_units_pending')).toBeGreaterThanOrEqual(10);
    expect(moved('ehr_commit_units_sum')).toBeGreaterThanOrEqual(10);
    expect(moved('ehr_commit_duration_seconds_sum')).toBeGreaterThan(0);
    expect(moved('ehr_commit_duration_seconds_count')).toBe(moved('ehr_commit_units_count'));
    if (world.foundations.config.postgres === null) expect(moved('ehr_commit_units_count')).toBeLessThan(moved('ehr_commit_units_sum'));
    await until((metrics) => metrics.sum('ehr_units_pending') === 0);
  });

  test('R27 a unit that runs again', async () => {
    let isFirst = true;
    const moved = await change(() =>
      world.app.get(Database).transaction(() => {
        if (!isFirst) return Promise.resolve();
        isFirst = false;
        throw new RunAgain();
      }),
    );
    expect(moved('ehr_unit_repeats_total')).toBe(1);
  });

  test('R27 password hashes that run and wait', async () => {
    let isSeen = false;
    const signIn = async () => {
      while (!isSeen) await world.anonymous.post('/auth/login', { username: world.doctorA.username, password: PASSWORD });
    };
    const people = Promise.all(Array.from({ length: 16 }, signIn));
    const seen = await until(
      (metrics) => metrics.sum('ehr_password_hashes', { state: 'running' }) > 0 && metrics.sum('http_requests_running') > 1,
    ).finally(() => (isSeen = true));
    expect(seen.sum('http_connections')).toBeGreaterThan(1);
    await people;
    await until((metrics) => metrics.sum('ehr_password_hashes') === 0 && metrics.sum('http_requests_running') === 1);
  });

  test('R27 the log: how many entries, signed ones, and how far behind it is', async () => {
    const moved = await change(async () => {
      await sealedDiagnosis(world.doctorA, world.patientA.id);
      await until((metrics) => metrics.sum('ehr_log_lag_seconds') === 0 && metrics.sum('ehr_log_pending') === 0);
    });
    expect(moved('ehr_log_size')).toBeGreaterThanOrEqual(1);
    expect(moved('ehr_log_signed_size')).toBe(moved('ehr_log_size'));
  });

  test('R27 a log that stands still: entries wait, and the lag grows with the clock', async () => {
    const publisher = world.app.get(LogPublisher);
    const real = publisher['advance'].bind(publisher);
    publisher['advance'] = () => Promise.resolve(10);
    try {
      const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
      void world.doctorA.api.post(`/records/${draft}/seal`);
      await until((metrics) => metrics.sum('ehr_log_pending') === 1);
      world.clock.advance(90_000);
      expect((await metricsOf(world)).sum('ehr_log_lag_seconds')).toBeGreaterThan(89);
    } finally {
      publisher['advance'] = real;
    }
    await until((metrics) => metrics.sum('ehr_log_lag_seconds') === 0);
  });

  test('R27 batches of the trail', async () => {
    const moved = await change(() => world.app.get(TrailBatchesService).sealAll());
    expect(moved('ehr_trail_batches_total')).toBe(1);
    const metrics = await metricsOf(world);
    expect(metrics.sum('ehr_trail_open_rows')).toBe(0);
    expect(Math.abs(metrics.sum('ehr_trail_last_batch_timestamp_seconds') - world.clock.now() / 1000)).toBeLessThan(60);
  });

  test('R27 a database that does not answer takes its own figures along, not the others', async () => {
    const broken = jest.spyOn(world.app.get(Database).reader, 'createQueryBuilder').mockImplementation(() => {
      throw new Error('gone');
    });
    const moved = await change(() => world.anonymous.get('/hospitals')).finally(() => broken.mockRestore());
    expect(moved('ehr_metrics_errors_total')).toBe(1);
    expect(moved('http_request_duration_seconds_count', { route: '/metrics' })).toBe(1);
  });

  test('R27 process, event loop, memory, room on the disk, and what runs', async () => {
    const metrics = await metricsOf(world);
    for (const name of ['process_resident_memory_bytes', 'process_cpu_seconds_total', 'nodejs_heap_size_used_bytes'])
      expect([name, metrics.sum(name) > 0]).toEqual([name, true]);
    expect(metrics.sum('ehr_disk_free_bytes', { folder: 'data' })).toBeGreaterThan(0);
    expect(metrics.sum('ehr_disk_free_bytes', { folder: 'logs' })).toBeGreaterThan(0);
    const kind = world.foundations.config.postgres ? 'postgres' : 'sqlite';
    expect(metrics.sum('ehr_build_info', { node: process.version, database: kind, version: '0.1.0' })).toBe(1);
    await sleep(50); // a look at the figures begins their measure anew, with the next turn of the loop
    const held = performance.now();
    while (performance.now() - held < 120) void 0; // nobody else has a turn
    await sleep(20);
    expect((await metricsOf(world)).sum('nodejs_eventloop_lag_max_seconds')).toBeGreaterThan(0.1);
  });
});

describe('R27 names and labels', () => {
  test('R27 every metric has a help text and a name of the convention', async () => {
    const { described } = await metricsOf(world);
    expect(described.size).toBeGreaterThan(30);
    for (const [name, { type, help }] of described) {
      expect([name, help.length > 10]).toEqual([name, true]);
      if (type === 'counter') expect([name, name.endsWith('_total')]).toEqual([name, true]);
      if (/^(ehr|http)_/.test(name)) expect([name, /_(ms|milliseconds|kb|mb|minutes)(_|$)/.test(name)]).toEqual([name, false]);
    }
  });

  test('SEC-75 SEC-88 labels have few values, and none is an id, a name or an address', async () => {
    await world.doctorA.api.get(`/patients/${world.patientA.id}?x=${world.patientA.id}`);
    await world.doctorA.api.get('/nothing/here/secret-name');
    const { series } = await metricsOf(world);
    const known: Record<string, (value: string) => boolean> = {
      method: (value) => /^[A-Z]+$/.test(value),
      route: (value) => value === 'unknown' || /^\/[\w/:.*-]*$/.test(value),
      status: (value) => /^[1-5]xx$/.test(value),
      code: (value) => value in PROBLEMS,
      action: (value) => [...SYSTEM_ACTIONS, ...CHART_ACTIONS].some((action) => action === value),
      outcome: (value) => ['ok', 'denied', 'failed'].includes(value),
      pool: (value) => ['writer', 'reader'].includes(value),
      state: (value) => ['busy', 'idle', 'limit', 'running', 'waiting'].includes(value),
      folder: (value) => ['data', 'logs'].includes(value),
      database: (value) => ['sqlite', 'postgres'].includes(value),
      node: (value) => value === process.version,
      version: (value) => /^\d+\.\d+\.\d+$/.test(value),
      le: (value) => value === '+Inf' || Number(value) > 0,
    };
    const ours = [...series.keys()].filter((key) => /^(ehr|http)_/.test(key));
    for (const key of ours)
      for (const [, label = '', value = ''] of key.matchAll(/(\w+)="([^"]*)"/g)) expect([key, known[label]?.(value)]).toEqual([key, true]);
    expect(ours.join('\n')).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|secret-name|Ayşe|doctor\.\d/);
  });
});
