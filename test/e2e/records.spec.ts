import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { ciphertextHash } from '../../src/ledger/core/content';
import { blockHash, BlockKind, decodeHeader, genesisHash, isZero, ledgerId } from '../../src/ledger/core/header';
import type { ChainVerdictResponse as Verdict } from '../../src/ledger/ledger.dto';
import type { Answer } from '../support/api-client';
import { openRaw, type RawDatabase, rows, storedChain, tamper } from '../support/raw-database';
import { addDoctor, addPatient, createWorld, draftDiagnosis, type Person, sealedDiagnosis, type World } from '../support/world';

interface Draft {
  id: string;
  version: number;
  kind: string;
  status: string;
  resource: Record<string, unknown>;
}
interface Chain {
  patientId: string;
  chainId: string;
  height: number;
  items: { height: number; kind: string; recordId: string; blockHash: string; prevHash: string; authorKeyId: string | null }[];
  nextCursor: string | null;
}
interface Attachment {
  id: string;
  name: string;
  size: number;
  sha256: string;
}

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest();
const ifMatch = (version: number) => ({ headers: { 'if-match': `"${version}"` } });
const draftOf = (doctor: Person, patientId: string, resource: object) =>
  doctor.api.post<Draft>(`/patients/${patientId}/records`, { resource: { subject: { reference: `Patient/${patientId}` }, ...resource } });
const verify = async (patientId: string, person = world.auditor) =>
  (await person.api.post<Verdict>(`/ledger/patients/${patientId}/verify`)).body;

