import { AccessService } from '../../src/access/access.service';
import { LedgerService } from '../../src/ledger/ledger.service';
import { openRaw, rows, tamper } from '../support/raw-database';
import { probeAll } from '../support/routes';
import { addDoctor, addPatient, createWorld, draftDiagnosis, login, type Person, sealedDiagnosis, type World } from '../support/world';

interface Items<T> {
  items: T[];
  nextCursor: string | null;
}
interface Consent {
  version: number;
  rules: { id: string; hospitalId: string | null; doctorId: string | null; name: string; validUntil: string; actions: string[] }[];
  blockHash: string | null;
}
interface LogItem {
  who: string | null;
  role: string;
  hospital: string | null;
  action: string;
  outcome: string;
  purpose: string;
  recordId: string | null;
  rules: string[];
}
const DAY = 86_400_000;

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

/** Signs in again: tests of this file move the clock. */
const as = (person: Person) => login(world, person.id, person.username, person.password);
const inDays = (days: number) => new Date(world.clock.now() + days * DAY).toISOString();
const allow = (patient: Person, who: { hospitalId: string } | { doctorId: string }, validUntil = inDays(1)) =>
  patient.api.post<Consent>('/patients/me/consent/grants', { ...who, validUntil });

describe('R18 the own record', () => {
  test('R18 the patient reads own information, every sealed diagnosis, and no draft', async () => {
    const { doctorA } = world;
    const patient = await addPatient(world, world.hospitalA, 'Own Reader', { nationalId: '40000000046', phone: '+90 5' });
    const sealed = [await sealedDiagnosis(doctorA, patient.id, 'one'), await sealedDiagnosis(doctorA, patient.id, 'two')];
    await draftDiagnosis(doctorA, patient.id, 'a draft');
    expect((await patient.api.get('/patients/me')).body).toMatchObject({ name: 'Own Reader', nationalId: '40000000046', phone: '+90 5' });
    expect((await patient.api.get(`/patients/${patient.id}`)).body).toEqual((await patient.api.get('/patients/me')).body);
    const own = await patient.api.get<Items<{ id: string; resource: { note: { text: string }[] } }>>('/patients/me/records');
    expect(own.body.items.map((item) => [item.id, item.resource.note[0]?.text])).toEqual([
      [sealed[0], 'one'],
      [sealed[1], 'two'],
    ]);
    expect((await patient.api.get<Items<unknown>>('/patients/me/records?status=draft')).body.items).toEqual([]);
    for (const id of sealed) expect((await patient.api.get(`/records/${id}/content`)).status).toBe(200);
    expect((await patient.api.post('/ledger/patients/me/verify')).body).toMatchObject({ verdict: 'VALID', blocks: 3 });
  });

  test('R18 the patient changes nothing: every route that changes is closed', async () => {
    const { doctorA, patientA } = world;
    const record = await sealedDiagnosis(doctorA, patientA.id);
    const db = openRaw(world);
    const dump = () =>
      JSON.stringify(
        ['patient', 'record', 'ledger_block', 'question', 'staff', 'hospital'].map((table) => rows(db, `SELECT * FROM ${table}`)),
      );
    const before = dump();
    const statuses = await probeAll(patientA.api, { id: patientA.id });
    for (const [route, status] of await probeAll(patientA.api, { id: record })) statuses.set(`${route} (record)`, status);
    const changing = [...statuses].filter(([route]) => !route.startsWith('GET '));
    // The patient's own acts: consent, answers, asking for a verification or an erasure, withdrawing that, and ending the own key.
    const own =
      /^(POST \/patients\/me\/consent\/grants|DELETE \/patients\/me\/consent|POST \/questions\/|POST \/ledger\/.*\/verify|POST \/patients\/\{id\}\/erasures|POST \/erasures\/\{id\}\/refusal|POST \/ledger\/keys\/\{kid\}\/revocation)/;
    expect(changing.filter(([route]) => !own.test(route)).map(([route, status]) => `${route} ${status}`)).toEqual(
      changing.filter(([route]) => !own.test(route)).map(([route]) => `${route} 403`),
    );
    expect(changing.filter(([route]) => !own.test(route)).length).toBeGreaterThan(30);
    expect(dump()).toBe(before);
    db.close();
  });

  test('R18 the patient sees no other patient, and nobody without a token sees anything', async () => {
    const { doctorB, patientA, patientB } = world;
    const foreign = await sealedDiagnosis(doctorB, patientB.id);
    const paths = [`/patients/${patientB.id}`, `/patients/${patientB.id}/records`, `/records/${foreign}`, `/records/${foreign}/content`];
    paths.push(`/patients/${patientB.id}/print`, `/patients/${patientB.id}/questions`, `/ledger/patients/${patientB.id}/chain`);
    for (const path of paths) {
      expect((await patientA.api.get(path)).status).toBe(404);
      expect((await world.anonymous.get(path)).status).toBe(401);
    }
    expect((await patientA.api.post(`/ledger/patients/${patientB.id}/verify`)).status).toBe(404);
  });

  test('R18 the access log tells the patient who did what, from where, why and by which rule; also what was refused', async () => {
    const { doctorA, colleagueA, doctorB, hospitalA } = world;
    const patient = await addPatient(world, hospitalA, 'Log Reader');
    const record = await sealedDiagnosis(doctorA, patient.id);
    await colleagueA.api.get(`/records/${record}`);
    await hospitalA.api.get(`/patients/${patient.id}/records`);
    expect((await doctorB.api.get(`/records/${record}`)).status).toBe(404);
    await world.auditor.api.post(`/ledger/patients/${patient.id}/verify`);
    const log = (await patient.api.get<Items<LogItem>>('/patients/me/access-log?limit=100')).body.items;
    const expected: Partial<LogItem>[] = [
      { who: 'Data protection', role: 'AUDITOR', hospital: null, action: 'chain.verify', outcome: 'ok', rules: ['oversight'] },
      {
        who: 'Dr. Cem Kaya',
        hospital: 'Coast Clinic',
        action: 'record.read',
        outcome: 'denied',
        purpose: 'TREAT',
        recordId: record,
        rules: ['no-rule'],
      },
      { who: 'City Hospital', role: 'HOSPITAL', action: 'record.list', outcome: 'ok', purpose: 'HOPERAT', rules: ['own-hospital'] },
      { who: 'Dr. Bo Li 李博', role: 'DOCTOR', action: 'record.read', outcome: 'ok', purpose: 'TREAT', recordId: record },
      { who: 'Dr. Ada Yılmaz', action: 'record.seal', outcome: 'ok', recordId: record },
      { who: 'Dr. Ada Yılmaz', action: 'record.create', outcome: 'ok', recordId: record },
      { who: 'City Hospital', action: 'account.issue', outcome: 'ok' },
      { who: 'City Hospital', action: 'patient.enrol', outcome: 'ok' },
    ];
    expect(log).toMatchObject(expected);
    const again = (await patient.api.get<Items<LogItem>>('/patients/me/access-log?limit=1')).body;
    expect(again.items[0]).toMatchObject({ who: 'Log Reader', action: 'trail.own', rules: ['self'] });
    for (const person of [doctorA, hospitalA, world.founder]) expect((await person.api.get('/patients/me/access-log')).status).toBe(403);
  });
});

