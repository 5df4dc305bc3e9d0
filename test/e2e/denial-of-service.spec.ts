import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { samplePatients } from '../../src/tools/sample-patients';
import { cpuNow } from '../support/cpu-time';
import { openRaw, rows } from '../support/raw-database';
import { createWorld, draftDiagnosis, type Person, type World } from '../support/world';
import { databaseFiles, filesOf } from '../support/database-files';

interface Problem {
  code: string;
  errors: { path: string; message: string }[];
}

let world: World;
beforeAll(async () => {
  process.umask(0o022); // as most machines have it (SEC-88)
  world = await createWorld();
});
afterAll(() => world.close());

const FHIR = { 'content-type': 'application/fhir+json' };
const send = (person: Person, text: string) => person.api.post<Problem>('/imports', undefined, { raw: text, headers: FHIR });
const bundle = (entry: unknown[]): string => JSON.stringify({ resourceType: 'Bundle', type: 'collection', entry });
const observation = (more: object): object => ({ resourceType: 'Observation', status: 'final', code: { text: 'x' }, ...more });

/** The answer to a request that promises a large body and has sent one byte of it. */
function beforeTheBody(path: string, token: string | null, type: string): Promise<{ status: number; type: string }> {
  const { hostname, port } = new URL(world.url);
  const headers = {
    'content-type': type,
    'content-length': String(8_000_000),
    'content-disposition': 'attachment; filename="a.bin"',
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path: `/api/v1${path}`, method: 'POST', headers }, (response) => {
      resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '' });
      sent.destroy();
    });
    sent.setTimeout(3000, () => sent.destroy(new Error('no answer before the body')));
    sent.on('error', reject);
    sent.write('[');
  });
}

/** How long /health/live took at most while `work` ran, ms: of CPU time, or of another clock where the server could stand still without working. */
async function liveDuring(work: Promise<unknown>, now = cpuNow): Promise<number> {
  let [longest, open] = [0, true];
  const watcher = (async () => {
    while (open) {
      const start = now();
      expect((await fetch(`${world.url}/health/live`)).status).toBe(200);
      longest = Math.max(longest, now() - start);
    }
  })();
  await work;
  open = false;
  await watcher;
  return longest;
}

describe('ATTACK large bodies', () => {
  test('ATTACK without a valid token the answer is 401 before the body is read', async () => {
    const id = await draftDiagnosis(world.doctorA, world.patientA.id);
    const good = world.doctorA.api.token ?? '';
    const forged = `${good.slice(0, -4)}AAAA`;
    const refused = { status: 401, type: 'application/problem+json; charset=utf-8' };
    for (const token of [null, 'x', forged]) {
      expect(await beforeTheBody('/imports', token, 'application/fhir+json')).toMatchObject(refused);
      expect(await beforeTheBody(`/records/${id}/attachments`, token, 'application/pdf')).toMatchObject(refused);
    }
    world.clock.advance(11 * 60_000);
    expect(await beforeTheBody('/imports', good, 'application/fhir+json')).toMatchObject(refused);
    world.clock.advance(-11 * 60_000);
    await expect(beforeTheBody('/imports', good, 'application/fhir+json')).rejects.toThrow('no answer before the body');
  });

  test('ATTACK a revoked token is refused before the body is read', async () => {
    const answer = await world.anonymous.post<{ accessToken: string }>('/auth/login', {
      username: world.colleagueA.username,
      password: world.colleagueA.password,
    });
    const { accessToken } = answer.body;
    expect((await world.anonymous.withToken(accessToken).post('/auth/logout')).status).toBeLessThan(300);
    expect((await beforeTheBody('/imports', accessToken, 'application/fhir+json')).status).toBe(401);
  });

  test('ATTACK a body of nothing but empty values is refused', async () => {
    const answer = await send(world.doctorA, bundle(Array.from({ length: 600_000 }, () => ({}))));
    expect([answer.status, answer.body.code, answer.body.errors[0]?.message]).toEqual([400, 'malformed_json', 'too_many_keys']);
    const small = await world.doctorA.api.post<Problem>(
      '/patients',
      Array.from({ length: 1001 }, () => 0),
    );
    expect([small.status, small.body.code]).toEqual([400, 'malformed_json']);
    expect((await send(world.doctorA, ' '.repeat(8_400_000))).status).toBe(413);
  });

  test('ATTACK twelve bundles at once: some wait, the rest are told to come back; live answers meanwhile', async () => {
    const texts = samplePatients(12, 4711).map(({ text }) => text);
    const all = Promise.all(texts.map((text) => send(world.doctorA, text)));
    const longest = await liveDuring(all);
    const answers = await all;
    const refused = answers.filter(({ status }) => status === 503);
    expect(answers.filter(({ status }) => status === 201).length + refused.length).toBe(12);
    expect(refused.length).toBeGreaterThan(0);
    for (const { body, headers } of refused) expect([body.code, headers.get('retry-after')]).toEqual(['unavailable', '5']);
    expect(longest).toBeLessThan(1500);
    await world.expectChainsIntact();
  });
});