describe('R13 recording', () => {
  test('R13 the doctor sees the hospital’s patients, reads their data, and drafts a diagnosis with everything it says', async () => {
    const { doctorA, patientA, patientB } = world;
    const listed = await doctorA.api.get<{ items: { id: string; name: string }[] }>('/patients?limit=100');
    expect(listed.body.items.map((item) => item.id)).toContain(patientA.id);
    expect(listed.body.items.map((item) => item.id)).not.toContain(patientB.id);
    expect((await doctorA.api.get(`/patients/${patientA.id}`)).body).toMatchObject({ name: 'Ayşe Demir', nationalId: '10000000146' });
    const made = await doctorA.api.post<Draft>(`/patients/${patientA.id}/diagnoses`, {
      code: 'J45.0',
      display: 'Predominantly allergic asthma',
      note: 'Nöbet geceleri',
      onset: '2024-03',
      severity: 'moderate',
    });
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"']);
    expect(made.body).toMatchObject({
      kind: 'Condition',
      status: 'draft',
      version: 1,
      resource: {
        resourceType: 'Condition',
        code: { coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code: 'J45.0', display: 'Predominantly allergic asthma' }] },
        subject: { reference: `Patient/${patientA.id}` },
        severity: { text: 'moderate' },
        onsetDateTime: '2024-03',
        note: [{ text: 'Nöbet geceleri' }],
      },
    });
    expect((await doctorA.api.get<Draft>(`/records/${made.body.id}`)).body.resource).toEqual(made.body.resource);
    const worklist = await doctorA.api.get<{ drafts: { id: string }[] }>('/doctors/me/worklist');
    expect(worklist.body.drafts.map((item) => item.id)).toContain(made.body.id);
  });

  test('R13 any clinical resource is drafted, filtered by kind and status; what is not FHIR or not this patient’s is refused by path', async () => {
    const { doctorA, doctorB, patientB } = world;
    const { id } = await addPatient(world, world.hospitalA, 'Kinds');
    const subject = { reference: `Patient/${id}` };
    const resources: Record<string, object> = {
      Observation: { status: 'final', code: { text: 'Temperature' }, valueQuantity: { value: 36.6, unit: 'Cel' } },
      AllergyIntolerance: {
        patient: subject,
        subject: undefined,
        code: { text: 'Fındık' },
        clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical', code: 'active' }] },
      },
      Procedure: { status: 'completed', code: { text: 'ECG' } },
    };
    for (const [resourceType, more] of Object.entries(resources)) {
      const made = await draftOf(doctorA, id, { resourceType, ...more });
      expect([made.status, made.body.kind]).toEqual([201, resourceType]);
    }
    await sealedDiagnosis(doctorA, id);
    const list = async (query: string) => (await doctorA.api.get<{ items: Draft[] }>(`/patients/${id}/records?${query}`)).body.items;
    expect((await list('kind=Procedure')).map((item) => item.kind)).toEqual(['Procedure']);
    expect((await list('status=sealed')).map((item) => item.kind)).toEqual(['Condition']);
    expect(await list('status=draft')).toHaveLength(3);

    const refusals: [object, string][] = [
      [{ resourceType: 'Observation', code: { text: 'x' } }, 'resource.status'],
      [{ resourceType: 'Observation', status: 'done', code: { text: 'x' } }, 'resource.status'],
      [{ resourceType: 'Condition', colour: 'red' }, 'resource.colour'],
      [{ resourceType: 'Condition', subject: { reference: `Patient/${patientB.id}` } }, 'resource.subject.reference'],
      [{ resourceType: 'Nonsense' }, 'resource.resourceType'],
      [{ resourceType: 'Patient', subject: undefined, active: true }, 'resource.resourceType'],
      [
        { resourceType: 'Condition', extension: [{ url: 'urn:bjwt-ehr:fhir:StructureDefinition:attachment', valueString: 'x' }] },
        'resource.extension',
      ],
    ];
    for (const [resource, path] of refusals) {
      const refused = (await draftOf(doctorA, id, resource)) as unknown as Answer<{ code: string; errors: { path: string }[] }>;
      expect([refused.status, refused.body.code, refused.body.errors.map((item) => item.path)]).toEqual([
        422,
        'invalid_resource',
        expect.arrayContaining([path]),
      ]);
    }
    expect((await draftOf(doctorB, id, { resourceType: 'Condition' })).status).toBe(404);
    expect(await list('limit=100')).toHaveLength(4);
  });

  test('R13 text of any script and decimals are kept byte for byte, from the draft over a change and the seal to the content', async () => {
    const { doctorA, patientA } = world;
    const note = 'İ ı ğ ş — 𠮷 患者 — العيّنة — e\\u0301 é — 👩‍👩‍👧‍👦 — \\"q\\" \\\\ \\t \\u00e9 \\/ <b>&amp;';
    const text = (value: string) =>
      `{ "resourceType" : "Observation",\n "status":"final", "code":{"text":"BMI"}, "subject":{"reference":"Patient/${patientA.id}"},` +
      ` "valueQuantity":{"value":${value},"unit":"kg/m2"}, "component":[{"code":{"text":"cost"},"valueQuantity":{"value":43818.60}},` +
      `{"code":{"text":"small"},"valueQuantity":{"value":0.000000000000000000010}},{"code":{"text":"exp"},"valueQuantity":{"value":1.50E+2}}], "note":[{"text":"${note}"}] }`;
    const headers = { 'content-type': 'application/json' };
    const made = await doctorA.api.post<Draft>(`/patients/${patientA.id}/records`, undefined, {
      raw: `{"resource":${text('27.0')}}`,
      headers,
    });
    expect(made.status).toBe(201);
    expect(made.text).toContain(`"resource":${text('27.0')}`);
    const { id } = made.body;
    const changed = await doctorA.api.put(`/records/${id}`, undefined, {
      raw: `{ "resource": ${text('27.50')}\n}`,
      headers: { ...headers, 'if-match': '"1"' },
    });
    expect(changed.text).toContain(`"resource":${text('27.50')}`);
    expect((await doctorA.api.get(`/records/${id}/content`)).text).toBe(text('27.50'));
    await doctorA.api.put(`/records/${id}`, undefined, { raw: `{"resource":${text('27.0')}}`, headers: { ...headers, 'if-match': '"2"' } });
    expect((await doctorA.api.post(`/records/${id}/seal`)).status).toBe(201);
    const content = await patientA.api.get(`/records/${id}/content`);
    expect(content.headers.get('content-type')).toBe('application/fhir+json');
    expect(content.bytes.equals(Buffer.from(text('27.0'), 'utf8'))).toBe(true);
    expect((await patientA.api.get('/patients/me/records?limit=100')).text).toContain(`"resource":${text('27.0')}`);
    const fix = text('28.00');
    const added = await doctorA.api.post<{ recordId: string }>(`/records/${id}/corrections`, undefined, {
      raw: `{"kind":"correction","reason":"scale","resource":${fix}}`,
      headers,
    });
    expect((await patientA.api.get(`/records/${added.body.recordId}`)).text).toContain(`"resource":${fix}`);
    expect((await patientA.api.get(`/records/${added.body.recordId}/content`)).text).toContain(`"resource":${fix}`);
  });

  test('R13 a retried draft with one Idempotency-Key is one draft, answered byte for byte', async () => {
    const { doctorA } = world;
    const { id } = await addPatient(world, world.hospitalA, 'Retry');
    const resource = `{"resourceType":"Observation","status":"final","code":{"text":"BMI"},"subject":{"reference":"Patient/${id}"},"valueQuantity":{"value":27.0}}`;
    const options = { raw: `{"resource":${resource}}`, headers: { 'content-type': 'application/json', 'idempotency-key': 'draft-0001' } };
    const first = await doctorA.api.post(`/patients/${id}/records`, undefined, options);
    const again = await doctorA.api.post(`/patients/${id}/records`, undefined, options);
    expect(first.text).toContain('"value":27.0}');
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([201, first.text, '"1"']);
    const other = { ...options, raw: options.raw.replace('27.0', '27') };
    expect((await doctorA.api.post(`/patients/${id}/records`, undefined, other)).status).toBe(422);
    expect((await doctorA.api.get<{ items: unknown[] }>(`/patients/${id}/records`)).body.items).toHaveLength(1);
  });
});

