import { createHash } from 'node:crypto';
import { PurgeService } from '../../src/erasure/purge.service';
import { readCertificate } from '../../src/ledger/core/erasure-certificate';
import type { ChainVerdictResponse as Verdict } from '../../src/ledger/ledger.dto';
import { approve, ask, erase, type Erasure, slicesLeft, slicesOnDisk } from '../support/erasures';
import { openRaw, rows } from '../support/raw-database';
import { allRoutes, probeAll } from '../support/routes';
import { onSqlite } from '../support/each-store';
import { addPatient, createWorld, draftDiagnosis, login, type Person, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

interface Item {
  id: string;
  status: string;
  resource: Record<string, unknown> | null;
  amendedBy: { recordId: string; kind: string }[];
}
const CANARY = 'kanarya türküsü 4711';
const verify = async (patientId: string) => (await world.auditor.api.post<Verdict>(`/ledger/patients/${patientId}/verify`)).body;
const upload = (person: Person, record: string) =>
  person.api.post<{ id: string }>(`/records/${record}/attachments`, undefined, {
    raw: Buffer.alloc(9_000, CANARY),
    headers: { 'content-type': 'image/png', 'content-disposition': 'attachment; filename="scan.png"' },
  });
const trail = async (patientId: string) => {
  const page = await world.auditor.api.get<{
    items: { action: string; outcome: string; subjectId: string; actorId: string; kind: string }[];
  }>(`/audit/events?patientId=${patientId}&limit=100`);
  return page.body.items;
};

/** The bytes that must go, as SQL reads them: without the heads that all envelopes of one key share. */
function blobs(sql: string, ...parameters: unknown[]): Buffer[] {
  const db = openRaw(world);
  try {
    const found = rows<Record<string, Buffer | null>>(db, sql, ...parameters).flatMap((row) => Object.values(row));
    return found.flatMap((blob) => (blob === null ? [] : [blob.subarray(blob[0] === 0xe1 ? 18 : 0)]));
  } finally {
    db.close();
  }
}

/** The answers kept for retries with these keys, of which the database has hashes. */
function keptFor(...keys: string[]): Buffer[] {
  return keys.flatMap((key) =>
    blobs('SELECT response FROM idempotency WHERE "key" = ?', createHash('sha256').update(key).digest('base64url')),
  );
}

describe('erasure of one record', () => {
  let patient: Person;
  let record: string;
  let other: string;
  beforeEach(async () => {
    patient = await addPatient(world, world.doctorA, 'Erased Record');
    record = await draftDiagnosis(world.doctorA, patient.id, CANARY);
    await upload(world.doctorA, record);
    expect((await world.doctorA.api.post(`/records/${record}/seal`)).status).toBe(201);
    other = await sealedDiagnosis(world.doctorA, patient.id, 'stays');
  });

  test('SEC-85 two people approve; ciphertext, wrapped key and files are gone from every file, the chain is whole and says ERASED', async () => {
    const secrets = [
      ...blobs('SELECT ciphertext, recordKey FROM ledger_content WHERE recordId = ?', record),
      ...blobs('SELECT c.bytes FROM attachment_chunk c JOIN attachment a ON a.id = c.attachmentId WHERE a.recordId = ?', record),
      ...blobs('SELECT name FROM attachment WHERE recordId = ?', record),
    ];
    expect(secrets).toHaveLength(4);
    expect(slicesOnDisk(world, secrets)).toBeGreaterThan(20);
    const asked = await ask(patient, 'me', record);
    expect(asked.body).toMatchObject({ state: 'requested', approvedBy: [], recordId: record, requestedBy: patient.id });
    expect((await approve(world.hospitalA, asked.body.id)).body).toMatchObject({ state: 'requested', approvedBy: [world.hospitalA.id] });
    expect((await verify(patient.id)).verdict).toBe('VALID');
    expect((await patient.api.get(`/records/${record}`)).status).toBe(200);

    const done = await approve(world.founder, asked.body.id);
    expect(done.body).toMatchObject({
      state: 'executed',
      approvedBy: [world.hospitalA.id, world.founder.id],
      purgedAt: expect.any(String),
    });
    expect(await slicesLeft(world, [...secrets, Buffer.from(CANARY)])).toBe(0);
    expect(await verify(patient.id)).toMatchObject({ verdict: 'ERASED', blocks: 4, findings: [] });
  });

  onSqlite('SEC-85 while somebody reads an older state the bytes stay, which is said, and go later; a restart does that too', async () => {
    const secrets = blobs('SELECT ciphertext, recordKey FROM ledger_content WHERE recordId = ?', record);
    const reader = openRaw(world);
    reader.exec('BEGIN');
    rows(reader, 'SELECT COUNT(*) FROM ledger_content');
    const done = await erase(world, patient.id, record);
    expect(done).toMatchObject({ state: 'executed', purgedAt: null });
    expect(slicesOnDisk(world, secrets)).toBeGreaterThan(0);
    expect((await patient.api.get(`/records/${record}`)).status).toBe(410);
    reader.exec('COMMIT');
    reader.close();
    await world.app.get(PurgeService).onApplicationBootstrap();
    expect(await slicesLeft(world, secrets)).toBe(0);
    const list = await patient.api.get<{ items: Erasure[] }>('/patients/me/erasures');
    expect(list.body.items.at(-1)).toMatchObject({ id: done.id, purgedAt: expect.any(String) });
  });

  test('R18 who may see the chart is told that it was erased (410); lists show it without content; the rest stays', async () => {
    await erase(world, patient.id, record);
    for (const person of [patient, world.doctorA, world.colleagueA, world.hospitalA]) {
      for (const path of [`/records/${record}`, `/records/${record}/content`, `/records/${record}/attachments`]) {
        const answer = await person.api.get<{ code: string }>(path);
        expect([path, answer.status, answer.body.code]).toEqual([path, 410, 'erased']);
      }
      const list = await person.api.get<{ items: Item[] }>(`/patients/${patient.id}/records`);
      expect(list.body.items.map(({ id, status }) => [id, status])).toEqual([
        [record, 'erased'],
        [other, 'sealed'],
      ]);
      expect(list.body.items[0]?.resource).toBeNull();
      expect((await person.api.get(`/records/${other}`)).status).toBe(200);
      expect((await person.api.get(`/patients/${patient.id}/print`)).status).toBe(200);
    }
    for (const stranger of [world.doctorB, world.hospitalB, world.patientA])
      expect((await stranger.api.get(`/records/${record}`)).status).toBe(404);
    const only = await patient.api.get<{ items: Item[] }>('/patients/me/records?status=erased');
    expect(only.body.items.map(({ id }) => id)).toEqual([record]);
    const entries = await world.hospitalA.api.get<{ items: Item[] }>('/hospitals/me/entries?limit=100');
    expect(entries.body.items.find(({ id }) => id === record)).toMatchObject({ status: 'erased' });
  });

  test('R14 an erased record is neither changed, deleted, sealed, corrected nor given a file, nor erased again', async () => {
    await erase(world, patient.id, record);
    const { doctorA } = world;
    const ifMatch = { headers: { 'if-match': '"1"' } };
    const resource = { resourceType: 'Condition', subject: { reference: `Patient/${patient.id}` } };
    const answers = [
      await doctorA.api.put(`/records/${record}`, { resource }, ifMatch),
      await doctorA.api.delete(`/records/${record}`, ifMatch),
      await doctorA.api.post(`/records/${record}/seal`),
      await doctorA.api.post(`/records/${record}/corrections`, { kind: 'retraction', reason: 'late' }),
      await upload(doctorA, record),
      await ask(patient, 'me', record),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([410, 410, 410, 410, 410, 410]);
  });

  test('corrections of an erased record stay, and can be erased themselves; what they correct still shows them', async () => {
    const correction = await world.doctorA.api.post<{ recordId: string }>(`/records/${other}/corrections`, {
      kind: 'correction',
      reason: 'value',
      resource: { resourceType: 'Condition', subject: { reference: `Patient/${patient.id}` }, code: { text: 'corrected' } },
    });
    await erase(world, patient.id, other);
    expect((await patient.api.get<Item>(`/records/${correction.body.recordId}`)).body.resource).toMatchObject({
      code: { text: 'corrected' },
    });

    const addendum = await world.doctorA.api.post<{ recordId: string }>(`/records/${record}/corrections`, {
      kind: 'retraction',
      reason: 'wrong',
    });
    await erase(world, patient.id, addendum.body.recordId);
    const read = await patient.api.get<Item>(`/records/${record}`);
    expect([read.status, read.body.amendedBy]).toEqual([200, [{ recordId: addendum.body.recordId, kind: 'retraction' }]]);
    expect((await verify(patient.id)).verdict).toBe('ERASED');
  });

  test('R19 erasing an answer takes the question with it, and what was kept for retries', async () => {
    const question = await world.doctorA.api.post<{ id: string }>(
      `/patients/${patient.id}/questions`,
      { text: CANARY },
      { headers: { 'idempotency-key': `ask-${patient.id}` } },
    );
    const key = { headers: { 'idempotency-key': `draft-${patient.id}` } };
    const draft = await world.doctorA.api.post<Item>(`/patients/${patient.id}/diagnoses`, { code: 'X', display: CANARY }, key);
    await world.doctorA.api.post(`/records/${draft.body.id}/seal`);
    const answered = await patient.api.post<{ sealed: { recordId: string } }>(
      `/questions/${question.body.id}/answer`,
      { text: CANARY },
      { headers: { 'idempotency-key': `answer-${patient.id}` } },
    );
    const kept = () => keptFor(...['ask', 'draft', 'answer'].map((name) => `${name}-${patient.id}`));
    const secrets = [...kept(), ...blobs('SELECT text, answer FROM question WHERE id = ?', question.body.id)];
    expect(secrets).toHaveLength(5);
    await erase(world, patient.id, answered.body.sealed.recordId);
    await erase(world, patient.id, draft.body.id);
    expect(kept()).toEqual([]);
    expect(await slicesLeft(world, secrets)).toBe(0);
    expect((await patient.api.get<{ items: unknown[] }>('/patients/me/questions')).body.items).toEqual([]);
  });

  test('R20 SEC-95 each step has its row on the trail, and only ids in it', async () => {
    const asked = await ask(patient, 'me', record);
    await approve(world.hospitalA, asked.body.id);
    await approve(world.founder, asked.body.id);
    await patient.api.get(`/erasures/${asked.body.id}/certificate`);
    const second = await ask(world.hospitalA, patient.id, other);
    await world.founder.api.post(`/erasures/${second.body.id}/refusal`);
    const found = (await trail(patient.id)).filter((row) => row.action.startsWith('erasure.'));
    expect(found.map(({ action, outcome, actorId, kind, subjectId }) => [action, outcome, actorId, kind, subjectId]).reverse()).toEqual([
      ['erasure.request', 'ok', patient.id, 'record', asked.body.id],
      ['erasure.approve', 'ok', world.hospitalA.id, 'record', asked.body.id],
      ['erasure.execute', 'ok', world.founder.id, 'record', asked.body.id],
      ['erasure.approve', 'ok', world.founder.id, 'record', asked.body.id],
      ['erasure.certificate', 'ok', patient.id, 'record', asked.body.id],
      ['erasure.request', 'ok', world.hospitalA.id, 'record', second.body.id],
      ['erasure.refuse', 'ok', world.founder.id, 'record', second.body.id],
    ]);
  });

  test('the certificate is checked without the server, and names a block of the chain', async () => {
    const erased = await erase(world, patient.id, record);
    const answer = await patient.api.get(`/erasures/${erased.id}/certificate`);
    const { statement, blockHash, header } = readCertificate(answer.body);
    expect(statement).toMatchObject({ scope: 'record', erases: record, reason: 'consent-withdrawn' });
    expect(statement.approvedBy).toEqual([world.hospitalA.id, world.founder.id]);
    const chain = await patient.api.get<{ items: { kind: string; recordId: string; blockHash: string }[] }>('/ledger/patients/me/chain');
    expect(chain.body.items.at(-1)).toMatchObject({ kind: 'erase', recordId: erased.id, blockHash: blockHash.toString('hex') });
    expect(chain.body.items[1]).toMatchObject({ recordId: record, blockHash: header.refHash.toString('hex') });
  });
});

describe('who may erase', () => {
  let patient: Person;
  let record: string;
  let asked: Erasure;
  beforeEach(async () => {
    patient = await addPatient(world, world.doctorA, 'Asked Person');
    record = await sealedDiagnosis(world.doctorA, patient.id);
    asked = (await ask(world.hospitalA, patient.id, record)).body;
  });
  const stays = async () => expect((await patient.api.get(`/records/${record}`)).status).toBe(200);

  test('SEC-85 one person is not enough: a hospital’s wish counts as its approval, and it cannot approve twice', async () => {
    expect(asked.approvedBy).toEqual([world.hospitalA.id]);
    expect((await approve(world.hospitalA, asked.id)).status).toBe(409);
    const again = await login(world, world.hospitalA.id, world.hospitalA.username); // another session of the same account
    expect((await approve(again, asked.id)).status).toBe(409);
    await stays();
  });

  test('SEC-47 neither another hospital nor a doctor nor the patient approves; strangers do not learn of it', async () => {
    expect((await approve(world.hospitalB, asked.id)).status).toBe(404);
    for (const person of [world.doctorA, world.auditor, patient]) expect((await approve(person, asked.id)).status).toBe(403);
    expect((await ask(world.hospitalB, patient.id, record)).status).toBe(404);
    expect((await ask(world.patientA, patient.id, record)).status).toBe(404);
    expect((await world.hospitalB.api.get(`/patients/${patient.id}/erasures`)).status).toBe(404);
    const queue = async (person: Person) => (await person.api.get<{ items: Erasure[] }>('/erasures?state=requested&limit=100')).body.items;
    expect((await queue(world.hospitalB)).map((item) => item.id)).not.toContain(asked.id);
    for (const person of [world.hospitalA, world.founder]) expect((await queue(person)).map((item) => item.id)).toContain(asked.id);
    await stays();
  });

  test('a record of another patient, a draft, and what does not exist are not erased', async () => {
    const draft = await draftDiagnosis(world.doctorA, patient.id);
    const foreign = await sealedDiagnosis(world.doctorA, world.patientA.id);
    expect((await ask(world.hospitalA, patient.id, draft)).status).toBe(409);
    expect((await ask(patient, 'me', draft)).status).toBe(404);
    expect((await ask(world.hospitalA, patient.id, foreign)).status).toBe(404);
    expect((await ask(world.hospitalA, patient.id, patient.id)).status).toBe(404);
    expect((await ask(world.hospitalA, patient.id, record)).status).toBe(409); // asked for already
    expect((await ask(world.hospitalA, patient.id, record, 'because Ayşe said so')).status).toBe(400);
    const text = { recordId: record, reason: 'objection', note: 'Ayşe' };
    expect((await world.hospitalA.api.post(`/patients/${patient.id}/erasures`, text)).status).toBe(400);
  });

  test('what was refused is not approved any more; a patient withdraws the own wish and no other', async () => {
    const withdrawn = await patient.api.post(`/erasures/${asked.id}/refusal`);
    expect(withdrawn.status).toBe(403);
    expect((await world.founder.api.post<Erasure>(`/erasures/${asked.id}/refusal`)).body).toMatchObject({ state: 'refused' });
    expect((await approve(world.founder, asked.id)).status).toBe(409);
    expect((await world.hospitalA.api.post(`/erasures/${asked.id}/refusal`)).status).toBe(409);
    expect((await patient.api.get(`/erasures/${asked.id}/certificate`)).status).toBe(409);
    const own = await ask(patient, 'me', record);
    expect((await patient.api.post<Erasure>(`/erasures/${own.body.id}/refusal`)).body).toMatchObject({
      state: 'refused',
      refusedBy: patient.id,
    });
    await stays();
  });

  test('SEC-45 an old sign-in neither asks nor approves', async () => {
    const { clock, hospitalA, founder } = world;
    clock.advance(6 * 60_000);
    try {
      for (const answer of [await approve(founder, asked.id), await ask(hospitalA, patient.id), await ask(patient, 'me')]) {
        expect([answer.status, answer.text]).toEqual([401, expect.stringContaining('insufficient_user_authentication')]);
        expect(answer.headers.get('www-authenticate')).toContain('error="insufficient_user_authentication"');
        expect(answer.headers.get('www-authenticate')).toContain('max_age="300"');
      }
      const again = await login(world, founder.id, founder.username);
      expect((await approve(again, asked.id)).body.state).toBe('executed');
    } finally {
      clock.advance(-6 * 60_000);
    }
  });

  test('SEC-91 approvals at the same moment execute it once', async () => {
    const own = (await ask(patient, 'me')).body;
    const answers = await Promise.all([approve(world.founder, own.id), approve(world.hospitalA, own.id), approve(world.founder, own.id)]);
    // Too late is 409 while it waits for the other, 410 when all is gone.
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(2);
    expect(answers.filter((answer) => answer.status === 409 || answer.status === 410)).toHaveLength(1);
    expect(answers.filter((answer) => answer.body.state === 'executed')).toHaveLength(1);
    expect((await verify(patient.id)).verdict).toBe('ERASED');
  });
});

describe('erasure of a whole patient', () => {
  interface Scene {
    patient: Person;
    record: string;
    question: string;
    erasure: Erasure;
    secrets: Buffer[];
    before: number;
  }
  let scene: Scene;
  const nationalId = 'ERASE-4711';

  beforeAll(async () => {
    const { doctorA, doctorB } = world;
    const key = (name: string) => ({ headers: { 'idempotency-key': `${name}-whole` } });
    const patient = await addPatient(world, doctorA, 'Ayşegül Unutulacak', { nationalId, phone: '+90 412 555 47 11', address: CANARY });
    const record = await draftDiagnosis(doctorA, patient.id, CANARY);
    await upload(doctorA, record);
    await doctorA.api.post(`/records/${record}/seal`);
    await doctorA.api.post(`/records/${record}/corrections`, { kind: 'retraction', reason: CANARY });
    await doctorA.api.post(`/patients/${patient.id}/diagnoses`, { code: 'X', display: CANARY }, key('draft'));
    const answered = await doctorA.api.post<{ id: string }>(`/patients/${patient.id}/questions`, { text: CANARY });
    await patient.api.post(`/questions/${answered.body.id}/answer`, { text: CANARY }, key('answer'));
    const question = (await doctorA.api.post<{ id: string }>(`/patients/${patient.id}/questions`, { text: CANARY })).body.id;
    const validUntil = new Date(Date.now() + 86_400_000).toISOString();
    await patient.api.post('/patients/me/consent/grants', { doctorId: doctorB.id, validUntil });
    expect((await doctorB.api.get(`/records/${record}`)).status).toBe(200);
    await ask(world.hospitalA, patient.id, record);
    const about = patient.id;
    const secrets = [
      ...blobs('SELECT wrapped FROM data_key WHERE subjectId = ?', about),
      ...blobs(
        `SELECT c.ciphertext, c.recordKey FROM ledger_content c JOIN ledger_block b ON b.recordId = c.recordId
         JOIN ledger_chain h ON h.chainId = b.chainId WHERE h.patientId = ?`,
        about,
      ),
      ...blobs('SELECT name, birthDate, gender, nationalId, nationalIdIndex, contact FROM patient WHERE id = ?', about),
      ...blobs('SELECT usernameIndex, username, name, password FROM account WHERE id = ?', about),
      ...blobs('SELECT content FROM record WHERE patientId = ? AND content IS NOT NULL', about),
      ...blobs('SELECT name FROM attachment WHERE patientId = ?', about),
      ...blobs('SELECT c.bytes FROM attachment_chunk c JOIN attachment a ON a.id = c.attachmentId WHERE a.patientId = ?', about),
      ...blobs('SELECT text, answer FROM question WHERE patientId = ?', about),
      ...keptFor('draft-whole', 'answer-whole'),
    ];
    const before = slicesOnDisk(world, secrets);
    scene = { patient, record, question, erasure: await erase(world, patient.id), secrets, before };
  });

  test('SEC-85 keys, ciphertexts, cells, files, drafts and kept answers are gone from every file; the chain says ERASED', async () => {
    const { patient, secrets, before } = scene;
    expect(secrets.length).toBeGreaterThanOrEqual(25);
    expect(before).toBeGreaterThan(secrets.length);
    expect(await slicesLeft(world, secrets)).toBe(0);
    expect(blobs('SELECT nationalIdIndex FROM patient WHERE id = ?', patient.id)).toEqual([]);
    expect(blobs('SELECT wrapped FROM data_key WHERE subjectId = ?', patient.id)).toEqual([Buffer.alloc(64)]);
    const db = openRaw(world);
    const left = (table: string, where = '') => rows(db, `SELECT 1 FROM ${table} WHERE patientId = ?${where}`, patient.id).length;
    expect(['question', 'attachment', 'consent_rule'].map((table) => left(table))).toEqual([0, 0, 0]);
    expect(left('record', ` AND status <> 'erased'`)).toBe(0);
    db.close();
    expect(await verify(patient.id)).toMatchObject({ verdict: 'ERASED', findings: [] });
    expect((await world.hospitalA.api.post<Verdict>(`/ledger/patients/${patient.id}/verify`)).body.verdict).toBe('ERASED');
  });

  test('the certificate says so without any key, and the open wish is superseded', async () => {
    const { patient, erasure, record } = scene;
    const answer = await world.hospitalA.api.get(`/erasures/${erasure.id}/certificate`);
    const { statement, blockHash } = readCertificate(answer.body);
    expect(statement).toMatchObject({ scope: 'patient', erases: null, blockHash: null });
    const chain = await world.hospitalA.api.get<{ items: { kind: string; blockHash: string }[] }>(`/ledger/patients/${patient.id}/chain`);
    expect(chain.body.items.at(-1)).toMatchObject({ kind: 'erase', blockHash: blockHash.toString('hex') });
    for (const person of [world.hospitalA, world.founder, world.auditor]) {
      const list = await person.api.get<{ items: Erasure[] }>(`/patients/${patient.id}/erasures`);
      expect(list.body.items.map(({ recordId, state }) => [recordId, state])).toEqual([
        [record, 'superseded'],
        [null, 'executed'],
      ]);
    }
    expect((await ask(world.hospitalA, patient.id)).status).toBe(410);
  });

  test('R18 the chart answers 410 to those who could see it and 404 to others; consent lets nobody in', async () => {
    const { patient, record } = scene;
    const paths = [`/patients/${patient.id}`, `/patients/${patient.id}/records`, `/records/${record}`, `/patients/${patient.id}/print`];
    for (const path of [...paths, `/patients/${patient.id}/questions`])
      for (const person of [world.hospitalA, world.doctorA]) expect([path, (await person.api.get(path)).status]).toEqual([path, 410]);
    expect((await world.founder.api.get(`/patients/${patient.id}`)).status).toBe(410);
    for (const path of paths) expect((await world.doctorB.api.get(path)).status).toBe(404);
    const shared = await world.doctorB.api.get<{ items: unknown[] }>('/patients?shared=true');
    expect(shared.body.items).toEqual([]);
    expect((await world.doctorA.api.post(`/patients/${patient.id}/diagnoses`, { code: 'X', display: 'x' })).status).toBe(410);
  });

  test('the login is over at once, and no list names the patient', async () => {
    const { patient } = scene;
    expect((await patient.api.get('/patients/me')).status).toBe(401);
    const again = await world.anonymous.post('/auth/login', { username: patient.username, password: patient.password });
    expect(again.status).toBe(401);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: patient.refreshToken })).status).toBe(401);
    const accounts = await world.hospitalA.api.get<{ items: { id: string; name: string; status: string }[] }>('/accounts?limit=100');
    expect(accounts.body.items.find(({ id }) => id === patient.id)).toMatchObject({ name: '', status: 'CLOSED' });
    for (const person of [world.hospitalA, world.doctorA, world.founder]) {
      const listed = await person.api.get('/patients?limit=100');
      expect(listed.text).not.toContain(patient.id);
    }
    expect((await world.doctorA.api.get<{ items: unknown[] }>(`/patients?q=${nationalId}`)).body.items).toEqual([]);
    const enrolled = await world.doctorA.api.post('/patients', { name: 'Again', birthDate: '1984-02-29', gender: 'female', nationalId });
    expect(enrolled.status).toBe(201);
  });

  test('no request fails with a server fault, whoever sends it and whatever of the patient it names', async () => {
    const { patient, record, question, erasure } = scene;
    const faults: string[] = [];
    for (const person of [world.founder, world.auditor, world.hospitalA, world.doctorA, world.doctorB, world.patientA])
      for (const id of [patient.id, record, question, erasure.id])
        for (const [route, status] of await probeAll(person.api, { id })) if (status >= 500) faults.push(`${route} ${status}`);
    expect(faults).toEqual([]);
    expect(allRoutes().length).toBeGreaterThan(60);
  });

  test('a patient of whom nothing was ever sealed, and one without a login, can be erased too', async () => {
    const profile = { name: 'Never Seen', birthDate: '1990-01-01', gender: 'other' };
    const enrolled = await world.doctorA.api.post<{ patient: { id: string } }>('/patients', profile);
    const { id } = enrolled.body.patient;
    await erase(world, id);
    expect(await verify(id)).toMatchObject({ verdict: 'VALID', blocks: 2 });
    expect((await world.doctorA.api.get(`/patients/${id}`)).status).toBe(410);
  });
});
