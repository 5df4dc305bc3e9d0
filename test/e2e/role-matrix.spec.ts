import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type { Answer } from '../support/api-client';
import { omit } from '../support/omit';
import { type Plan, RoleScene } from '../support/role-requests';
import { CALLERS, ROLE_TABLE, type RoleRow } from '../support/role-table';
import { sealedDiagnosis } from '../support/world';

let scene: RoleScene;
beforeAll(async () => {
  scene = await RoleScene.create();
});
afterAll(async () => {
  await scene.world.expectChainsIntact();
  await scene.world.close();
});

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** The same request for an id that nobody has, once for each id in the path. Ids in the body follow. */
function withUnknownIds(plan: Plan): Plan[] {
  return [...new Set(plan.path.match(UUID) ?? [])].map((id) => {
    const unknown = `${id.slice(0, 14)}7${randomUUID().slice(15)}`;
    const body = plan.body === undefined ? undefined : (JSON.parse(JSON.stringify(plan.body).replaceAll(id, unknown)) as unknown);
    return { ...plan, path: plan.path.replaceAll(id, unknown), body };
  });
}

function withoutRequestId(answer: Answer): unknown {
  const rest = omit(answer.body, 'requestId');
  const headers = [...answer.headers.keys()].filter((name) => name !== 'x-request-id').sort();
  return { status: answer.status, rest, headers, type: answer.headers.get('content-type') };
}

async function expectRow({ route, about, expected }: RoleRow): Promise<void> {
  const [method = ''] = route.split(' ');
  let shared: Plan | undefined;
  const found: Record<string, number> = {};
  for (const caller of CALLERS) {
    const succeeds = expected[caller] < 400;
    // A refused request changes nothing, so refused callers share one target; one that succeeds gets its own.
    const plan = succeeds ? await scene.plan(route, about, caller) : (shared ??= await scene.plan(route, about, 'nobody'));
    const answer = await scene.send(method, plan, caller);
    found[caller] = answer.status;
    if (succeeds || answer.status !== expected[caller]) continue;
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    if (expected[caller] === 409) continue;
    for (const other of withUnknownIds(plan))
      expect(withoutRequestId(await scene.send(method, other, caller))).toEqual(withoutRequestId(answer));
  }
  expect(found).toEqual(expected);
}

test('SEC-46 SEC-47 the role table names every route of openapi.json and no other', () => {
  const document = JSON.parse(readFileSync(join(__dirname, '../../openapi.json'), 'utf8')) as {
    paths: Record<string, Record<string, { security?: unknown[] }>>;
  };
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
  );
  const routes = [...new Set(ROLE_TABLE.map((row) => row.route))].sort();
  expect(routes).toEqual(operations.map(({ route }) => route).sort());
  // Open are exactly the routes that the document says are open, and each has its reason.
  const open = operations.filter(({ operation }) => (operation.security ?? []).length === 0).map(({ route }) => route);
  expect(
    ROLE_TABLE.filter((row) => row.open !== '')
      .map((row) => row.route)
      .sort(),
  ).toEqual(open.sort());
  expect(ROLE_TABLE.filter((row) => row.open === '' && row.expected.nobody !== 401)).toEqual([]);
});

describe('SEC-47 SEC-48 role × route × relation', () => {
  test.each(ROLE_TABLE.map((row) => [`${row.route}${row.about ? ` (${row.about})` : ''}`, row] as const))('%s', (_name, row) =>
    expectRow(row),
  );
});

test('SEC-48 SEC-55 no list of a stranger names the patient', async () => {
  const strangers = ['other HOSPITAL', 'DOCTOR elsewhere', 'another PATIENT'] as const;
  for (const row of ROLE_TABLE) {
    const [method = ''] = row.route.split(' ');
    if (method !== 'GET') continue;
    for (const caller of strangers) {
      if (row.expected[caller] !== 200) continue;
      const { text } = await scene.send(method, await scene.plan(row.route, row.about, caller), caller);
      expect(text).not.toContain(scene.patient);
      expect(text).not.toContain('Ayşe');
    }
  }
});