describe('R14 drafts', () => {
  test('R14 a draft changes against its version; stale and missing versions are refused and change nothing', async () => {
    const { doctorA, patientA } = world;
    const id = await draftDiagnosis(doctorA, patientA.id, 'v1');
    const { resource } = (await doctorA.api.get<Draft>(`/records/${id}`)).body;
    const put = (note: string, options = {}) =>
      doctorA.api.put<Draft>(`/records/${id}`, { resource: { ...resource, note: [{ text: note }] } }, options);
    expect((await put('v2')).status).toBe(428);
    for (const tag of ['"2"', '"0"', '1', 'W/"1"', '*']) expect((await put('v2', { headers: { 'if-match': tag } })).status).toBe(412);
    const done = await put('v2', ifMatch(1));
    expect([done.status, done.headers.get('etag'), done.body.version]).toEqual([200, '"2"', 2]);
    expect((await put('lost update', ifMatch(1))).status).toBe(412);
    const both = await Promise.all([put('a', ifMatch(2)), put('b', ifMatch(2))]);
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 412]);
    expect((await doctorA.api.get<Draft>(`/records/${id}`)).body).toMatchObject({
      version: 3,
      resource: { note: [{ text: both[0]?.status === 200 ? 'a' : 'b' }] },
    });
  });

  test('R14 a draft is its author’s: nobody else changes or seals it, colleagues and the patient do not see it, the hospital reads it', async () => {
    const { doctorA, colleagueA, hospitalA, doctorB, hospitalB, patientA } = world;
    const id = await draftDiagnosis(doctorA, patientA.id);
    const { resource } = (await doctorA.api.get<Draft>(`/records/${id}`)).body;
    for (const person of [colleagueA, doctorB]) {
      expect((await person.api.get(`/records/${id}`)).status).toBe(404);
      expect((await person.api.put(`/records/${id}`, { resource }, ifMatch(1))).status).toBe(404);
      expect((await person.api.delete(`/records/${id}`, ifMatch(1))).status).toBe(404);
      expect((await person.api.post(`/records/${id}/seal`)).status).toBe(404);
      expect((await person.api.get(`/records/${id}/content`)).status).toBe(404);
    }
    expect((await patientA.api.get(`/records/${id}`)).status).toBe(404);
    const seen = async (person: Person, patient: string) =>
      (await person.api.get<{ items: Draft[] }>(`/patients/${patient}/records?limit=100`)).body.items.map((item) => item.id);
    expect(await seen(colleagueA, patientA.id)).not.toContain(id);
    expect(await seen(patientA, 'me')).not.toContain(id);
    expect(await seen(hospitalA, patientA.id)).toContain(id);
    expect((await hospitalA.api.get(`/records/${id}`)).status).toBe(200);
    expect((await hospitalB.api.get(`/records/${id}`)).status).toBe(404);
    expect((await hospitalA.api.put(`/records/${id}`, { resource }, ifMatch(1))).status).toBe(403);
    expect((await hospitalA.api.post(`/records/${id}/seal`)).status).toBe(403);
    expect((await doctorA.api.get<Draft>(`/records/${id}`)).body).toMatchObject({ version: 1, status: 'draft' });
  });

  test('R14 a deleted draft is gone for good, with its files, and leaves no trace in the chain', async () => {
    const { doctorA, patientA } = world;
    const height = (await verify(patientA.id)).height;
    const id = await draftDiagnosis(doctorA, patientA.id, 'to be deleted');
    expect((await attach(doctorA, id, Buffer.from('x'))).status).toBe(201);
    expect((await doctorA.api.delete(`/records/${id}`)).status).toBe(428);
    expect((await doctorA.api.delete(`/records/${id}`, ifMatch(7))).status).toBe(412);
    expect((await doctorA.api.delete(`/records/${id}`, ifMatch(1))).status).toBe(204);
    expect((await doctorA.api.delete(`/records/${id}`, ifMatch(1))).status).toBe(404);
    expect((await doctorA.api.get(`/records/${id}`)).status).toBe(404);
    expect((await doctorA.api.post(`/records/${id}/seal`)).status).toBe(404);
    const db = openRaw(world);
    for (const table of ['record', 'attachment'])
      expect(rows(db, `SELECT 1 FROM ${table} WHERE ${table === 'record' ? 'id' : 'recordId'} = ?`, id)).toEqual([]);
    expect(rows(db, 'SELECT 1 FROM attachment_chunk WHERE attachmentId NOT IN (SELECT id FROM attachment)')).toEqual([]);
    db.close();
    expect((await verify(patientA.id)).height).toBe(height);
  });

  test('R14 nothing changes what is sealed; corrections of all four kinds stand beside it', async () => {
    const { doctorA, colleagueA, doctorB, hospitalA, patientA } = world;
    const id = await sealedDiagnosis(doctorA, patientA.id, 'as sealed');
    const before = await patientA.api.get(`/records/${id}/content`);
    const { resource } = (await doctorA.api.get<Draft>(`/records/${id}`)).body;
    for (const person of [doctorA, colleagueA]) {
      const put = await person.api.put(`/records/${id}`, { resource }, ifMatch(1));
      expect([put.status, put.body]).toMatchObject([
        409,
        { code: 'record_sealed', links: { corrections: `/api/v1/records/${id}/corrections` } },
      ]);
    }
    expect((await doctorB.api.put(`/records/${id}`, { resource }, ifMatch(1))).status).toBe(404);
    for (const person of [doctorA, hospitalA]) expect((await person.api.delete(`/records/${id}`, ifMatch(1))).status).toBe(409);
    const kinds = ['addendum', 'correction', 'late-entry', 'retraction'];
    const made: string[] = [];
    for (const kind of kinds) {
      const body = { kind, reason: `because ${kind}`, ...(kind === 'retraction' ? {} : { resource }) };
      const answer = await colleagueA.api.post<{ recordId: string }>(`/records/${id}/corrections`, body);
      expect(answer.status).toBe(201);
      made.push(answer.body.recordId);
      expect((await patientA.api.get(`/records/${answer.body.recordId}`)).body).toMatchObject({
        amends: id,
        amendment: kind,
        reason: `because ${kind}`,
      });
    }
    expect((await patientA.api.get(`/records/${id}`)).body['amendedBy']).toEqual(made.map((recordId, i) => ({ recordId, kind: kinds[i] })));
    expect((await patientA.api.get(`/records/${id}/content`)).bytes.equals(before.bytes)).toBe(true);
    expect((await doctorB.api.post(`/records/${id}/corrections`, { kind: 'addendum', reason: 'x', resource })).status).toBe(404);
    expect((await doctorA.api.post(`/records/${id}/corrections`, { kind: 'retraction', reason: 'x', resource })).status).toBe(400);
    expect((await doctorA.api.post(`/records/${id}/corrections`, { kind: 'addendum', reason: 'x' })).status).toBe(400);
    const draft = await draftDiagnosis(doctorA, patientA.id);
    expect((await doctorA.api.post(`/records/${draft}/corrections`, { kind: 'addendum', reason: 'x', resource })).status).toBe(409);
  });
});