describe('ATTACK bundles that cost much', () => {
  const cases: [string, unknown[], string][] = [
    [
      'a resource of 8,000 faulty components',
      [observation({ component: Array.from({ length: 8000 }, () => ({ code: {}, valueString: 'v', _valueInteger: { id: 'x' } })) })],
      'structure: A resource has at most 10000 values.',
    ],
    [
      'a resource of more than 1 MiB',
      [observation({ valueString: 'x'.repeat(1_048_577) })],
      'too_large: A resource is at most 1 MiB long.',
    ],
    [
      'a resource that names attached files',
      [observation({ extension: [{ url: 'urn:bjwt-ehr:fhir:StructureDefinition:attachment', valueString: 'x' }] })],
      'reserved_extension: This extension names files of this server.',
    ],
    [
      'more than 3,000 entries',
      Array.from({ length: 3001 }, () => observation({})),
      'too_many_entries: A bundle has at most 3000 entries; divide it.',
    ],
  ];
  test.each(cases)('ATTACK %s: refused, the rule named, at once', async (_name, resources, message) => {
    const start = cpuNow();
    const answer = await send(
      world.doctorA,
      bundle([{ resource: { resourceType: 'Patient' } }, ...resources.map((resource) => ({ resource }))]),
    );
    expect([answer.status, answer.body.code]).toEqual([422, 'invalid_bundle']);
    expect(answer.body.errors.map((item) => item.message)).toContain(message);
    expect(cpuNow() - start).toBeLessThan(2000);
  });
});

describe('ATTACK the write lock', () => {
  test('ATTACK another process holds it: live answers at once, the write waits and succeeds', async () => {
    const db = openRaw(world);
    db.exec('BEGIN IMMEDIATE');
    if (world.foundations.config.postgres) db.exec('LOCK TABLE record');
    setTimeout(() => db.exec('ROLLBACK'), 2000);
    const longest = await liveDuring(draftDiagnosis(world.doctorA, world.patientA.id), () => performance.now());
    db.close();
    expect(longest).toBeLessThan(1000);
  });
});

describe('ATTACK prints', () => {
  test('ATTACK a chart of 2,300 records: the print shows the newest 2,000 and says so, and live answers meanwhile', async () => {
    const id = await draftDiagnosis(world.doctorA, world.patientA.id);
    expect((await world.doctorA.api.post(`/records/${id}/seal`)).status).toBe(201);
    const patient = { resourceType: 'Patient', id: 'p', name: [{ family: 'Longchart' }] };
    const item = (n: number) => observation({ subject: { reference: 'urn:uuid:p' }, valueString: `value ${n}` });
    const entries = Array.from({ length: 2299 }, (_, n) => ({ resource: item(n) }));
    const imported = await world.doctorA.api.post<{ patientId: string }>('/imports', undefined, {
      raw: bundle([{ fullUrl: 'urn:uuid:p', resource: patient }, ...entries]),
      headers: FHIR,
    });
    expect(imported.status).toBe(201);
    const print = world.doctorA.api.get(`/patients/${imported.body.patientId}/print`);
    const longest = await liveDuring(print);
    const { status, bytes } = await print;
    expect(status).toBe(200);
    const reader = spawnSync('pdftotext', ['-layout', '-', '-'], { input: bytes, encoding: 'utf8', maxBuffer: 1 << 28 });
    if (!reader.error) {
      expect(reader.stdout.replace(/\s+/g, ' ')).toContain('the newest 2000 sealed records; 300 older ones are not shown');
      expect(reader.stdout.match(/value \d+/g)).toHaveLength(2000);
      expect([/value 298\b/, /value 299\b/, /value 2298\b/].map((value) => value.test(reader.stdout))).toEqual([false, true, true]);
    }
    expect(longest).toBeLessThan(1000);
    const db = openRaw(world);
    const printed = rows<{ count: number }>(db, `SELECT count FROM audit_event WHERE action = 'chart.print' ORDER BY id DESC LIMIT 1`);
    db.close();
    expect(printed[0]?.count).toBe(2000);
  }, 180_000);
});

test('SEC-88 nobody else on the machine may read the database, its journals, the keys or the logs', () => {
  expect(databaseFiles(world).length).toBeGreaterThan(2);
  const files = filesOf(world);
  expect(files).toEqual(expect.arrayContaining(['ehr', 'audit'].map((name) => join(world.dir, `logs/${name}.log`))));
  for (const file of files) expect([file, statSync(file).mode & 0o077]).toEqual([file, 0]);
});
