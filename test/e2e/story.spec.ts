import { createWorld, draftDiagnosis, login, newUsername, PASSWORD, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

test('R1 R2 a doctor and a patient register, cannot sign in before approval, and can after it', async () => {
  for (const [kind, more] of [
    ['doctor', { specialty: 'Surgery' }],
    ['patient', { birthDate: '1990-01-01', gender: 'male' }],
  ] as const) {
    const username = newUsername(kind);
    const body = { name: 'New Person', hospitalId: world.hospitalA.id, username, password: PASSWORD, ...more };
    expect((await world.anonymous.post(`/auth/register/${kind}`, body)).status).toBe(202);
    expect((await world.anonymous.post('/auth/login', { username, password: PASSWORD })).status).toBe(401);
    const queue = await world.hospitalA.api.get<{ items: { id: string; name: string }[] }>('/accounts?status=PENDING');
    expect(queue.body.items).toHaveLength(1);
    const id = queue.body.items[0]?.id ?? '';
    expect((await world.hospitalB.api.post(`/accounts/${id}/approve`)).status).toBe(404);
    expect((await world.hospitalA.api.post(`/accounts/${id}/approve`)).status).toBe(200);
    const person = await login(world, id, username);
    expect((await person.api.get('/auth/me')).body).toMatchObject({ id, status: 'ACTIVE', name: 'New Person' });
  }
});

test('R13 R14 R15 R16 a draft is changed, sealed, and never changed again', async () => {
  const { doctorA, patientA, colleagueA } = world;
  const id = await draftDiagnosis(doctorA, patientA.id);
  const draft = await doctorA.api.get<{ resource: Record<string, unknown>; version: number }>(`/records/${id}`);
  expect(draft.headers.get('etag')).toBe('"1"');
  const resource = { ...draft.body.resource, note: [{ text: 'changed' }] };
  expect((await doctorA.api.put(`/records/${id}`, { resource })).status).toBe(428);
  expect((await colleagueA.api.put(`/records/${id}`, { resource }, { headers: { 'if-match': '"1"' } })).status).toBe(404);
  expect((await doctorA.api.put(`/records/${id}`, { resource }, { headers: { 'if-match': '"1"' } })).status).toBe(200);
  expect((await doctorA.api.put(`/records/${id}`, { resource }, { headers: { 'if-match': '"1"' } })).status).toBe(412);
  expect((await doctorA.api.post(`/records/${id}/seal?wait=for-ever`)).status).toBe(400);
  // No witnesses are configured, so none are promised, and nothing is sealed.
  expect((await doctorA.api.post(`/records/${id}/seal?wait=witnessed`)).status).toBe(400);
  expect((await doctorA.api.get(`/records/${id}`)).body).toMatchObject({ status: 'draft' });
  const sealed = await doctorA.api.post<Record<string, unknown>>(`/records/${id}/seal?wait=sealed`);
  expect(sealed.status).toBe(201);
  expect(sealed.body).toMatchObject({ state: 'sealed', leafIndex: null, receipt: null });
  const again = await doctorA.api.post<Record<string, unknown>>(`/records/${id}/seal`);
  expect(again.body).toEqual({
    ...sealed.body,
    state: 'logged',
    leafIndex: expect.any(Number),
    receipt: expect.stringMatching(/^c2sp\.org\/tlog-proof@v1\n/),
  });
  const refused = await doctorA.api.put<{ code: string; links: unknown }>(
    `/records/${id}`,
    { resource },
    { headers: { 'if-match': '"2"' } },
  );
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({ code: 'record_sealed', links: { corrections: `/api/v1/records/${id}/corrections` } });
  expect((await doctorA.api.delete(`/records/${id}`, { headers: { 'if-match': '"2"' } })).status).toBe(409);
  const added = await doctorA.api.post(`/records/${id}/corrections`, { kind: 'addendum', reason: 'new finding', resource });
  expect(added.status).toBe(201);
  const read = await patientA.api.get<{ amendedBy: unknown[]; resource: { note: unknown } }>(`/records/${id}`);
  expect(read.body.amendedBy).toHaveLength(1);
  expect(read.body.resource.note).toEqual([{ text: 'changed' }]);
});

test('R19 the doctor asks, the patient answers, and the answer is sealed', async () => {
  const asked = await world.doctorA.api.post<{ id: string }>(`/patients/${world.patientA.id}/questions`, {
    text: 'Since when? 从什么时候开始？',
  });
  const listed = await world.patientA.api.get<{ items: { id: string }[] }>('/patients/me/questions?status=open');
  expect(listed.body.items.map((item) => item.id)).toEqual([asked.body.id]);
  const answered = await world.patientA.api.post<{ sealed: { height: number } }>(`/questions/${asked.body.id}/answer`, {
    text: 'Pazartesiden beri 🤒',
  });
  expect(answered.status).toBe(201);
  expect((await world.patientA.api.post(`/questions/${asked.body.id}/answer`, { text: 'again' })).status).toBe(409);
});

test('R18 the patient reads the own record and sees who read it', async () => {
  const id = await sealedDiagnosis(world.doctorA, world.patientA.id);
  await world.colleagueA.api.get(`/records/${id}`);
  const own = await world.patientA.api.get<{ items: unknown[] }>('/patients/me/records?limit=100');
  expect(own.status).toBe(200);
  const log = await world.patientA.api.get<{ items: { who: string; action: string; recordId: string }[] }>('/patients/me/access-log');
  expect(log.body.items).toContainEqual(
    expect.objectContaining({ who: 'Dr. Bo Li 李博', action: 'record.read', recordId: id, hospital: 'City Hospital' }),
  );
  expect((await world.patientA.api.get(`/patients/${world.patientB.id}`)).status).toBe(404);
});

test('R31 R32 the patient lets a doctor elsewhere read for a period, and withdraws it', async () => {
  const id = await sealedDiagnosis(world.doctorA, world.patientA.id);
  expect((await world.doctorB.api.get(`/records/${id}`)).status).toBe(404);
  const validUntil = new Date(Date.now() + 86_400_000).toISOString();
  const granted = await world.patientA.api.post<{ version: number; rules: { id: string }[] }>('/patients/me/consent/grants', {
    doctorId: world.doctorB.id,
    validUntil,
  });
  expect(granted.status).toBe(201);
  expect((await world.doctorB.api.get(`/records/${id}`)).status).toBe(200);
  expect((await world.doctorB.api.get<{ items: unknown[] }>('/patients?shared=true')).body.items).toHaveLength(1);
  expect((await world.doctorB.api.post(`/patients/${world.patientA.id}/diagnoses`, { code: 'X', display: 'X' })).status).toBe(404);
  const withdrawn = await world.patientA.api.delete<{ version: number; rules: unknown[] }>(
    `/patients/me/consent/grants/${granted.body.rules[0]?.id}`,
  );
  expect(withdrawn.body).toMatchObject({ version: granted.body.version + 1, rules: [] });
  expect((await world.doctorB.api.get(`/records/${id}`)).status).toBe(404);
});

test('R30 a file is attached, covered by the seal, and read back', async () => {
  const { doctorA, patientA } = world;
  const id = await draftDiagnosis(doctorA, patientA.id);
  const file = Buffer.alloc(700_000, 'scan');
  const added = await doctorA.api.post<{ id: string; sha256: string }>(`/records/${id}/attachments`, undefined, {
    raw: file,
    headers: { 'content-type': 'image/png', 'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent('röntgen.png')}` },
  });
  expect(added.status).toBe(201);
  expect((await doctorA.api.post(`/records/${id}/seal`)).status).toBe(201);
  const content = await patientA.api.get(`/records/${id}/content`);
  expect(content.text).toContain(added.body.sha256);
  const read = await patientA.api.get(`/records/${id}/attachments/${added.body.id}`);
  expect(read.bytes.equals(file)).toBe(true);
});

test('R10 the hospital prints a patient and a doctor', async () => {
  await sealedDiagnosis(world.doctorA, world.patientA.id);
  for (const path of [`/patients/${world.patientA.id}/print`, `/doctors/${world.doctorA.id}/print`]) {
    const print = await world.hospitalA.api.get(path);
    expect(print.status).toBe(200);
    expect(print.bytes.subarray(0, 5).toString()).toBe('%PDF-');
  }
});

test('R12 R20 the hospital sees all entries, the founder sees the day', async () => {
  const id = await sealedDiagnosis(world.colleagueA, world.patientA.id);
  const entries = await world.hospitalA.api.get<{ items: { id: string; authorName: string }[] }>('/hospitals/me/entries');
  expect(entries.body.items[0]).toMatchObject({ id, authorName: 'Dr. Bo Li 李博' });
  const day = new Date().toISOString().slice(0, 10);
  const activity = await world.founder.api.get<{ added: number; counts: unknown[] }>(`/activity?date=${day}`);
  expect(activity.body.added).toBeGreaterThan(5);
});
