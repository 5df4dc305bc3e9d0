import { readBundle } from '../../src/fhir/bundle';
import { samplePatients } from '../../src/tools/sample-patients';
import type { Answer } from '../support/api-client';
import { openRaw } from '../support/raw-database';
import { omit } from '../support/omit';
import { rowCounts } from '../support/row-counts';
import { createWorld, type Person, type World } from '../support/world';

interface Imported {
  patientId: string;
  sealed: number;
  height: number;
  blockHash: string;
  directory: number;
}
interface Problem {
  code: string;
  errors: { path: string; message: string }[];
}
interface Page {
  items: { id: string; kind: string; status: string }[];
  nextCursor: string | null;
}

const samples = samplePatients();
let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const send = <T>(person: Person, text: string, headers: Record<string, string> = {}) =>
  person.api.post<T>('/imports', undefined, { raw: text, headers: { 'content-type': 'application/fhir+json', ...headers } });

/** How many rows each table has, without the trail. */
async function counts(): Promise<Record<string, unknown>> {
  return omit(await rowCounts(world), 'data_key');
}

async function allRecords(person: Person, patientId: string): Promise<{ items: Page['items']; text: string }> {
  const all = { items: [] as Page['items'], text: '' };
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Answer<Page> = await person.api.get<Page>(
      `/patients/${patientId}/records?limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`,
    );
    all.items.push(...page.body.items);
    all.text += page.text;
    cursor = page.body.nextCursor;
  }
  return all;
}

test.each(samples)('R13 R16 the import of $fileName seals every resource, byte for byte', async ({ text }) => {
  const bundle = await readBundle(text);
  if (bundle.kind !== 'patient') throw new Error('not a chart');
  const wanted = [bundle.patient, ...bundle.clinical];
  const done = await send<Imported>(world.doctorA, text);
  expect([done.status, done.body]).toMatchObject([
    201,
    { sealed: wanted.length, height: wanted.length, directory: bundle.directory.length },
  ]);
  const { patientId } = done.body;
  const { items, text: shown } = await allRecords(world.hospitalA, patientId);
  expect(items.map((item) => [item.kind, item.status])).toEqual(wanted.map((item) => [item.resourceType, 'sealed']));
  for (const [i, item] of wanted.entries()) expect([i, shown.includes(`"resource":${item.text},`)]).toEqual([i, true]);
  for (const i of [0, wanted.length - 1])
    expect((await world.colleagueA.api.get(`/records/${items[i]?.id}/content`)).text).toBe(wanted[i]?.text);
  const names = bundle.patient.resource['name'] as { given: string[]; family: string }[];
  expect((await world.hospitalA.api.get(`/patients/${patientId}`)).body).toMatchObject({
    name: [...(names[0]?.given ?? []), names[0]?.family].join(' '),
    birthDate: bundle.patient.resource['birthDate'],
  });
  const verdict = await world.auditor.api.post(`/ledger/patients/${patientId}/verify`);
  expect(verdict.body).toMatchObject({ verdict: 'VALID', findings: [], blocks: wanted.length + 1, headHash: done.body.blockHash });
  const chain = await world.auditor.api.get<{ items: { kind: string }[] }>(`/ledger/patients/${patientId}/chain?limit=3`);
  expect(chain.body.items.map((item) => item.kind)).toEqual(['open-chain', 'profile', 'record']);
  expect((await world.doctorB.api.get(`/patients/${patientId}/records`)).status).toBe(404);
  expect((await world.doctorA.api.get(`/patients/${patientId}/print`)).bytes.subarray(0, 5).toString()).toBe('%PDF-');
});

test('R13 decimals of an import keep their text: 27.0 and 43818.60', async () => {
  const { patientId } = (await send<Imported>(world.hospitalB, samples[0]?.text ?? '')).body;
  const list = await world.hospitalB.api.get(`/patients/${patientId}/records?limit=100`);
  for (const decimal of ['"value":27.0,', '"value":43818.60,']) expect(list.text).toContain(decimal);
});

