import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from '../support/api-client';
import { cpuNow } from '../support/cpu-time';
import { MALFORMED_JSON, WELL_FORMED_JSON } from '../support/json-documents';
import { CANARY, expectProblem, expectSafe } from '../support/edge-answers';
import { type RawRequest, sendRaw } from '../support/raw-http';
import { condition, type Plan, RoleScene } from '../support/role-requests';
import { type Caller, CALLERS, ROLE_TABLE } from '../support/role-table';
import { rowCounts } from '../support/row-counts';
import { draftDiagnosis, type Person, sealedDiagnosis } from '../support/world';

const JSON_HEADERS = { 'content-type': 'application/json' };
const UNKNOWN_ID = '01990000-0000-7000-8000-000000000000';

let scene: RoleScene;
let before: Record<string, number>;
beforeAll(async () => {
  scene = await RoleScene.create();
  for (const { route, about } of ROLE_TABLE) await scene.plan(route, about, 'author'); // makes the targets, so that they count as there before
});
afterAll(async () => {
  await scene.world.expectChainsIntact();
  await scene.world.close();
});
beforeEach(async () => {
  before = await rowCounts(scene.world);
});
/** Nothing of bad input is stored. */
afterEach(async () => {
  expect(await rowCounts(scene.world)).toEqual(before);
});

function raw(request: RawRequest, who?: Person): Promise<Answer> {
  const token = who === undefined ? {} : { authorization: `Bearer ${who.api.token}` };
  return sendRaw(scene.world.url, { ...request, headers: { ...token, ...request.headers } });
}

