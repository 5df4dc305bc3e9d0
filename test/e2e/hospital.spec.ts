import { inflateSync } from 'node:zlib';
import {
  activate,
  addDoctor,
  addHospital,
  addPatient,
  createWorld,
  draftDiagnosis,
  login,
  sealedDiagnosis,
  type Person,
  type World,
} from '../support/world';

interface Items<T> {
  items: T[];
  nextCursor: string | null;
}
interface Staff {
  id: string;
  name: string;
  specialty: string;
  status: string;
  lastDay: string | null;
}
interface Entry {
  id: string;
  authorId: string;
  authorName: string;
  status: string;
  kind: string;
}

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const idsOf = async (person: Person, path: string) => (await person.api.get<Items<{ id: string }>>(path)).body.items.map((item) => item.id);

/** What the streams of a PDF hold, decompressed. */
function pdfText(bytes: Buffer): string {
  const parts: string[] = [];
  for (let at = bytes.indexOf('stream\n'); at >= 0; at = bytes.indexOf('stream\n', at + 7)) {
    try {
      parts.push(inflateSync(bytes.subarray(at + 7)).toString('latin1'));
    } catch {
      // not a deflated stream: a font, or the end of one
    }
  }
  return parts.join('\n');
}

describe('R9 personnel and patients', () => {
  test('R9 the hospital adds a doctor, who activates and works at once; others do not see the staff', async () => {
    const added = await world.hospitalA.api.post<{ staff: Staff; activation: { accountId: string; code: string } }>('/hospitals/me/staff', {
      name: 'Dr. Gülşah Öz',
      specialty: 'Radyoloji',
      licence: 'TR-99',
      phone: '+90 412 333',
    });
    expect(added.status).toBe(201);
    expect(added.body.staff).toMatchObject({ name: 'Dr. Gülşah Öz', specialty: 'Radyoloji', status: 'ISSUED', lastDay: null });
    const doctor = await activate(world, added.body.activation, 'doctor');
    expect((await doctor.api.get(`/patients/${world.patientA.id}`)).status).toBe(200);
    expect((await doctor.api.get('/doctors/me')).body).toMatchObject({ id: doctor.id, name: 'Dr. Gülşah Öz', status: 'ACTIVE' });
    expect(await idsOf(world.hospitalA, '/hospitals/me/staff?limit=100')).toContain(doctor.id);
    expect(await idsOf(world.hospitalA, `/hospitals/${world.hospitalA.id}/staff?limit=100`)).toContain(doctor.id);
    expect(await idsOf(world.hospitalB, '/hospitals/me/staff?limit=100')).not.toContain(doctor.id);
    expect((await world.hospitalB.api.get(`/hospitals/${world.hospitalA.id}/staff`)).status).toBe(404);
    const foreign = { name: 'Spy', specialty: 'X' };
    expect((await world.hospitalB.api.post(`/hospitals/${world.hospitalA.id}/staff`, foreign)).status).toBe(404);
    expect((await world.hospitalB.api.get(`/doctors/${doctor.id}`)).status).toBe(404);
    expect((await world.doctorA.api.get(`/doctors/${doctor.id}`)).status).toBe(404);
    expect((await world.doctorA.api.post('/hospitals/me/staff', foreign)).status).toBe(403);
  });

  test('R9 the hospital enrols a patient, finds the patient by national id, and gives an account later', async () => {
    const { hospitalA, hospitalB, doctorA } = world;
    const profile = {
      name: 'Zoë İlgün',
      birthDate: '1971-12-31',
      gender: 'female',
      nationalId: '30000000046',
      phone: '+90 1',
      email: 'z@example.org',
    };
    const made = await hospitalA.api.post<{ patient: { id: string; version: number }; activation: unknown }>('/patients', profile);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ patient: { ...profile, address: null, hospitalId: hospitalA.id, version: 1 }, activation: null });
    const { id } = made.body.patient;
    for (const person of [hospitalA, doctorA]) expect(await idsOf(person, '/patients?q=%2030000000046')).toEqual([id]);
    expect(await idsOf(hospitalB, '/patients?q=30000000046')).toEqual([]);
    expect(await idsOf(hospitalA, '/patients?q=3000000004')).toEqual([]);
    const twice = await hospitalA.api.post('/patients', { ...profile, name: 'Other' });
    expect([twice.status, twice.body]).toMatchObject([409, { code: 'already_exists', errors: [{ path: 'nationalId' }] }]);
    expect((await hospitalB.api.post('/patients', profile)).status).toBe(201);
    expect((await hospitalB.api.post(`/patients/${id}/account`)).status).toBe(404);
    const code = await hospitalA.api.post<{ accountId: string; code: string }>(`/patients/${id}/account`);
    expect(code.status).toBe(201);
    const patient = await activate(world, code.body, 'patient');
    expect((await patient.api.get('/patients/me')).body).toMatchObject({ id, name: 'Zoë İlgün' });
    expect((await hospitalA.api.post(`/patients/${id}/account`)).status).toBe(409);
  });

  test('R9 administrative data change against the version that was read', async () => {
    const { hospitalA, hospitalB, doctorA } = world;
    const patient = await addPatient(world, hospitalA, 'Old Name', { phone: '+1 100' });
    const path = `/patients/${patient.id}`;
    const change = (who: Person, body: unknown, version?: string) =>
      who.api.patch<Record<string, unknown>>(path, body, version === undefined ? {} : { headers: { 'if-match': version } });
    expect((await change(hospitalA, { name: 'New Name' })).status).toBe(428);
    expect((await change(hospitalA, { name: 'New Name' }, '"2"')).status).toBe(412);
    expect((await change(hospitalA, { name: 'New Name' }, '*')).status).toBe(412);
    expect((await change(hospitalB, { name: 'New Name' }, '"1"')).status).toBe(404);
    expect((await change(hospitalA, { birthDate: '2001-02-29' }, '"1"')).status).toBe(400);
    expect((await change(hospitalA, { nationalId: '1' }, '"1"')).status).toBe(400);
    const done = await change(hospitalA, { name: 'New Name', email: 'n@example.org' }, '"1"');
    expect([done.status, done.body]).toMatchObject([200, { name: 'New Name', phone: '+1 100', email: 'n@example.org', version: 2 }]);
    expect((await change(doctorA, { phone: '+1 200' }, '"1"')).status).toBe(412);
    expect((await change(doctorA, { phone: '+1 200' }, '"2"')).body).toMatchObject({ name: 'New Name', phone: '+1 200', version: 3 });
    expect((await patient.api.get('/auth/me')).body['name']).toBe('New Name');
  });

  test('R9 lists are paged without a gap or a repetition', async () => {
    const hospital = await addHospital(world, world.founder, 'Paging Clinic');
    const made: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      const answer = await hospital.api.post<{ patient: { id: string } }>('/patients', {
        name: `P${i}`,
        birthDate: '2000-01-01',
        gender: 'other',
      });
      made.push(answer.body.patient.id);
    }
    const seen: string[] = [];
    for (let cursor: string | null = '', pages = 0; cursor !== null; pages += 1) {
      expect(pages).toBeLessThan(4);
      const page: Items<{ id: string }> = (
        await hospital.api.get<Items<{ id: string }>>(`/patients?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`)
      ).body;
      expect(page.items.length).toBeLessThanOrEqual(3);
      seen.push(...page.items.map((item) => item.id));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(made);
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'cursor=%27', 'cursor=AAAA', 'offset=1'])
      expect((await hospital.api.get(`/patients?${query}`)).status).toBe(400);
  });
});