describe('R25 a bundle that fails leaves nothing', () => {
  interface Bundle {
    entry: { fullUrl: string; resource: Record<string, unknown>; request?: object }[];
  }
  const broken = (change: (bundle: Bundle) => void): string => {
    const bundle = JSON.parse(samplePatients(1, 77)[0]?.text ?? '') as Bundle;
    change(bundle);
    return JSON.stringify(bundle);
  };
  const last = (bundle: Bundle) => bundle.entry.at(-1) ?? { fullUrl: '', resource: {} };
  const size = (JSON.parse(samplePatients(1, 77)[0]?.text ?? '') as Bundle).entry.length;
  const cases: [string, (bundle: Bundle) => void, string][] = [
    ['an invalid last resource', (bundle) => void (last(bundle).resource['created'] = 'yesterday'), `entry[${size - 1}].resource.created`],
    ['an unknown element', (bundle) => void (last(bundle).resource['colour'] = 'red'), `entry[${size - 1}].resource.colour`],
    ['an entry without a resource', (bundle) => void bundle.entry.push({ fullUrl: 'urn:x' } as never), `entry[${size}].resource`],
    [
      'a second patient',
      (bundle) => void bundle.entry.push({ fullUrl: 'urn:y', resource: { resourceType: 'Patient' } }),
      `entry[${size}].resource`,
    ],
    [
      'a resource of another patient',
      (bundle) => void (last(bundle).resource['patient'] = { reference: 'Patient/somebody-else' }),
      `entry[${size - 1}].resource.patient.reference`,
    ],
    ['a deletion', (bundle) => void (last(bundle).request = { method: 'DELETE', url: 'X' }), `entry[${size - 1}].request.method`],
  ];

  test.each(cases)('R25 %s: 422, the entry named, nothing stored', async (_name, change, path) => {
    const before = await counts();
    const refused = await send<Problem>(world.doctorA, broken(change));
    expect([refused.status, refused.body.code]).toEqual([422, 'invalid_bundle']);
    expect(refused.body.errors.map((item) => item.path)).toContain(path);
    expect(await counts()).toEqual(before);
  });

  test('R25 the same person twice: 409, the entry named, nothing stored', async () => {
    const text = samplePatients(1, 5)[0]?.text ?? '';
    expect((await send(world.doctorA, text)).status).toBe(201);
    const before = await counts();
    const fresh = text.replace('Örnek Şifa Hastanesi', 'Başka Hastane'); // a directory entry that would be new
    expect(fresh).not.toBe(text);
    const refused = await send<Problem>(world.doctorA, fresh);
    expect([refused.status, refused.body.code]).toEqual([409, 'already_exists']);
    expect(refused.body.errors[0]?.path).toMatch(/^entry\[\d+\]\.resource\.identifier$/);
    expect(await counts()).toEqual(before);
  });

  test('R25 a fault of the database in the middle of the chain takes back what was sealed before it', async () => {
    const text = samplePatients(1, 9)[0]?.text ?? '';
    const before = await counts();
    const db = openRaw(world);
    db.exec(`CREATE TRIGGER test_fault BEFORE INSERT ON ledger_block WHEN NEW.height = 9 BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`);
    try {
      const failed = await send<Problem>(world.doctorA, text);
      expect([failed.status, failed.body.code]).toEqual([500, 'internal_error']);
      expect(failed.text).not.toContain('fire');
    } finally {
      db.exec('DROP TRIGGER test_fault');
      db.close();
    }
    expect(await counts()).toEqual(before);
    expect((await send(world.doctorA, text)).status).toBe(201);
  });

  test('R25 what is no bundle, too large, or of another type is refused', async () => {
    const before = await counts();
    for (const text of [
      '{}',
      '{"resourceType":"Bundle","type":"transaction","entry":[]}',
      '{"resourceType":"Bundle","type":"history","entry":[{}]}',
    ])
      expect((await send<Problem>(world.doctorA, text)).body.code).toBe('invalid_bundle');
    for (const text of ['[', '{"resourceType":"Bundle","type":"transaction","type":"batch"}'])
      expect((await send<Problem>(world.doctorA, text)).body.code).toBe('malformed_json');
    expect((await send(world.doctorA, ' '.repeat(17_000_000))).status).toBe(413);
    expect((await send(world.doctorA, samples[1]?.text ?? '', { 'content-type': 'application/json' })).status).toBeGreaterThanOrEqual(400);
    expect((await send(world.doctorA, samples[1]?.text ?? '', { 'content-type': 'text/xml' })).status).toBe(415);
    for (const person of [world.patientA, world.founder, world.auditor])
      expect((await send(person, samples[1]?.text ?? '')).status).toBe(403);
    expect(await counts()).toEqual(before);
  });
});

test('R25 a retried import with one Idempotency-Key enrols one patient; another bundle under that key is refused', async () => {
  const [one, two] = samplePatients(2, 123).map(({ text }) => text);
  const key = { 'idempotency-key': 'import-0001' };
  const first = await send<Imported>(world.doctorA, one ?? '', key);
  const before = await counts();
  const again = await send<Imported>(world.doctorA, one ?? '', key);
  expect([first.status, again.status, again.text]).toEqual([201, 201, first.text]);
  const other = await send<Problem>(world.doctorA, two ?? '', key);
  expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
  expect(await counts()).toEqual(before);
});