test('SEC-48 the trail of a hospital does not tell what its people were refused elsewhere', async () => {
  const { world } = scene;
  const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
  const trail = async (query = '') => {
    const page = await world.hospitalB.api.get<{ items: Record<string, unknown>[] }>(`/audit/events?limit=1${query}`);
    return omit(page.body.items[0] ?? {}, 'id', 'at', 'requestId');
  };
  const probes: readonly (readonly [path: string, unknown: string])[] = [
    [`/records/${record}`, `/records/${randomUUID()}`],
    [`/patients/${world.patientA.id}`, `/patients/${randomUUID()}`],
    [`/doctors/${world.doctorA.id}`, `/doctors/${randomUUID()}`],
  ];
  for (const [path, unknown] of probes) {
    await world.hospitalB.api.get(path);
    const found = await trail();
    await world.hospitalB.api.get(unknown);
    expect(await trail()).toEqual(found);
    expect(found).toMatchObject({ outcome: 'denied', actorId: world.hospitalB.id, patientId: null, hospitalId: null, subjectId: null });
  }
  expect(await trail(`&patientId=${world.patientA.id}`)).toEqual({});
  const kept = await world.hospitalA.api.get<{ items: Record<string, unknown>[] }>('/audit/events?limit=100');
  expect(kept.body.items).toContainEqual(
    expect.objectContaining({ outcome: 'denied', actorId: world.hospitalB.id, subjectId: record, patientId: world.patientA.id }),
  );
});

test('SEC-39 nobody decides about the own account', async () => {
  const { founder, hospitalA, doctorA } = scene.world;
  for (const act of ['approve', 'reject', 'lock', 'unlock', 'close', 'code']) {
    expect((await founder.api.post(`/accounts/${founder.id}/${act}`)).status).toBe(403);
    expect((await hospitalA.api.post(`/accounts/${hospitalA.id}/${act}`)).status).toBe(404);
    expect((await doctorA.api.post(`/accounts/${doctorA.id}/${act}`)).status).toBe(403);
  }
});

test('SEC-47 consent opens reading to the doctor it names, and nothing more to nobody else', async () => {
  const { world, people } = scene;
  const id = await sealedDiagnosis(world.doctorA, world.patientA.id);
  const validUntil = new Date(Date.now() + 3_600_000).toISOString();
  await world.patientA.api.post('/patients/me/consent/grants', { doctorId: world.doctorB.id, validUntil });
  const patient = `/patients/${world.patientA.id}`;
  const table: readonly (readonly [string, string, number, unknown?])[] = [
    ['GET', patient, 200],
    ['GET', `${patient}/records`, 200],
    ['GET', `/records/${id}`, 200],
    ['GET', `/records/${id}/content`, 200],
    ['GET', `/records/${id}/attachments`, 200],
    ['GET', `/ledger${patient}/chain`, 200],
    ['POST', `/ledger${patient}/verify`, 200],
    ['GET', `${patient}/print`, 404],
    ['GET', `${patient}/questions`, 404],
    ['POST', `${patient}/questions`, 404, { text: 'Since when?' }],
    ['POST', `${patient}/diagnoses`, 404, { code: 'I10', display: 'Hypertension' }],
    ['POST', `${patient}/account`, 403],
    ['POST', `/records/${id}/seal`, 404],
    ['POST', `/records/${id}/corrections`, 404, { kind: 'retraction', reason: 'mine' }],
  ];
  for (const [method, path, status, body] of table) {
    expect([method, path, (await people['DOCTOR elsewhere'].api.send(method, path, body)).status]).toEqual([method, path, status]);
    expect((await world.hospitalB.api.send(method, path, body)).status).toBeGreaterThanOrEqual(403);
  }
  const draft = await scene.record('draft');
  expect((await world.doctorB.api.get(`/records/${draft}`)).status).toBe(404);
});