describe('R10 prints', () => {
  test('R10 the hospital, its doctor and the patient print the chart; the print names the head of the chain', async () => {
    await sealedDiagnosis(world.doctorA, world.patientA.id, 'printed note');
    const ids: [Person, string][] = [
      [world.hospitalA, world.patientA.id],
      [world.colleagueA, world.patientA.id],
      [world.patientA, 'me'],
    ];
    for (const [person, id] of ids) {
      const print = await person.api.get(`/patients/${id}/print`);
      expect([print.status, print.headers.get('content-type')]).toEqual([200, 'application/pdf']);
      expect(print.bytes.subarray(0, 5).toString()).toBe('%PDF-');
      expect(print.bytes.subarray(-8).toString('latin1')).toContain('%%EOF');
      expect(pdfText(print.bytes).length).toBeGreaterThan(2000);
    }
    for (const person of [world.hospitalB, world.doctorB, world.patientB])
      expect((await person.api.get(`/patients/${world.patientA.id}/print`)).status).toBe(404);
    for (const person of [world.founder, world.auditor])
      expect((await person.api.get(`/patients/${world.patientA.id}/print`)).status).toBe(403);
  });

  test('R10 a longer chart prints on more pages, and a draft is not on paper', async () => {
    const patient = await addPatient(world, world.hospitalA, 'Many Pages');
    const size = async () => (await world.hospitalA.api.get(`/patients/${patient.id}/print`)).bytes;
    const pages = (bytes: Buffer) => (bytes.toString('latin1').match(/\/Type \/Page\b/g) ?? []).length;
    const empty = await size();
    await draftDiagnosis(world.doctorA, patient.id, 'not yet');
    expect(pages(await size())).toBe(pages(empty));
    for (let i = 0; i < 3; i += 1) await sealedDiagnosis(world.doctorA, patient.id, 'A long note of the visit. '.repeat(150));
    expect(pages(await size())).toBeGreaterThan(pages(empty));
  });

  test('R10 the hospital prints a doctor; so does the doctor, and nobody else', async () => {
    const path = `/doctors/${world.doctorA.id}/print`;
    for (const person of [world.hospitalA, world.doctorA])
      expect((await person.api.get(path)).bytes.subarray(0, 5).toString()).toBe('%PDF-');
    for (const person of [world.hospitalB, world.colleagueA]) expect((await person.api.get(path)).status).toBe(404);
    for (const person of [world.patientA, world.founder]) expect((await person.api.get(path)).status).toBe(403);
  });
});