test('R19 the doctor asks, the patient sees and answers once, the answer is sealed in the chain, and nobody else answers', async () => {
  const { doctorA, colleagueA, doctorB, patientA, patientB, hospitalA } = world;
  const text = 'Since when? 从什么时候开始？';
  const asked = await doctorA.api.post<{ id: string; status: string }>(`/patients/${patientA.id}/questions`, { text });
  expect([asked.status, asked.body]).toMatchObject([201, { status: 'open', text, doctorName: 'Dr. Ada Yılmaz', answer: null }]);
  const { id } = asked.body;
  expect((await doctorB.api.post(`/patients/${patientA.id}/questions`, { text })).status).toBe(404);
  expect((await doctorA.api.get('/doctors/me/worklist')).body).toMatchObject({ openQuestions: 1 });
  const open = await patientA.api.get<Items<{ id: string; text: string }>>('/patients/me/questions?status=open');
  expect(open.body.items).toMatchObject([{ id, text }]);
  expect((await patientB.api.post(`/questions/${id}/answer`, { text: 'not mine' })).status).toBe(404);
  expect((await doctorA.api.post(`/questions/${id}/answer`, { text: 'for the patient' })).status).toBe(403);
  expect((await patientA.api.post(`/questions/${id}/answer`, { text: '' })).status).toBe(400);

  const answer = 'Pazartesiden beri 🤒';
  const options = { headers: { 'idempotency-key': 'answer-0001' } };
  const answered = await patientA.api.post<{ question: { answerRecordId: string }; sealed: { recordId: string; height: number } }>(
    `/questions/${id}/answer`,
    { text: answer },
    options,
  );
  expect([answered.status, answered.body]).toMatchObject([201, { question: { status: 'answered', answer } }]);
  expect((await patientA.api.post(`/questions/${id}/answer`, { text: answer }, options)).text).toBe(answered.text);
  expect((await patientA.api.post(`/questions/${id}/answer`, { text: 'again' })).status).toBe(409);
  const { recordId, height } = answered.body.sealed;
  expect(answered.body.question.answerRecordId).toBe(recordId);
  for (const person of [doctorA, colleagueA, hospitalA]) {
    const list = await person.api.get<Items<{ id: string; answer: string }>>(`/patients/${patientA.id}/questions?status=answered`);
    expect(list.body.items).toContainEqual(expect.objectContaining({ id, answer }));
  }
  const content = JSON.parse((await doctorA.api.get(`/records/${recordId}/content`)).text) as Record<string, unknown>;
  expect(content).toMatchObject({
    resourceType: 'QuestionnaireResponse',
    source: { reference: `Patient/${patientA.id}` },
    item: [{ text, answer: [{ valueString: answer }] }],
  });
  const chain = await patientA.api.get<{ items: { height: number; kind: string; recordId: string }[] }>(
    '/ledger/patients/me/chain?limit=100',
  );
  expect(chain.body.items).toContainEqual(expect.objectContaining({ height, kind: 'answer', recordId }));
  expect((await doctorA.api.get('/doctors/me/worklist')).body).toMatchObject({ openQuestions: 0 });
});