test('R15 only the author’s own act seals, once, and the same answer comes back however often it is asked', async () => {
  const { doctorA, colleagueA, hospitalA, patientA } = world;
  const id = await draftDiagnosis(doctorA, patientA.id);
  const before = (await verify(patientA.id)).blocks;
  await doctorA.api.get(`/records/${id}`);
  await hospitalA.api.get(`/records/${id}`);
  expect((await verify(patientA.id)).blocks).toBe(before);
  for (const [person, status] of [
    [colleagueA, 404],
    [hospitalA, 403],
    [patientA, 403],
    [world.founder, 403],
  ] as const)
    expect((await person.api.post(`/records/${id}/seal`)).status).toBe(status);
  const answers = await Promise.all([1, 2, 3, 4].map(() => doctorA.api.post(`/records/${id}/seal`)));
  for (const answer of answers) expect([answer.status, answer.text]).toEqual([201, answers[0]?.text]);
  expect((await verify(patientA.id)).blocks).toBe(before + 1);
  expect((await patientA.api.get(`/records/${id}`)).body).toMatchObject({ status: 'sealed', ...pick(answers[0]?.body) });
  const db = openRaw(world);
  expect(rows(db, 'SELECT content FROM record WHERE id = ?', id)).toEqual([{ content: null }]);
  db.close();
});

const pick = (sealed: Record<string, unknown> | undefined) => ({
  height: sealed?.['height'],
  blockHash: sealed?.['blockHash'],
  sealedAt: sealed?.['sealedAt'],
});