interface Schema {
  $ref?: string;
  type?: string;
  properties?: Record<string, Schema>;
}
interface Operation {
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> };
}
const document = JSON.parse(readFileSync(join(__dirname, '../../openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};

/** Every route with a JSON body: who may call it, and the fields of its body. */
const DTO_ROUTES = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).flatMap(([method, operation]) => {
    const name = /[^/]+$/.exec(operation.requestBody?.content['application/json']?.schema.$ref ?? '')?.[0];
    const route = `${method.toUpperCase()} ${path}`;
    const rows = name === undefined ? [] : ROLE_TABLE.filter((candidate) => candidate.route === route);
    const row = rows.find(({ expected }) => CALLERS.some((caller) => expected[caller] < 300)) ?? rows[0];
    if (name === undefined || !row) return [];
    const caller = CALLERS.find((candidate) => row.expected[candidate] < 300) ?? 'nobody';
    const optional = operation.requestBody?.required === false;
    return [{ route, about: row.about, caller, optional, fields: document.components.schemas[name]?.properties ?? {} }];
  }),
);

type Fault = readonly [label: string, change: (body: Record<string, unknown>) => unknown, path?: string];

/** Sends the route's valid request with one fault after another. */
async function sendFaults(route: string, about: string, caller: Caller, faults: readonly Fault[]): Promise<void> {
  const plan: Plan = await scene.plan(route, about, 'nobody');
  before = await rowCounts(scene.world); // the target of the plan is there
  const [method = ''] = route.split(' ');
  const who = caller === 'nobody' ? undefined : scene.people[caller];
  for (const [label, change, path] of faults) {
    const body = change({ ...(plan.body as Record<string, unknown>) });
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { ...JSON_HEADERS, ...plan.options?.headers };
    const answer = await raw({ method, path: `/api/v1${plan.path}`, headers, body: text }, who);
    try {
      expectProblem(answer, 400, 'invalid_request', path);
    } catch (error) {
      throw new Error(`${label}: ${answer.status} ${answer.text}`, { cause: error });
    }
  }
}

/** One value of each JSON type; numbers and booleans count twice. */
const VALUES: readonly (readonly [type: string, value: unknown])[] = [
  ['string', CANARY],
  ['integer', 7731],
  ['number', 77.31],
  ['boolean', true],
  ['boolean', false],
  ['null', null],
  ['array', [CANARY]],
  ['object', { $ne: CANARY }],
];

describe('SEC-57 each field refuses each wrong JSON type', () => {
  test.each(DTO_ROUTES.map((item) => [item.route, item] as const))('%s', async (_name, { route, about, caller, fields }) => {
    const faults = Object.entries(fields).flatMap(([field, schema]) =>
      VALUES.filter(([type]) => type !== (schema.type ?? 'object')).map(([type, value]): Fault => [
        `${field} as ${type}`,
        (body) => ({ ...body, [field]: value }),
        field,
      ]),
    );
    expect(faults.length).toBeGreaterThan(0);
    await sendFaults(route, about, caller, faults);
  });
});

describe('SEC-56 SEC-49 SEC-62 unknown properties and bodies that are no object are refused', () => {
  const owned = ['id', 'role', 'tenantId', 'hospital', 'status', 'hash', 'prevHash', 'seq', 'createdBy', 'approved', 'version'];
  const inherited = ['hasOwnProperty', 'toString', 'isPrototypeOf', 'valueOf', '__defineGetter__'];
  test.each(DTO_ROUTES.map((item) => [item.route, item] as const))('%s', async (_name, { route, about, caller, optional, fields }) => {
    const names = [...owned, ...inherited].filter((name) => !(name in fields) || inherited.includes(name));
    await sendFaults(route, about, caller, [
      ...names.map((name): Fault => [name, (body) => ({ ...body, [name]: CANARY }), name]),
      ['a name that is no name', (body) => ({ ...body, [`<b>${CANARY}</b>`]: 1 }), '*'],
      ['null', () => null, 'body'],
      ['a number', () => 5, 'body'],
      ['a string', () => JSON.stringify(CANARY), 'body'],
      ['true', () => true, 'body'],
      ['an empty array', () => [], 'body'],
      ['the body in an array', (body) => [body], 'body'],
      ...(optional ? [] : [['nothing', () => '', 'body'] satisfies Fault]),
    ]);
  });
});

test('SEC-56 unknown properties in a FHIR resource are refused at each level, with their path', async () => {
  const { doctorA, patientA } = scene.world;
  const wrong: readonly [string, (resource: ReturnType<typeof condition>) => void][] = [
    ['resource.zz', (r) => (r['zz'] = CANARY)],
    ['resource.code.zz', (r) => ((r['code'] as Record<string, unknown>)['zz'] = CANARY)],
    ['resource.code.coding[0].zz', (r) => ((r['code'] as { coding: Record<string, unknown>[] }).coding[0]!['zz'] = CANARY)],
    ['resource.note[0].zz', (r) => ((r['note'] as Record<string, unknown>[])[0]!['zz'] = CANARY)],
    ['resource.subject.zz', (r) => ((r['subject'] as Record<string, unknown>)['zz'] = CANARY)],
    ['resource.code', (r) => (r['code'] = CANARY)],
    ['resource.code.coding', (r) => (r['code'] = { coding: { code: CANARY } })],
    ['resource.note[0].text', (r) => (r['note'] = [{ text: { $ne: CANARY } }])],
    ['resource.subject.reference', (r) => (r['subject'] = { reference: `Patient/${CANARY}` })],
    ['resource.recordedDate', (r) => (r['recordedDate'] = CANARY)],
    ['resource.resourceType', (r) => (r['resourceType'] = CANARY)],
    ['resource.resourceType', (r) => (r['resourceType'] = 'constructor')],
    ['resource.resourceType', (r) => delete r['resourceType']],
    ['resource.note', (r) => (r['note'] = null)],
  ];
  for (const [path, change] of wrong) {
    const resource = condition(patientA.id);
    change(resource);
    const body = JSON.stringify({ resource });
    const answer = await raw({ method: 'POST', path: `/api/v1/patients/${patientA.id}/records`, headers: JSON_HEADERS, body }, doctorA);
    expectProblem(answer, 422, 'invalid_resource', path);
  }
});

/** Texts that are not strict JSON, with the path of the element at fault. */
const MALFORMED: readonly (readonly [label: string, body: string | Buffer, path: string])[] = [
  ['cut off', `{"username":"${CANARY}`, 'username'],
  ['no quotes', `{username:"${CANARY}"}`, ''],
  ['single quotes', `{'username':'${CANARY}'}`, ''],
  ['a comma too much', `{"username":"${CANARY}",}`, 'username'],
  ['a comment', `{"username":"${CANARY}"/* */}`, 'username'],
  ['something after', `{"username":"${CANARY}"} ${CANARY}`, ''],
  ['NaN', '{"username":NaN}', 'username'],
  ['a leading zero', '{"username":01}', 'username'],
  ['a raw newline in a string', '{"username":"a\nb"}', 'username'],
  ['a duplicate key', `{"username":"${CANARY}","username":"b"}`, 'username'],
  ['a duplicate key, escaped', `{"username":"${CANARY}","\\u0075sername":"b"}`, 'username'],
  ['__proto__', `{"__proto__":{"x":"${CANARY}"}}`, '__proto__'],
  ['__proto__, escaped', `{"\\u005f_proto__":{"x":"${CANARY}"}}`, '__proto__'],
  ['constructor', `{"constructor":{"prototype":{"x":"${CANARY}"}}}`, 'constructor'],
  ['NUL', '{"username":"a\0b"}', 'username'],
  ['NUL, escaped', '{"username":"a\\u0000b"}', 'username'],
  ['half a surrogate pair, high', '{"username":"a\\ud800b"}', 'username'],
  ['half a surrogate pair, low', '{"username":"\\udc00"}', 'username'],
  ['a byte order mark', '\ufeff{}', ''],
  ['depth 33', `{"username":${'['.repeat(32)}${']'.repeat(32)}}`, 'username' + '[0]'.repeat(31)],
];

test.each(MALFORMED)('SEC-58 SEC-59 SEC-62 SEC-66 malformed JSON: %s', async (_label, body, path) => {
  const answer = await raw({ method: 'POST', path: '/api/v1/auth/login', headers: JSON_HEADERS, body });
  expectProblem(answer, 400, 'malformed_json', path);
  expect(({} as { x?: unknown }).x).toBeUndefined();
});

test('SEC-58 bytes that are not UTF-8, and UTF-16', async () => {
  for (const body of [Buffer.from('{"username":"\xff\xfe"}', 'latin1'), Buffer.from('{"username":"a"}', 'utf16le')]) {
    const answer = await raw({ method: 'POST', path: '/api/v1/auth/login', headers: JSON_HEADERS, body });
    expectProblem(answer, 400, 'malformed_json');
  }
});

test('SEC-58 every malformed document is 400 malformed_json as bytes on the wire, and no well-formed one is a fault', async () => {
  const send = (body: string) => raw({ method: 'POST', path: '/api/v1/auth/login', headers: JSON_HEADERS, body: Buffer.from(body) });
  // No body at all is another rule's, and half a surrogate pair has no bytes.
  const texts = MALFORMED_JSON.filter((text) => text !== '' && !/[\ud800-\udfff]/.test(text));
  for (const text of texts) expectProblem(await send(text), 400, 'malformed_json');
  for (const text of WELL_FORMED_JSON) expectProblem(await send(text), 400, 'invalid_request');
});

test('SEC-59 40,000 brackets, 1,001 keys and long strings are refused within milliseconds', async () => {
  const bodies = [
    '['.repeat(40_000),
    `{"x":${'['.repeat(40_000)}`,
    '{"a":'.repeat(10_000),
    `{${Array.from({ length: 1001 }, (_, i) => `"k${i}":1`).join()}}`,
  ];
  for (const body of bodies) {
    const from = cpuNow();
    const answer = await raw({ method: 'POST', path: '/api/v1/auth/login', headers: JSON_HEADERS, body });
    expect(cpuNow() - from).toBeLessThan(500);
    expectProblem(answer, 400, 'malformed_json');
  }
});

describe('SEC-73 long strings in every field of every body cost no time', () => {
  const longs = ['a'.repeat(50_000), ' '.repeat(50_000), 'a.'.repeat(25_000), '0'.repeat(50_000), `${'-'.repeat(49_999)}!`];
  test.each(DTO_ROUTES.map((item) => [item.route, item] as const))('SEC-73 %s', async (_name, { route, about, caller, fields }) => {
    const plan = await scene.plan(route, about, 'nobody');
    before = await rowCounts(scene.world);
    const [method = ''] = route.split(' ');
    for (const field of Object.keys(fields))
      for (const long of longs) {
        const from = cpuNow();
        const body = JSON.stringify({ [field]: long });
        const answer = await raw(
          { method, path: `/api/v1${plan.path}`, headers: { ...JSON_HEADERS, ...plan.options?.headers }, body },
          caller === 'nobody' ? undefined : scene.people[caller],
        );
        expect([field, long.slice(-2), cpuNow() - from < 1000]).toEqual([field, long.slice(-2), true]);
        expectSafe(answer);
        expect(answer.status).toBeGreaterThanOrEqual(400);
      }
  });
});

describe('SEC-61 only application/json in UTF-8', () => {
  const body = JSON.stringify({ username: CANARY, password: CANARY });
  test.each([
    'application/x-www-form-urlencoded',
    'text/plain',
    'text/json',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/json; charset=utf-7',
    'application/json; charset=utf-8; x=y',
    'application/json\ta',
    'application/jsonx',
    'application/xml',
    'application/fhir+json',
    'application/problem+json',
    '*/*',
    'json',
    '',
  ])('%j', async (type) => {
    const headers = type === '' ? {} : { 'content-type': type };
    expectProblem(await raw({ method: 'POST', path: '/api/v1/auth/login', headers, body }), 415, 'unsupported_media_type');
  });

  test('a form cannot log in, and an upload route takes no JSON text as a file', async () => {
    const { doctorA, patientA } = scene.world;
    const id = await draftDiagnosis(doctorA, patientA.id);
    before = await rowCounts(scene.world);
    const headers = { 'content-type': 'application/json', 'content-disposition': 'attachment; filename="a.json"' };
    expectProblem(
      await raw({ method: 'POST', path: `/api/v1/records/${id}/attachments`, headers, body }, doctorA),
      415,
      'unsupported_media_type',
    );
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await raw({ method: 'POST', path: `/api/v1/records/${id}/seal`, headers: form, body: 'a=b' }, doctorA);
    expectProblem(answer, 415, 'unsupported_media_type');
  });
});

describe('SEC-60 sizes', () => {
  test('a body of 64 KiB is read, one byte more is 413, with and without Content-Length', async () => {
    const filled = (size: number) => `{"username":"${CANARY}","password":"${'p'.repeat(size)}"}`.padEnd(size).slice(0, size);
    const path = '/api/v1/auth/login';
    expectProblem(await raw({ method: 'POST', path, headers: JSON_HEADERS, body: '{}'.padEnd(65_536) }), 400, 'invalid_request');
    expectProblem(await raw({ method: 'POST', path, headers: JSON_HEADERS, body: filled(65_537) }), 413, 'body_too_large');
    const chunked = { ...JSON_HEADERS, 'transfer-encoding': 'chunked' };
    expectProblem(await raw({ method: 'POST', path, headers: chunked, body: filled(65_537) }), 413, 'body_too_large');
  });
});

test('SEC-48 SEC-64 ids: invalid, unknown and those of others give one answer', async () => {
  const { doctorB, doctorA, patientA } = scene.world;
  const own = await draftDiagnosis(doctorA, patientA.id);
  before = await rowCounts(scene.world);
  const strange = [
    UNKNOWN_ID,
    own,
    'null',
    'undefined',
    '0',
    '-1',
    '1 OR 1=1',
    "' OR '1'='1",
    '*',
    '%',
    '{}',
    '[]',
    '..',
    own.toUpperCase(),
    `${own}x`,
    CANARY,
  ];
  const bodies = new Set<string>();
  for (const id of strange) {
    const answer = await raw({ path: `/api/v1/records/${encodeURIComponent(id)}` }, doctorB);
    expectProblem(answer, 404, 'not_found');
    bodies.add(JSON.stringify({ ...answer.body, requestId: '' }));
  }
  expect(bodies.size).toBe(1);
});

describe('SEC-55 SEC-64 SEC-65 queries', () => {
  const wrong: readonly (readonly [query: string, path: string])[] = [
    ['limit=1e9', 'limit'],
    ['limit=101', 'limit'],
    ['limit=0', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=', 'limit'],
    ['limit=0x10', 'limit'],
    ['limit=5.0', 'limit'],
    ['limit=%205', 'limit'],
    ['limit=null', 'limit'],
    ['limit=5&limit=6', 'limit'],
    ['limit[$ne]=1', '*'],
    ['cursor=', 'cursor'],
    ['cursor[]=a', '*'],
    ['cursor=a&cursor=b', 'cursor'],
    [`cursor=${CANARY}`, 'cursor'],
    [`cursor=${Buffer.from("' OR 1=1 --").toString('base64url')}`, 'cursor'],
    [`unknown=${CANARY}`, 'unknown'],
    ['__proto__=1', '__proto__'],
    ['constructor=1', 'constructor'],
    ['hasOwnProperty=1', 'hasOwnProperty'],
  ];
  test.each(wrong)('?%s', async (query, path) => {
    const { hospitalA, founder } = scene.world;
    const places: readonly (readonly [string, Person])[] = [
      ['/hospitals', founder],
      ['/accounts', founder],
      ['/patients', hospitalA],
      ['/hospitals/me/staff', hospitalA],
      ['/hospitals/me/entries', hospitalA],
      ['/audit/events', founder],
      ['/ledger/keys', founder],
      [`/patients/${scene.patient}/records`, hospitalA],
      [`/patients/${scene.patient}/questions`, hospitalA],
      [`/ledger/patients/${scene.patient}/chain`, hospitalA],
      ['/patients/me/access-log', scene.world.patientA],
    ];
    for (const [place, who] of places) {
      const answer = await raw({ path: `/api/v1${place}?${query}` }, who);
      expectProblem(answer, 400, 'invalid_request', path);
    }
  });

  test('an empty or meaningless filter never widens a list', async () => {
    const { hospitalA, founder } = scene.world;
    for (const [path, who] of [
      ['/patients?q=', hospitalA],
      ['/patients?q=a&q=b', hospitalA],
      ['/patients?shared=', hospitalA],
      ['/patients?shared=1', hospitalA],
      ['/accounts?status=', founder],
      ['/accounts?status=ANY', founder],
      ['/accounts?status=PENDING&status=ACTIVE', founder],
      ['/hospitals/me/entries?authorId=', hospitalA],
      ['/hospitals/me/entries?authorId=null', hospitalA],
      ['/audit/events?patientId=', founder],
      [`/patients/${scene.patient}/records?status=`, hospitalA],
      [`/patients/${scene.patient}/records?kind=`, hospitalA],
      ['/activity', founder],
      ['/activity?date=', founder],
      ['/activity?date=2026-02-30', founder],
      [`/activity?date=${CANARY}`, founder],
    ] as const)
      expectProblem(await raw({ path: `/api/v1${path}` }, who), 400, 'invalid_request');
    for (const q of ["' OR '1'='1", '%', '*', '10000000146%', '_', CANARY]) {
      const answer = await raw({ path: `/api/v1/patients?q=${encodeURIComponent(q)}` }, hospitalA);
      expect(answer.body).toEqual({ items: [], nextCursor: null });
    }
  });

  test('a tampered cursor is refused or starts elsewhere in the same scope', async () => {
    const { hospitalA, hospitalB } = scene.world;
    const first = await raw({ path: '/api/v1/patients?limit=1' }, hospitalA);
    const cursor = String(first.body['nextCursor']);
    const foreign = await raw({ path: `/api/v1/patients?cursor=${cursor}` }, hospitalB);
    expect(foreign.text).not.toContain(scene.patient);
    const zero = Buffer.from('00000000-0000-7000-8000-000000000000').toString('base64url');
    expect((await raw({ path: `/api/v1/patients?cursor=${zero}` }, hospitalB)).text).not.toContain(scene.patient);
    for (const tampered of [`${cursor}A`, cursor.slice(1), cursor.toUpperCase(), `${cursor}==`])
      expectProblem(await raw({ path: `/api/v1/patients?cursor=${tampered}` }, hospitalA), 400, 'invalid_request', 'cursor');
  });
});

describe('SEC-51 SEC-52 versions', () => {
  const put = (id: string, headers: Record<string, string>) =>
    raw(
      {
        method: 'PUT',
        path: `/api/v1/records/${id}`,
        headers: { ...JSON_HEADERS, ...headers },
        body: JSON.stringify({ resource: condition(scene.patient) }),
      },
      scene.world.doctorA,
    );

  test('If-Match: missing is 428; stale, weak, a list, any, or nonsense is 412', async () => {
    const id = await draftDiagnosis(scene.world.doctorA, scene.patient);
    before = await rowCounts(scene.world);
    expectProblem(await put(id, {}), 428, 'version_required');
    for (const tag of ['"2"', '"0"', 'W/"1"', '*', '"1", "2"', '1', '', `"${CANARY}"`, '"1e0"', '"-1"', '"99999999999999999999"'])
      expectProblem(await put(id, { 'if-match': tag }), 412, 'version_stale');
    expectProblem(await raw({ method: 'DELETE', path: `/api/v1/records/${id}` }, scene.world.doctorA), 428, 'version_required');
    const patient = { method: 'PATCH', path: `/api/v1/patients/${scene.patient}`, body: '{"phone":"12345"}' };
    expectProblem(await raw({ ...patient, headers: JSON_HEADERS }, scene.world.doctorA), 428, 'version_required');
    expectProblem(await raw({ ...patient, headers: { ...JSON_HEADERS, 'if-match': '"999"' } }, scene.world.doctorA), 412, 'version_stale');
  });

  test('what is sealed is not edited by any method, and the answer says where to go', async () => {
    const { doctorA, hospitalA, founder } = scene.world;
    const id = await sealedDiagnosis(doctorA, scene.patient);
    before = await rowCounts(scene.world);
    const edited = await put(id, { 'if-match': '"1"' });
    expectProblem(edited, 409, 'record_sealed');
    expect(edited.body['links']).toEqual({ corrections: `/api/v1/records/${id}/corrections` });
    for (const who of [doctorA, hospitalA])
      expectProblem(
        await raw({ method: 'DELETE', path: `/api/v1/records/${id}`, headers: { 'if-match': '"1"' } }, who),
        409,
        'record_sealed',
      );
    for (const who of [doctorA, hospitalA, founder])
      expectProblem(
        await raw({ method: 'PATCH', path: `/api/v1/records/${id}`, headers: JSON_HEADERS, body: '{}' }, who),
        404,
        'not_found',
      );
  });
});

test('SEC-94 Idempotency-Key: bad forms are 400, another body under the same key is 422', async () => {
  const { doctorA } = scene.world;
  const path = `/api/v1/patients/${scene.patient}/questions`;
  const ask = (key: string | string[], text: string) =>
    raw({ method: 'POST', path, headers: { ...JSON_HEADERS, 'idempotency-key': key }, body: JSON.stringify({ text }) }, doctorA);
  for (const key of ['', 'short', 'x'.repeat(129), 'has a space', 'ünïcode-key', `tab\t${CANARY}`])
    expectProblem(await ask(Buffer.from(key).toString('latin1'), CANARY), 400, 'invalid_request', 'Idempotency-Key');
  expect((await ask('key-number-1', 'first')).status).toBe(201);
  before = await rowCounts(scene.world);
  expectProblem(await ask('key-number-1', CANARY), 422, 'idempotency_key_reused');
});

test('SEC-63 SEC-66 SEC-98 SQL, operators, control characters and markup are stored as they are, or refused', async () => {
  const { doctorA } = scene.world;
  const texts = [
    "'; DROP TABLE record; --",
    "' OR '1'='1",
    '" OR ""="',
    '1; ATTACH DATABASE "x" AS y',
    "x'||(SELECT name FROM sqlite_master)||'",
    '{"$ne":null}',
    '$where: sleep(1000)',
    '<script>alert(1)</script>',
    '=cmd|"/C calc"!A0',
    '\r\nSet-Cookie: a=b',
    '\u001b[31mred',
    '\u202egnp.exe',
    'ﷺ 👩‍👩‍👧‍👦 ̸̧̛',
    ' '.repeat(100),
    '../../../../etc/passwd',
    '${jndi:ldap://x}',
    '{{7*7}}',
    '%s%n%x',
  ];
  for (const text of texts) {
    const asked = await raw(
      { method: 'POST', path: `/api/v1/patients/${scene.patient}/questions`, headers: JSON_HEADERS, body: JSON.stringify({ text }) },
      doctorA,
    );
    expect(asked.status === 201 ? asked.body['text'] : asked.status).toBe(asked.status === 201 ? text : 400);
    expect(asked.headers.get('set-cookie')).toBeNull();
    expect(asked.headers.get('content-type')).toMatch(/^application\/(problem\+)?json; charset=utf-8$/);
  }
  before = await rowCounts(scene.world);
  for (const text of texts) {
    const body = JSON.stringify({ username: text, password: text });
    expectProblem(
      await raw({ method: 'POST', path: '/api/v1/auth/login', headers: JSON_HEADERS, body }),
      text.length > 64 ? 400 : 401,
      text.length > 64 ? 'invalid_request' : 'invalid_credentials',
    );
  }
});

test('SEC-74 an address that cannot be decoded is not repeated', async () => {
  for (const path of [
    `/api/v1/%zz${CANARY}`,
    `/api/v1/records/%ff${CANARY}`,
    `/%c0%ae%c0%ae/${CANARY}`,
    `/api/v1/records/%E0%A4%A${CANARY}`,
  ]) {
    const answer = await raw({ path });
    expect([path, [400, 404].includes(answer.status)]).toEqual([path, true]);
    expectSafe(answer);
  }
});

test('SEC-76 the server still answers', async () => {
  expect((await raw({ path: '/health/ready' })).status).toBe(200);
});