describe('R31 R32 sharing by consent', () => {
  let patient: Person;
  let record: string;
  beforeEach(async () => {
    patient = await addPatient(world, await as(world.hospitalA), 'Sharer');
    record = await sealedDiagnosis(await as(world.doctorA), patient.id, 'shared note');
  });
  const reads = (): string[] => [
    `/patients/${patient.id}`,
    `/patients/${patient.id}/records`,
    `/records/${record}`,
    `/records/${record}/content`,
    `/records/${record}/attachments`,
    `/ledger/patients/${patient.id}/chain`,
  ];
  const statusesOf = async (person: Person) => {
    const { api } = await as(person);
    return [...new Set(await Promise.all(reads().map(async (path) => (await api.get(path)).status)))];
  };

  test('R31 without consent another hospital and its doctors see nothing, not even that the patient exists', async () => {
    for (const person of [world.hospitalB, world.doctorB]) expect(await statusesOf(person)).toEqual([404]);
    const unknown = await (await as(world.doctorB)).api.get('/patients/018f0000-0000-7000-8000-000000000000');
    const hidden = await (await as(world.doctorB)).api.get(`/patients/${patient.id}`);
    expect({ ...hidden.body, requestId: '' }).toEqual({ ...unknown.body, requestId: '' });
  });

  test('R31 consent for a hospital opens reading to it and all its doctors, and nothing else', async () => {
    const granted = await allow(patient, { hospitalId: world.hospitalB.id });
    expect([granted.status, granted.body]).toMatchObject([
      201,
      { version: 1, rules: [{ hospitalId: world.hospitalB.id, doctorId: null, name: 'Coast Clinic' }] },
    ]);
    const second = await addDoctor(world, await as(world.hospitalB), 'Dr. Second B');
    for (const person of [world.hospitalB, world.doctorB, second]) expect(await statusesOf(person)).toEqual([200]);
    const { api } = await as(world.doctorB);
    expect((await api.get(`/records/${record}`)).body).toMatchObject({ resource: { note: [{ text: 'shared note' }] } });
    const shared = await api.get<Items<{ id: string }>>('/patients?shared=true');
    expect(shared.body.items.map((item) => item.id)).toEqual([patient.id]);
    expect((await api.post(`/patients/${patient.id}/diagnoses`, { code: 'X', display: 'X' })).status).toBe(404);
    expect((await api.post(`/patients/${patient.id}/questions`, { text: 'x' })).status).toBe(404);
    expect((await api.post(`/records/${record}/corrections`, { kind: 'retraction', reason: 'x' })).status).toBe(404);
    expect((await api.patch(`/patients/${patient.id}`, { name: 'x' }, { headers: { 'if-match': '"1"' } })).status).toBe(404);
    expect((await api.get(`/patients/${patient.id}/print`)).status).toBe(404);
    const draft = await draftDiagnosis(await as(world.doctorA), patient.id);
    expect((await api.get(`/records/${draft}`)).status).toBe(404);
    const log = (await patient.api.get<Items<LogItem>>('/patients/me/access-log?limit=100')).body.items;
    const rule = `contract:${granted.body.rules[0]?.id}`;
    expect(log).toContainEqual(expect.objectContaining({ who: 'Dr. Cem Kaya', action: 'record.read', outcome: 'ok', rules: [rule] }));
  });

  test('R31 consent for one doctor opens nothing to the doctor’s hospital and colleagues', async () => {
    const colleague = await addDoctor(world, await as(world.hospitalB), 'Dr. Colleague B');
    expect((await allow(patient, { doctorId: world.doctorB.id })).body.rules).toMatchObject([
      { doctorId: world.doctorB.id, name: 'Dr. Cem Kaya' },
    ]);
    expect(await statusesOf(world.doctorB)).toEqual([200]);
    for (const person of [colleague, world.hospitalB]) expect(await statusesOf(person)).toEqual([404]);
  });

  test('R32 a permission ends with its period', async () => {
    await allow(patient, { doctorId: world.doctorB.id }, inDays(2));
    world.clock.advance(2 * DAY - 60_000);
    expect(await statusesOf(world.doctorB)).toEqual([200]);
    world.clock.advance(60_001);
    expect(await statusesOf(world.doctorB)).toEqual([404]);
    expect(
      (await (await as(world.doctorB)).api.get<Items<{ id: string }>>('/patients?shared=true')).body.items.map((item) => item.id),
    ).not.toContain(patient.id);
    for (const validUntil of [inDays(0), inDays(-1), inDays(800)])
      expect((await allow(await as(patient), { doctorId: world.doctorB.id }, validUntil)).status).toBe(400);
  });

  test('R32 a permission ends at once when it is withdrawn; others stay', async () => {
    const first = await allow(patient, { doctorId: world.doctorB.id });
    const both = await allow(patient, { hospitalId: world.hospitalB.id });
    expect(both.body.rules).toHaveLength(2);
    const withdraw = (id: string | undefined) => patient.api.delete<Consent>(`/patients/me/consent/grants/${id}`);
    const { api } = await as(world.doctorB);
    expect((await withdraw(both.body.rules[1]?.id)).body).toMatchObject({ version: 3, rules: [{ doctorId: world.doctorB.id }] });
    expect((await api.get(`/records/${record}`)).status).toBe(200);
    expect(await statusesOf(world.hospitalB)).toEqual([404]);
    expect((await withdraw(first.body.rules[0]?.id)).body).toMatchObject({ version: 4, rules: [] });
    expect((await api.get(`/records/${record}`)).status).toBe(404);
    expect((await withdraw(first.body.rules[0]?.id)).status).toBe(404);
    expect((await world.patientB.api.delete(`/patients/me/consent/grants/${first.body.rules[0]?.id}`)).status).toBeGreaterThanOrEqual(401);
    expect((await patient.api.get<Consent>('/patients/me/consent')).body).toMatchObject({ version: 4, rules: [] });
  });

  test('R32 giving and withdrawing are blocks of kind consent, whose content is the contract that decides', async () => {
    const validUntil = inDays(1);
    const given = await allow(patient, { doctorId: world.doctorB.id }, validUntil);
    const taken = await patient.api.delete<Consent>(`/patients/me/consent/grants/${given.body.rules[0]?.id}`);
    const chain = await patient.api.get<{ items: { kind: string; blockHash: string; recordId: string; version: number }[] }>(
      '/ledger/patients/me/chain',
    );
    const blocks = chain.body.items.filter((item) => item.kind === 'consent');
    expect(blocks.map((item) => [item.version, item.blockHash])).toEqual([
      [1, given.body.blockHash],
      [2, taken.body.blockHash],
    ]);
    const actor = {
      id: patient.id,
      role: 'PATIENT' as const,
      hospitalId: world.hospitalA.id,
      sessionId: patient.id,
      epoch: Date.now(),
      authTime: Date.now(),
      acr: 'pwd' as const,
      requestId: 'test',
    };
    const contracts = await world.app.get(AccessService).read(actor, 'consent.read', { patientId: patient.id }, async (manager, grant) => {
      const opened = await world.app.get(LedgerService).openMany(
        manager,
        grant,
        blocks.map((item) => item.recordId),
      );
      return blocks.map((item) => JSON.parse(opened.get(item.recordId)?.payload?.toString('utf8') ?? 'null') as Record<string, unknown>);
    });
    expect(contracts[0]).toMatchObject({
      schema: 'bjwt.consent/1',
      patientId: patient.id,
      version: 1,
      previous: null,
      rules: [{ id: given.body.rules[0]?.id, effect: 'permit', who: { doctors: [world.doctorB.id] }, validUntil }],
    });
    expect(contracts[1]).toMatchObject({ version: 2, previous: given.body.blockHash, rules: [] });
    const trail = await (
      await as(world.auditor)
    ).api.get<Items<{ action: string; actorId: string }>>(`/audit/events?patientId=${patient.id}&limit=100`);
    expect(trail.body.items.filter((item) => item.action === 'consent.change' && item.actorId === patient.id)).toHaveLength(2);
  });

  test('R32 a broken contract permits nothing, whether it is altered, replaced by text, or moved from another patient', async () => {
    await allow(patient, { hospitalId: world.hospitalB.id });
    const other = await addPatient(world, await as(world.hospitalA), 'Other Sharer');
    await allow(other, { hospitalId: world.hospitalB.id });
    const attacks = [
      `UPDATE consent SET contract = zeroblob(200) WHERE patientId = '${patient.id}'`,
      `UPDATE consent SET contract = 'text' WHERE patientId = '${patient.id}'`,
      `UPDATE consent SET contract = (SELECT contract FROM consent WHERE patientId = '${other.id}') WHERE patientId = '${patient.id}'`,
    ];
    expect(await statusesOf(world.doctorB)).toEqual([200]);
    for (const attack of attacks) {
      await tamper(
        world,
        ['consent'],
        (db) => db.exec(attack),
        async () => {
          expect(await statusesOf(world.doctorB)).toEqual([404]);
          expect((await (await as(world.doctorA)).api.get(`/records/${record}`)).status).toBe(200);
          const own = await patient.api.get('/patients/me/consent');
          expect([own.status, own.body['code']]).toEqual([500, 'integrity_error']);
          expect((await allow(patient, { doctorId: world.doctorB.id })).status).toBe(500);
        },
      );
    }
    expect(await statusesOf(world.doctorB)).toEqual([200]);
  });

  test('R32 only the patient consents, and only to a hospital or doctor that exists', async () => {
    const body = { hospitalId: world.hospitalB.id, validUntil: inDays(1) };
    for (const person of [world.doctorA, world.hospitalA, world.hospitalB, world.founder, world.auditor])
      expect((await (await as(person)).api.post('/patients/me/consent/grants', body)).status).toBe(403);
    for (const wrong of [
      { validUntil: inDays(1) },
      { ...body, doctorId: world.doctorB.id },
      { hospitalId: world.doctorB.id, validUntil: inDays(1) },
      { doctorId: world.hospitalB.id, validUntil: inDays(1) },
      { ...body, validUntil: '2999' },
      { ...body, actions: ['record.update'] },
    ])
      expect((await patient.api.post('/patients/me/consent/grants', wrong)).status).toBe(400);
    expect((await patient.api.get<Consent>('/patients/me/consent')).body).toMatchObject({ version: 0, rules: [], blockHash: null });
  });
});
