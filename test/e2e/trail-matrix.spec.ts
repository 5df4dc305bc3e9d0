import { queryRows } from '../../src/database/dialect';
import type { Answer } from '../support/api-client';
import { openRaw, type RawDatabase } from '../support/raw-database';
import { RoleScene } from '../support/role-requests';
import { CALLERS, ROLE_TABLE, type RoleRow } from '../support/role-table';
import { rowCounts } from '../support/row-counts';
import { onSqlite } from '../support/each-store';

let scene: RoleScene;
beforeAll(async () => {
  scene = await RoleScene.create();
});
afterAll(async () => {
  await scene.world.expectChainsIntact();
  await scene.world.close();
});

interface TrailRow {
  action: string;
  outcome: string;
  actorId: string | null;
  at: number;
  requestId: string;
}

/** Routes that leave no row on the trail when they succeed, and why. */
const WITHOUT_TRAIL: Readonly<Record<string, string>> = {
  'GET /.well-known/jwks.json': 'public keys',
  'GET /health/live': 'a probe',
  'GET /health/ready': 'a probe',
  'GET /metrics': 'counts, no ids',
  'GET /api/v1/hospitals': 'public names',
  'GET /api/v1/hospitals/{id}': 'public names',
  'GET /api/v1/ledger/logs': 'public: hashes and keys',
  'GET /api/v1/ledger/logs/{hospitalId}/checkpoint': 'public: hashes and keys',
  'GET /api/v1/ledger/logs/{hospitalId}/consistency': 'public: hashes and keys',
  'GET /api/v1/ledger/logs/{hospitalId}/policy': 'public: hashes and keys',
  'GET /api/v1/ledger/logs/{hospitalId}/tile/{path}': 'public: hashes and keys',
  'GET /api/v1/ledger/status': 'counts, no ids',
  'GET /api/v1/auth/me': 'what the caller is called, to the caller',
  'GET /api/v1/auth/sessions': 'own sign-ins, to the caller',
  'GET /api/v1/auth/devices': 'own devices, to the caller',
  'GET /api/v1/auth/factors': 'own second factors, to the caller',
  'GET /api/v1/doctors/me/worklist': 'ids and kinds of own drafts, to the caller',
};

/** Requests that are two acts. */
const TWO_ACTS: Readonly<Record<string, readonly string[]>> = {
  'POST /api/v1/hospitals': ['account.issue', 'hospital.create'],
  'POST /api/v1/hospitals/{id}/staff': ['account.issue', 'staff.add'],
  'POST /api/v1/hospitals/{id}/staff/{doctorId}/departure': ['account.close', 'staff.leave'],
  'GET /api/v1/hospitals/{id}/staff/{doctorId}/dossier': ['entries.list', 'staff.read'],
  'POST /api/v1/patients/{id}/account': ['account.issue', 'patient.update'],
  'POST /api/v1/imports': ['patient.enrol', 'record.import'],
};

function rowsOf(answer: Answer): Promise<TrailRow[]> {
  const { manager } = scene.world.foundations.sources.reader;
  return queryRows<TrailRow>(manager, 'SELECT * FROM audit_event WHERE "requestId" = ?', [answer.headers.get('x-request-id')]);
}

const named = (rows: readonly RoleRow[]) => rows.map((row) => [`${row.route}${row.about ? ` (${row.about})` : ''}`, row] as const);
const succeeding = (row: RoleRow) => CALLERS.filter((caller) => row.expected[caller] < 400);