describe('R11 leaving', () => {
  const leave = (hospital: Person, id: string, more: Record<string, unknown> = {}) =>
    hospital.api.post<Staff & { departureReason: string; handOverTo: string | null }>(`/hospitals/me/staff/${id}/departure`, {
      lastDay: '2026-11-30',
      reason: 'Moved to İzmir',
      ...more,
    });

  test('R11 SEC-50 tokens end at once, the login is closed, history and dossier stay, drafts go to the successor', async () => {
    const { hospitalA, colleagueA, patientA } = world;
    const leaver = await addDoctor(world, hospitalA, 'Dr. Leaver');
    const sealed = await sealedDiagnosis(leaver, patientA.id, 'before leaving');
    const draft = await draftDiagnosis(leaver, patientA.id, 'unfinished');
    expect((await colleagueA.api.get(`/records/${draft}`)).status).toBe(404);
    const left = await leave(hospitalA, leaver.id, { handOverTo: colleagueA.id });
    expect(left.status).toBe(200);
    expect(left.body).toMatchObject({
      status: 'CLOSED',
      lastDay: '2026-11-30',
      departureReason: 'Moved to İzmir',
      handOverTo: colleagueA.id,
    });

    expect((await leaver.api.get('/auth/me')).status).toBe(401);
    expect((await leaver.api.get(`/patients/${patientA.id}/records`)).status).toBe(401);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: leaver.refreshToken })).status).toBe(401);
    await expect(login(world, leaver.id, leaver.username)).rejects.toThrow('401');
    for (const act of ['unlock', 'approve', 'code']) expect((await hospitalA.api.post(`/accounts/${leaver.id}/${act}`)).status).toBe(409);

    expect((await patientA.api.get(`/records/${sealed}`)).body).toMatchObject({
      authorId: leaver.id,
      authorName: 'Dr. Leaver',
      status: 'sealed',
    });
    const dossier = await hospitalA.api.get<{ staff: Staff; counts: unknown[]; latest: Entry[] }>(
      `/hospitals/me/staff/${leaver.id}/dossier`,
    );
    expect(dossier.body.staff).toMatchObject({ name: 'Dr. Leaver', lastDay: '2026-11-30', status: 'CLOSED' });
    expect(dossier.body.counts).toEqual([{ kind: 'Condition', status: 'sealed', count: 1 }]);
    expect(dossier.body.latest.map((entry) => entry.id)).toEqual([sealed]);
    expect(await idsOf(hospitalA, '/hospitals/me/staff?limit=100')).toContain(leaver.id);
    const trail = await hospitalA.api.get<Items<{ action: string; actorId: string; subjectId: string }>>('/audit/events?limit=100');
    expect(trail.body.items).toContainEqual(expect.objectContaining({ action: 'record.seal', actorId: leaver.id }));
    expect(trail.body.items).toContainEqual(
      expect.objectContaining({ action: 'staff.leave', actorId: hospitalA.id, subjectId: leaver.id }),
    );

    const taken = await colleagueA.api.get<{ resource: { note: unknown }; authorId: string }>(`/records/${draft}`);
    expect(taken.body).toMatchObject({ authorId: colleagueA.id, resource: { note: [{ text: 'unfinished' }] } });
    expect((await colleagueA.api.post(`/records/${draft}/seal`)).status).toBe(201);
  });

  test('R11 without a successor the drafts stay for the hospital to read and delete', async () => {
    const { hospitalA, colleagueA, patientA } = world;
    const leaver = await addDoctor(world, hospitalA, 'Dr. Alone');
    const draft = await draftDiagnosis(leaver, patientA.id);
    expect((await leave(hospitalA, leaver.id)).body.handOverTo).toBeNull();
    expect((await colleagueA.api.get(`/records/${draft}`)).status).toBe(404);
    expect((await hospitalA.api.get(`/records/${draft}`)).status).toBe(200);
    expect((await hospitalA.api.delete(`/records/${draft}`, { headers: { 'if-match': '"1"' } })).status).toBe(204);
  });

  test('R11 only the own hospital, once, and only to somebody who works there', async () => {
    const { hospitalA, hospitalB, doctorB, doctorA, patientA } = world;
    const leaver = await addDoctor(world, hospitalA, 'Dr. Twice');
    expect((await leave(hospitalB, leaver.id)).status).toBe(404);
    expect(
      (await hospitalB.api.post(`/hospitals/${hospitalA.id}/staff/${leaver.id}/departure`, { lastDay: '2026-11-30', reason: 'x' })).status,
    ).toBe(404);
    for (const handOverTo of [doctorB.id, leaver.id, patientA.id, hospitalA.id])
      expect((await leave(hospitalA, leaver.id, { handOverTo })).status).toBe(400);
    expect(
      (await doctorA.api.post(`/hospitals/${hospitalA.id}/staff/${leaver.id}/departure`, { lastDay: '2026-11-30', reason: 'x' })).status,
    ).toBe(403);
    expect((await leaver.api.get('/auth/me')).status).toBe(200);
    expect((await leave(hospitalA, leaver.id)).status).toBe(200);
    expect((await leave(hospitalA, leaver.id)).status).toBe(409);
    const other = await addDoctor(world, hospitalA, 'Dr. After');
    expect((await leave(hospitalA, other.id, { handOverTo: leaver.id })).status).toBe(400);
  });
});