test('R16 one chain per patient: heights without a gap, each block linked to the one before by SHA-256, recomputed from the raw rows', async () => {
  const { doctorA, colleagueA } = world;
  const patient = await addPatient(world, world.hospitalA, 'Chain');
  const first = await sealedDiagnosis(doctorA, patient.id);
  const resource = { resourceType: 'Condition', subject: { reference: `Patient/${patient.id}` } };
  const fix = await colleagueA.api.post<{ recordId: string }>(`/records/${first}/corrections`, {
    kind: 'correction',
    reason: 'r',
    resource,
  });
  const asked = await doctorA.api.post<{ id: string }>(`/patients/${patient.id}/questions`, { text: 'Q?' });
  await patient.api.post(`/questions/${asked.body.id}/answer`, { text: 'A' });
  const validUntil = new Date(world.clock.now() + 1e8).toISOString();
  await patient.api.post('/patients/me/consent/grants', { hospitalId: world.hospitalB.id, validUntil });
  for (let i = 0; i < 4; i += 1) await sealedDiagnosis(i % 2 ? doctorA : colleagueA, patient.id);

  const items: Chain['items'] = [];
  let page: Chain;
  let cursor = '';
  do {
    page = (await world.auditor.api.get<Chain>(`/ledger/patients/${patient.id}/chain?limit=3${cursor}`)).body;
    items.push(...page.items);
    cursor = `&cursor=${page.nextCursor}`;
  } while (page.nextCursor !== null);
  expect(items.map((item) => item.kind)).toEqual([
    'open-chain',
    'record',
    'amendment',
    'answer',
    'consent',
    'record',
    'record',
    'record',
    'record',
  ]);
  expect(items.map((item) => item.height)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(page.height).toBe(8);
  expect(items[2]).toMatchObject({ recordId: fix.body.recordId });
  for (const [i, item] of items.entries()) if (i > 0) expect(item.prevHash).toBe(items[i - 1]?.blockHash);

  const db = openRaw(world);
  const stored = storedChain(db, patient.id);
  const origin = (await world.auditor.api.get<{ ledgerOrigin: string }>(`/hospitals/${world.hospitalA.id}`)).body.ledgerOrigin;
  const ledger = ledgerId(origin);
  let prevHash = genesisHash(ledger, Buffer.from(page.chainId, 'base64url'));
  for (const [height, row] of stored.entries()) {
    const header = decodeHeader(row.header);
    expect(header.prevHash.toString('hex')).toBe(prevHash.toString('hex'));
    prevHash = blockHash(row.header);
    expect([prevHash.toString('hex'), row.height, header.height]).toEqual([items[height]?.blockHash, height, height]);
    expect([header.ledgerId.equals(ledger), row.header.length]).toEqual([true, 274]);
    const content = rows<{ ciphertext: Buffer }>(
      db,
      'SELECT ciphertext FROM ledger_content WHERE recordId = ? AND version = ?',
      row.recordId,
      row.version,
    )[0];
    if (height === 0) expect([header.kind, isZero(header.authorKeyId), content]).toEqual([BlockKind['open-chain'], true, undefined]);
    else {
      expect(ciphertextHash(content?.ciphertext ?? Buffer.alloc(0)).equals(header.ciphertextHash)).toBe(true);
      expect(sha256(row.attestation ?? '').equals(header.attestationHash)).toBe(true);
    }
  }
  expect(decodeHeader(stored[2]?.header ?? Buffer.alloc(0)).refHash.toString('hex')).toBe(items[1]?.blockHash);
  expect(rows(db, 'SELECT COUNT(*) AS n FROM ledger_chain WHERE patientId = ?', patient.id)).toEqual([{ n: 1 }]);
  db.close();
  expect(await verify(patient.id, patient)).toMatchObject({
    verdict: 'VALID',
    blocks: 9,
    height: 8,
    headHash: items[8]?.blockHash,
    findings: [],
  });
});

describe('R17 tampering', () => {
  let patient: Person;
  let author: Person;
  let records: string[];
  beforeAll(async () => {
    author = await addDoctor(world, world.hospitalA, 'Dr. Witness');
    patient = await addPatient(world, world.hospitalA, 'Tampered');
    records = [];
    for (let i = 0; i < 5; i += 1) records.push(await sealedDiagnosis(author, patient.id, `note ${i + 1}`));
  });

  type Expected = [code: string, height: number, field: string];
  const flip = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  const block = (db: RawDatabase, height: number) => storedChain(db, patient.id)[height] ?? fail();
  const fail = (): never => {
    throw new Error('no such block');
  };
  const recordAt = (height: number) => records[height - 1] ?? fail();
  const setBlock = (db: RawDatabase, height: number, column: string, value: unknown) =>
    db.prepare(`UPDATE ledger_block SET ${column} = ? WHERE chainId = ? AND height = ?`).run(value, block(db, height).chainId, height);
  const ciphertext = (db: RawDatabase, height: number) =>
    rows<{ ciphertext: Buffer }>(db, 'SELECT ciphertext FROM ledger_content WHERE recordId = ?', recordAt(height))[0]?.ciphertext ?? fail();
  const setContent = (db: RawDatabase, height: number, column: string, value: unknown) =>
    db.prepare(`UPDATE ledger_content SET ${column} = ? WHERE recordId = ?`).run(value, recordAt(height));
  const dropBlock = (db: RawDatabase, height: number) =>
    db.prepare('DELETE FROM ledger_block WHERE chainId = ? AND height = ?').run(block(db, height).chainId, height);

  const attacks: [name: string, change: (db: RawDatabase) => void, expected: Expected[], verdict?: string][] = [
    [
      'a byte of a ciphertext',
      (db) => setContent(db, 2, 'ciphertext', flip(ciphertext(db, 2), 20)),
      [['CIPHERTEXT_MISMATCH', 2, 'ciphertext']],
    ],
    [
      'a byte of a header',
      (db) => setBlock(db, 2, 'header', flip(block(db, 2).header, 120)),
      [
        ['HEADER_MISMATCH', 2, 'blockHash'],
        ['CONTENT_MISMATCH', 2, 'header.contentCommit'],
        ['BROKEN_LINK', 3, 'header.prevHash'],
      ],
    ],
    [
      'a header, and its hash made anew',
      (db) => {
        const header = flip(block(db, 2).header, 81);
        setBlock(db, 2, 'header', header);
        setBlock(db, 2, 'blockHash', blockHash(header));
      },
      [
        ['LEAF_MISSING', 2, 'header'],
        ['BROKEN_LINK', 3, 'header.prevHash'],
      ],
    ],
    [
      'the last header and the head, both made anew',
      (db) => {
        const header = flip(block(db, 5).header, 120);
        setBlock(db, 5, 'header', header);
        setBlock(db, 5, 'blockHash', blockHash(header));
        db.prepare('UPDATE ledger_chain SET headHash = ? WHERE patientId = ?').run(blockHash(header), patient.id);
      },
      [
        ['ATTESTATION_INVALID', 5, 'attestation.cmt'],
        ['LEAF_MISSING', 5, 'header'],
      ],
    ],
    [
      'an attestation',
      (db) =>
        setBlock(
          db,
          3,
          'attestation',
          `${block(db, 3).attestation}`.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
        ),
      [['ATTESTATION_INVALID', 3, 'attestation']],
    ],
    ['an attestation that is missing', (db) => setBlock(db, 3, 'attestation', null), [['ATTESTATION_INVALID', 3, 'attestation']]],
    [
      'a middle block that is deleted',
      (db) => dropBlock(db, 3),
      [
        ['HEIGHT_GAP', 4, 'height'],
        ['BROKEN_LINK', 4, 'header.prevHash'],
      ],
    ],
    ['the tail that is cut off', (db) => void [dropBlock(db, 5), dropBlock(db, 4)], [['HEAD_MISMATCH', 5, 'head.height']]],
    [
      'two ciphertexts that changed places',
      (db) => {
        const [one, three] = [ciphertext(db, 1), ciphertext(db, 3)];
        setContent(db, 1, 'ciphertext', three);
        setContent(db, 3, 'ciphertext', one);
      },
      [
        ['CIPHERTEXT_MISMATCH', 1, 'ciphertext'],
        ['CIPHERTEXT_MISMATCH', 3, 'ciphertext'],
      ],
    ],
    [
      'a record key',
      (db) =>
        setContent(
          db,
          4,
          'recordKey',
          rows<{ k: Buffer }>(db, 'SELECT recordKey AS k FROM ledger_content WHERE recordId = ?', recordAt(1))[0]?.k,
        ),
      [['CONTENT_MISMATCH', 4, 'ciphertext']],
    ],
    [
      'a content that is deleted',
      (db) => db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(recordAt(2)),
      [['CIPHERTEXT_MISMATCH', 2, 'ciphertext']],
      'INCOMPLETE',
    ],
    [
      'the head',
      (db) => db.prepare('UPDATE ledger_chain SET headHash = zeroblob(32) WHERE patientId = ?').run(patient.id),
      [['HEAD_MISMATCH', 5, 'head.hash']],
    ],
    ['a column that is no hash', (db) => setBlock(db, 2, 'blockHash', 'text'), [['MALFORMED', 2, 'blockHash']]],
    [
      'the author’s key',
      (db) =>
        db
          .prepare('UPDATE author_key SET x = (SELECT x FROM author_key WHERE accountId <> ? LIMIT 1) WHERE accountId = ?')

          .run(author.id, author.id),
      [1, 2, 3, 4, 5].map((height): Expected => ['KEY_UNKNOWN', height, 'header.authorKeyId']),
    ],
  ];
  const tables = ['ledger_block', 'ledger_content', 'ledger_chain', 'author_key'];

  test.each(attacks)('R17 the verdict names %s', async (_name, change, expected, verdict = 'TAMPERED') => {
    await tamper(world, tables, change, async () => {
      for (const person of [world.auditor, patient, author]) {
        const report = await verify(patient.id, person);
        expect([report.patientId, report.verdict]).toEqual([patient.id, verdict]);
        for (const finding of expected) expect(report.findings.map((item) => [item.code, item.height, item.field])).toContainEqual(finding);
        // The rows about a block show its change too, at its own height.
        const ofChain = report.findings.filter((item) => !item.field.startsWith('record.'));
        expect(Math.min(...ofChain.map((item) => item.height))).toBe(expected[0]?.[1]);
        for (const item of report.findings) if (item.recordId !== null) expect(item.recordId).toBe(recordAt(item.height));
      }
      expect((await verify(world.patientA.id)).verdict).toBe('VALID');
    });
    expect((await verify(patient.id)).verdict).toBe('VALID');
  });

  test('R17 what was altered is not shown, and the rest still is', async () => {
    const spoil = (db: RawDatabase) => setContent(db, 2, 'ciphertext', flip(ciphertext(db, 2), 20));
    await tamper(world, tables, spoil, async () => {
      for (const path of [`/records/${recordAt(2)}`, `/records/${recordAt(2)}/content`, '/patients/me/records', '/patients/me/print']) {
        const answer = await patient.api.get(path);
        expect([path, answer.status, answer.body['code']]).toEqual([path, 500, 'integrity_error']);
        expect(answer.text).not.toContain('note 2');
      }
      expect((await patient.api.get(`/records/${recordAt(3)}`)).status).toBe(200);
    });
    expect((await patient.api.get(`/records/${recordAt(2)}`)).status).toBe(200);
  });

  test('R17 the database refuses to change or delete anything sealed, also by replacing', async () => {
    const withFile = await draftDiagnosis(author, patient.id);
    expect((await attach(author, withFile, Buffer.from('sealed file'))).status).toBe(201);
    await author.api.post(`/records/${withFile}/seal`);
    const validUntil = new Date(world.clock.now() + 1e8).toISOString();
    await patient.api.post('/patients/me/consent/grants', { hospitalId: world.hospitalB.id, validUntil });
    const db = openRaw(world);
    const sealed: [table: string, column: string, where: string][] = [
      ['audit_event', 'action', '1 = 1'],
      ['ledger_block', 'header', '1 = 1'],
      ['ledger_content', 'ciphertext', '1 = 1'],
      ['author_key', 'x', '1 = 1'],
      ['consent', 'contract', '1 = 1'],
      ['ledger_chain', 'headHash', '1 = 1'],
      ['record', 'authorId', `status = 'sealed'`],
      ['attachment', 'sha256', `recordId = '${withFile}'`],
      ['attachment_chunk', 'bytes', `attachmentId IN (SELECT id FROM attachment WHERE recordId = '${withFile}')`],
    ];
    for (const [table, column, where] of sealed) {
      const dump = () => JSON.stringify(rows(db, `SELECT * FROM "${table}" ORDER BY 1, 2`));
      const before = dump();
      expect(rows(db, `SELECT 1 FROM "${table}" WHERE ${where}`).length).toBeGreaterThan(0);
      expect(() => db.exec(`UPDATE "${table}" SET "${column}" = "${column}" WHERE ${where}`)).toThrow(/append-only|never|only grows/);
      expect(() => db.exec(`DELETE FROM "${table}" WHERE ${where}`)).toThrow(/append-only|never/);
      const replace = `INSERT OR REPLACE INTO "${table}" SELECT * FROM "${table}" WHERE ${where}`;
      const { sources, config } = world.foundations;
      await expect(sources.writer.query(config.postgres ? `TRUNCATE "${table}" CASCADE` : replace)).rejects.toThrow(
        /append-only|never|constraint|sealed above|nothing here is emptied/i,
      );
      expect(dump()).toBe(before);
    }
    db.close();
  });
});

/** Attaches a file to a draft. */
function attach(doctor: Person, record: string, file: Buffer, name = 'röntgen.png', type = 'image/png'): Promise<Answer<Attachment>> {
  const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(name)}`;
  return doctor.api.post<Attachment>(`/records/${record}/attachments`, undefined, {
    raw: file,
    headers: { 'content-type': type, 'content-disposition': disposition },
  });
}

describe('R30 files', () => {
  const LIMIT = 25 * 1024 * 1024;
  const filesIn = (): { files: number; chunks: number } => {
    const db = openRaw(world);
    const [found] = rows<{ files: number; chunks: number }>(
      db,
      'SELECT (SELECT COUNT(*) FROM attachment) AS files, (SELECT COUNT(*) FROM attachment_chunk) AS chunks',
    );
    db.close();
    return found ?? { files: -1, chunks: -1 };
  };
  const noise = (size: number) => {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i + 4 <= size; i += 4) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
    return bytes;
  };

  test('R30 a file of 25 MiB is kept, covered by the seal with its SHA-256, and read back; one byte more is refused and leaves nothing', async () => {
    const { doctorA, hospitalA, patientA, hospitalB, doctorB } = world;
    const id = await draftDiagnosis(doctorA, patientA.id);
    const file = noise(LIMIT);
    const added = await attach(doctorA, id, file, 'ct 李博.dcm', 'application/dicom');
    expect([added.status, added.body]).toMatchObject([201, { name: 'ct 李博.dcm', size: LIMIT, sha256: sha256(file).toString('base64') }]);
    const before = filesIn();
    const tooLarge = await attach(doctorA, id, Buffer.concat([file, Buffer.from('x')]));
    expect([tooLarge.status, tooLarge.body]).toMatchObject([413, { code: 'body_too_large' }]);
    expect(filesIn()).toEqual(before);

    expect((await doctorA.api.post(`/records/${id}/seal`)).status).toBe(201);
    const content = JSON.parse((await patientA.api.get(`/records/${id}/content`)).text) as { extension: { extension: unknown[] }[] };
    expect(content.extension).toHaveLength(1);
    expect(content.extension[0]?.extension).toEqual([
      {
        url: 'file',
        valueAttachment: { contentType: 'application/dicom', url: `urn:uuid:${added.body.id}`, size: LIMIT, title: 'ct 李博.dcm' },
      },
      { url: 'sha256', valueBase64Binary: sha256(file).toString('base64') },
    ]);
    for (const person of [hospitalA]) {
      const read = await person.api.get(`/records/${id}/attachments/${added.body.id}`);
      expect([read.status, read.headers.get('content-type'), sha256(read.bytes).equals(sha256(file))]).toEqual([
        200,
        'application/octet-stream',
        true,
      ]);
    }
    for (const person of [hospitalB, doctorB]) {
      expect((await person.api.get(`/records/${id}/attachments/${added.body.id}`)).status).toBe(404);
      expect((await person.api.get(`/records/${id}/attachments`)).status).toBe(404);
    }
    expect((await attach(doctorA, id, Buffer.from('late'))).status).toBe(409);
    expect((await patientA.api.get<unknown[]>(`/records/${id}/attachments`)).body).toHaveLength(1);
  }, 120_000);

  test('R30 several files stand in the content in their order; a file is read through its own record only', async () => {
    const { doctorA, colleagueA, patientA } = world;
    const [id, other] = [await draftDiagnosis(doctorA, patientA.id), await draftDiagnosis(doctorA, patientA.id)];
    const made: string[] = [];
    for (const name of ['a.png', 'b.png', 'c.png']) made.push((await attach(doctorA, id, Buffer.from(name), name)).body.id);
    expect((await colleagueA.api.get(`/records/${id}/attachments`)).status).toBe(404);
    expect((await attach(colleagueA, id, Buffer.from('x'))).status).toBe(404);
    await doctorA.api.post(`/records/${id}/seal`);
    await doctorA.api.post(`/records/${other}/seal`);
    const text = (await doctorA.api.get(`/records/${id}/content`)).text;
    expect([...text.matchAll(/urn:uuid:([0-9a-f-]{36})/g)].map((match) => match[1])).toEqual(made);
    expect((await doctorA.api.get(`/records/${other}/attachments/${made[0]}`)).status).toBe(404);
    expect((await colleagueA.api.get(`/records/${id}/attachments/${made[2]}`)).text).toBe('c.png');
  });

  test.each([0, 1])('R30 a file whose piece %i was altered in the database is not served', async (position) => {
    const { doctorA, patientA } = world;
    const id = await draftDiagnosis(doctorA, patientA.id);
    const added = await attach(doctorA, id, noise(600_000));
    await doctorA.api.post(`/records/${id}/seal`);
    const path = `/records/${id}/attachments/${added.body.id}`;
    const download = () =>
      patientA.api.get(path).then(
        (answer) => answer.status,
        () => 'cut off',
      );
    const spoil = (db: RawDatabase) => {
      const where = 'attachmentId = ? AND position = ?';
      const [row] = rows<{ bytes: Buffer }>(db, `SELECT bytes FROM attachment_chunk WHERE ${where}`, added.body.id, position);
      const bytes = Buffer.from(row?.bytes ?? []);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      db.prepare(`UPDATE attachment_chunk SET bytes = ? WHERE ${where}`).run(bytes, added.body.id, position);
    };
    expect(await download()).toBe(200);
    await tamper(world, ['attachment_chunk'], spoil, async () => {
      expect([500, 'cut off']).toContain(await download());
    });
    expect(await download()).toBe(200);
  });

  test('R30 an upload that breaks off leaves nothing', async () => {
    const id = await draftDiagnosis(world.doctorA, world.patientA.id);
    const before = filesIn();
    const headers = {
      authorization: `Bearer ${world.doctorA.api.token}`,
      'content-type': 'image/png',
      'content-disposition': 'attachment; filename="half.png"',
      'content-length': String(5_000_000),
    };
    const upload = request(`${world.url}/api/v1/records/${id}/attachments`, { method: 'POST', headers });
    upload.on('error', () => undefined);
    upload.write(noise(1_000_000));
    const until = async (done: () => boolean) => {
      for (let waited = 0; !done(); waited += 20) {
        if (waited > 5000) throw new Error('waited in vain');
        await new Promise((tick) => setTimeout(tick, 20));
      }
    };
    await until(() => filesIn().chunks > before.chunks);
    expect((await world.doctorA.api.get<unknown[]>(`/records/${id}/attachments`)).body).toEqual([]);
    upload.destroy();
    await until(() => filesIn().files === before.files);
    expect(filesIn()).toEqual(before);
  });

  test('R30 what is no file is refused: no name, an empty body, JSON, HTML', async () => {
    const id = await draftDiagnosis(world.doctorA, world.patientA.id);
    const before = filesIn();
    expect((await attach(world.doctorA, id, Buffer.alloc(0))).status).toBe(400);
    expect((await attach(world.doctorA, id, Buffer.from('x'), '../../etc/passwd')).status).toBe(400);
    expect((await attach(world.doctorA, id, Buffer.from('{}'), 'a.json', 'application/json')).status).toBe(415);
    expect((await attach(world.doctorA, id, Buffer.from('<p>'), 'a.html', 'text/html')).status).toBe(415);
    expect(filesIn()).toEqual(before);
  });
});