describe('SEC-95 each act is one row on the trail: who, what, when, outcome', () => {
  test.each(named(ROLE_TABLE.filter((row) => succeeding(row).length > 0)))('%s: done', async (_name, { route, about, expected }) => {
    const [method = ''] = route.split(' ');
    const [caller = 'nobody'] = succeeding({ route, about, expected, open: '' });
    const plan = await scene.plan(route, about, caller);
    const before = scene.world.clock.now();
    const answer = await scene.send(method, plan, caller);
    expect(answer.status).toBe(expected[caller]);
    const rows = await rowsOf(answer);
    const done = rows.filter(({ outcome }) => outcome === 'ok');
    if (WITHOUT_TRAIL[route] !== undefined) return expect(rows).toEqual([]);
    expect(done).toHaveLength(rows.length);
    expect(done.map((row) => row.action).sort()).toEqual(TWO_ACTS[route] ?? [expect.any(String)]);
    if (caller !== 'nobody') expect(done[0]?.actorId).toBe((plan.as ?? scene.people[caller]).id);
    expect(done[0]?.at).toBeGreaterThanOrEqual(before);
  });

  test.each(named(ROLE_TABLE))('%s: refused', async (_name, { route, about, expected }) => {
    const [method = ''] = route.split(' ');
    for (const status of [403, 404, 409]) {
      const caller = CALLERS.find((one) => expected[one] === status);
      if (!caller || caller === 'nobody') continue;
      const plan = await scene.plan(route, about, caller);
      const answer = await scene.send(method, plan, caller);
      expect(answer.status).toBe(status);
      const rows = await rowsOf(answer);
      expect([status, rows.map(({ outcome }) => outcome)]).toEqual([status, [expect.stringMatching(/denied|failed/)]]);
      expect(rows[0]?.actorId).toBe((plan.as ?? scene.people[caller]).id);
    }
  });
});

describe('SEC-99 what cannot be put on the trail does not happen', () => {
  let database: RawDatabase;
  beforeAll(() => {
    database = openRaw(scene.world);
  });
  afterAll(() => database.close());

  async function withoutTrail<T>(work: () => Promise<T>): Promise<T> {
    database.exec(`CREATE TRIGGER no_trail BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no more trail'); END`);
    try {
      return await work();
    } finally {
      database.exec('DROP TRIGGER no_trail');
    }
  }

  const acting = ROLE_TABLE.filter((row) => succeeding(row).length > 0 && WITHOUT_TRAIL[row.route] === undefined);
  test.each(named(acting))('%s', async (_name, { route, about, expected }) => {
    const [method = ''] = route.split(' ');
    const [caller = 'nobody'] = succeeding({ route, about, expected, open: '' });
    const plan = await scene.plan(route, about, caller);
    const before = await rowCounts(scene.world);
    const failed = await withoutTrail(() => scene.send(method, plan, caller));
    expect([failed.status, failed.body['code']]).toEqual([500, 'internal_error']);
    expect(failed.text).not.toContain('trail');
    expect(await rowCounts(scene.world)).toEqual(before);
    expect((await scene.send(method, plan, caller)).status).toBe(expected[caller]); // nothing was used up: the same request is done now
  });

  test('SEC-99 a refusal that cannot be put on the trail is not answered as one', async () => {
    const { doctorB, patientA, patientB } = scene.world;
    for (const path of [`/patients/${patientA.id}`, '/patients/me/consent', '/audit/events', `/patients/${patientB.id}x`]) {
      const refused = (await doctorB.api.get(path)).status;
      expect([path, (await withoutTrail(() => doctorB.api.get(path))).status]).toEqual([path, refused === 400 ? 400 : 500]);
    }
  });

  onSqlite('SEC-99 a full disk refuses every write and every read of a chart, and nothing is lost', async () => {
    const { doctorA, patientA, foundations } = scene.world;
    const path = `/patients/${patientA.id}/diagnoses`;
    const body = { code: 'I10', display: 'Hypertension', note: 'x'.repeat(20_000) };
    const { writer } = foundations.sources;
    const [{ page_count: pages }] = await writer.query<[{ page_count: number }]>('PRAGMA page_count');
    const before = await rowCounts(scene.world);
    await writer.query(`PRAGMA max_page_count = ${pages}`);
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 10; attempt++) statuses.push((await doctorA.api.post(path, body)).status);
    await writer.query('PRAGMA max_page_count = 1073741823');
    const made = statuses.filter((status) => status === 201).length;
    expect(statuses.slice(made)).toEqual(Array<number>(10 - made).fill(500)); // pages that were free could still be filled
    expect(made).toBeLessThan(10);
    const after = await rowCounts(scene.world);
    expect((after['record'] ?? 0) - (before['record'] ?? 0)).toBe(made);
    expect((await doctorA.api.post(path, body)).status).toBe(201);
  });
});