test('R12 the hospital sees everything its professionals added, and nothing of others', async () => {
  const { hospitalA, hospitalB, doctorA, colleagueA, doctorB, patientA, patientB } = world;
  const sealed = await sealedDiagnosis(doctorA, patientA.id);
  const resource = { resourceType: 'Condition', subject: { reference: `Patient/${patientA.id}` }, code: { text: 'corrected' } };
  const fixed = await colleagueA.api.post<{ recordId: string }>(`/records/${sealed}/corrections`, {
    kind: 'correction',
    reason: 'typo',
    resource,
  });
  const draft = await draftDiagnosis(colleagueA, patientA.id);
  const question = await doctorA.api.post<{ id: string }>(`/patients/${patientA.id}/questions`, { text: 'Any pain?' });
  const answered = await patientA.api.post<{ sealed: { recordId: string } }>(`/questions/${question.body.id}/answer`, { text: 'No.' });
  const foreign = await sealedDiagnosis(doctorB, patientB.id);
  const entries = (await hospitalA.api.get<Items<Entry>>('/hospitals/me/entries?limit=100')).body.items;
  const expected = [answered.body.sealed.recordId, draft, fixed.body.recordId, sealed];
  expect(entries.slice(0, 4).map((entry) => entry.id)).toEqual(expected);
  expect(entries.slice(0, 4).map((entry) => [entry.authorName, entry.status, entry.kind])).toEqual([
    ['Ayşe Demir', 'sealed', 'QuestionnaireResponse'],
    ['Dr. Bo Li 李博', 'draft', 'Condition'],
    ['Dr. Bo Li 李博', 'sealed', 'Condition'],
    ['Dr. Ada Yılmaz', 'sealed', 'Condition'],
  ]);
  expect(entries.map((entry) => entry.id)).not.toContain(foreign);
  const own = await idsOf(hospitalA, `/hospitals/me/entries?authorId=${colleagueA.id}&limit=2`);
  expect(own).toEqual([draft, fixed.body.recordId]);
  for (const id of expected) expect((await hospitalA.api.get(`/records/${id}`)).status).toBe(200);
  expect(await idsOf(hospitalB, '/hospitals/me/entries')).toEqual([foreign]);
  expect((await hospitalB.api.get(`/hospitals/${hospitalA.id}/entries`)).status).toBe(404);
  expect((await doctorA.api.get('/hospitals/me/entries')).status).toBe(403);
  const staff = await hospitalB.api.get(`/hospitals/me/staff/${doctorA.id}/dossier`);
  expect(staff.status).toBe(404);
});

test('R9 a retried request with the same Idempotency-Key makes one thing; another body under that key is refused', async () => {
  const headers = { 'idempotency-key': 'retry-0001-abcd' };
  const profile = { name: 'Once Only', birthDate: '1999-09-09', gender: 'other', issueAccount: true };
  const before = (await idsOf(world.hospitalA, '/patients?limit=100')).length;
  const first = await world.hospitalA.api.post('/patients', profile, { headers });
  const again = await world.hospitalA.api.post('/patients', profile, { headers });
  expect([first.status, again.status, again.text]).toEqual([201, 201, first.text]);
  const other = await world.hospitalA.api.post('/patients', { ...profile, name: 'Somebody' }, { headers });
  expect([other.status, other.body['code']]).toEqual([422, 'idempotency_key_reused']);
  expect((await world.hospitalB.api.post('/patients', profile, { headers })).text).not.toBe(first.text);
  expect(await idsOf(world.hospitalA, '/patients?limit=100')).toHaveLength(before + 1);
  const both = { headers: { 'idempotency-key': 'parallel-0001' } };
  const staff = { name: 'Dr. Parallel', specialty: 'ENT' };
  const answers = await Promise.all([1, 2, 3].map(() => world.hospitalA.api.post('/hospitals/me/staff', staff, both)));
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
  const named = (await world.hospitalA.api.get<Items<Staff>>('/hospitals/me/staff?limit=100')).body.items;
  expect(named.filter((item) => item.name === 'Dr. Parallel')).toHaveLength(1);
  expect((await world.hospitalA.api.post('/patients', profile, { headers: { 'idempotency-key': 'short' } })).status).toBe(400);
});
