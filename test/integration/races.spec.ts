import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../../src/database/database';
import { sequence } from '../../src/tlog/log-store';
import { condition } from '../support/role-requests';
import { addDoctor, createWorld, draftDiagnosis, newUsername, PASSWORD, type Person, type World } from '../support/world';
import { openRaw, select } from '../support/raw-database';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const times = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

interface Seal {
  recordId: string;
  height: number;
  blockHash: string;
}

test('SEC-93 ATTACK two instances forking one chain: 100 parallel seals on one chain never fork it', async () => {
  const { doctorA, colleagueA, patientA } = world;
  const drafts = await times(100, async (index) => {
    const doctor = index % 2 === 0 ? doctorA : colleagueA;
    return { doctor, id: await draftDiagnosis(doctor, patientA.id, `note ${index}`) };
  });
  const answers = await Promise.all(drafts.map(({ doctor, id }) => doctor.api.post<Seal & Record<string, unknown>>(`/records/${id}/seal`)));
  expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 201));
  const heights = answers.map((answer) => answer.body.height).sort((a, b) => a - b);
  expect(heights).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  const chain = await patientA.api.get<{ height: number }>(`/ledger/patients/me/chain`);
  expect(chain.body.height).toBe(100);
  const links = await select<{ n: number; hashes: number; prev: number }>(
    world,
    `SELECT COUNT(*) AS n, COUNT(DISTINCT "blockHash") AS hashes, COUNT(DISTINCT "prevHash") AS prev
     FROM "ledger_block" WHERE "chainId" = (SELECT "chainId" FROM "ledger_chain" WHERE "patientId" = ?)`,
    patientA.id,
  );
  expect(links).toEqual([{ n: 101, hashes: 101, prev: 101 }]);
});

test('SEC-93 20 parallel seals of one draft make one block and one answer', async () => {
  const id = await draftDiagnosis(world.doctorA, world.patientA.id);
  const answers = await times(20, () => world.doctorA.api.post<Seal & Record<string, unknown>>(`/records/${id}/seal`));
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
  expect(answers[0]?.status).toBe(201);
  expect(await select(world, 'SELECT COUNT(*) AS n FROM "ledger_block" WHERE "recordId" = ?', id)).toEqual([{ n: 1 }]);
});

test('SEC-52 an edit that races the seal: what is sealed is the last acknowledged draft', async () => {
  const { doctorA, patientA } = world;
  let edited = 0;
  for (let race = 0; race < 50; race += 1) {
    const id = await draftDiagnosis(doctorA, patientA.id, 'first');
    const resource = { ...condition(patientA.id), note: [{ text: `edit ${race}` }] };
    const edit = doctorA.api.put(`/records/${id}`, { resource }, { headers: { 'if-match': '"1"' } });
    if (race % 2 === 1) await sleep(randomInt(1, 25)); // either may be first, by a little or by much
    const [edits, sealed] = await Promise.all([edit, doctorA.api.post(`/records/${id}/seal`)]);
    expect(sealed.status).toBe(201);
    expect([200, 409]).toContain(edits.status);
    if (edits.status === 200) edited += 1;
    const content = await doctorA.api.get<{ note: { text: string }[] }>(`/records/${id}/content`);
    expect(content.body.note[0]?.text).toBe(edits.status === 200 ? `edit ${race}` : 'first');
  }
  expect(edited).toBeGreaterThan(0);
});

test('SEC-52 10 edits of one version: exactly one wins', async () => {
  const { doctorA, patientA } = world;
  const id = await draftDiagnosis(doctorA, patientA.id);
  const answers = await times(10, (index) => {
    const resource = { ...condition(patientA.id), note: [{ text: `edit ${index}` }] };
    return doctorA.api.put<{ resource: { note: { text: string }[] } }>(`/records/${id}`, { resource }, { headers: { 'if-match': '"1"' } });
  });
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array.from({ length: 9 }, () => 412)]);
  const winner = answers.findIndex((answer) => answer.status === 200);
  const read = await doctorA.api.get<{ version: number; resource: { note: { text: string }[] } }>(`/records/${id}`);
  expect(read.body).toMatchObject({ version: 2, resource: { note: [{ text: `edit ${winner}` }] } });
});

test('SEC-52 a draft that is deleted while it is sealed is either gone or sealed', async () => {
  const { doctorA, patientA } = world;
  for (let race = 0; race < 10; race += 1) {
    const id = await draftDiagnosis(doctorA, patientA.id);
    const [removed, sealed] = await Promise.all([
      doctorA.api.delete(`/records/${id}`, { headers: { 'if-match': '"1"' } }),
      doctorA.api.post(`/records/${id}/seal`),
    ]);
    expect([
      [204, 404],
      [409, 201],
    ]).toContainEqual([removed.status, sealed.status]);
    expect((await doctorA.api.get(`/records/${id}`)).status).toBe(removed.status === 204 ? 404 : 200);
  }
});

test('SEC-36 30 parallel wrong guesses count: the account locks at exactly 10', async () => {
  const doctor = await addDoctor(world, world.hospitalA, 'Dr. Guessed');
  const attempts = async () => {
    const sql = `SELECT COALESCE(c."failures", 0) AS "failures", a."status" FROM "account" a LEFT JOIN "login_counter" c ON c."subject" = a."id" WHERE a."id" = ?`;
    return select<{ failures: number; status: string }>(world, sql, doctor.id);
  };
  const guess = () => world.anonymous.post('/auth/login', { username: doctor.username, password: 'wrong wrong wrong' });
  await times(9, guess);
  expect(await attempts()).toEqual([{ failures: 9, status: 'ACTIVE' }]);
  world.clock.advance(1001); // the fourth has to be waited for
  expect((await world.anonymous.post('/auth/login', { username: doctor.username, password: PASSWORD })).status).toBe(200);
  expect(await attempts()).toEqual([{ failures: 0, status: 'ACTIVE' }]);
  const answers = await times(100, guess);
  expect(new Set(answers.map((answer) => answer.status)).size).toBeLessThanOrEqual(2);
  expect(await attempts()).toEqual([{ failures: 10, status: 'LOCKED' }]);
  expect((await world.anonymous.post('/auth/login', { username: doctor.username, password: PASSWORD })).status).toBe(401);
  const sql = `SELECT COUNT(*) AS n FROM "audit_event" WHERE "subjectId" = ? AND "action" = 'account.lock'`;
  expect(await select(world, sql, doctor.id)).toEqual([{ n: 1 }]);
});

test('SEC-94 an idempotent create that is raced 20 times makes one, and all get one answer', async () => {
  const { doctorA, patientA } = world;
  const acts: readonly (readonly [table: string, path: string, body: unknown])[] = [
    ['record', `/patients/${patientA.id}/diagnoses`, { code: 'I10', display: 'Hypertension' }],
    ['record', `/patients/${patientA.id}/records`, { resource: condition(patientA.id) }],
    ['question', `/patients/${patientA.id}/questions`, { text: 'Since when?' }],
    ['patient', '/patients', { name: 'Raced Person', birthDate: '1990-01-01', gender: 'male', issueAccount: true }],
  ];
  for (const [table, path, body] of acts) {
    const count = async () => (await select<{ n: number }>(world, `SELECT COUNT(*) AS n FROM "${table}"`))[0]?.n ?? -1;
    const before = await count();
    const headers = { 'idempotency-key': newUsername('raced-key') };
    const answers = await times(20, () => doctorA.api.post(path, body, { headers }));
    expect([path, new Set(answers.map((answer) => `${answer.status} ${answer.text}`)).size, answers[0]?.status]).toEqual([path, 1, 201]);
    expect(await count()).toBe(before + 1);
    expect((await doctorA.api.post(path, body, { headers })).text).toBe(answers[0]?.text);
    expect((await world.colleagueA.api.post(path, body, { headers })).status).toBe(201); // a key belongs to its account
    expect(await count()).toBe(before + 2);
  }
});

test('SEC-20 50 parallel refreshes of one token: no fault, no false alarm, one live chain', async () => {
  const doctor = await addDoctor(world, world.hospitalA, 'Dr. Refreshing');
  const answers = await times(50, () =>
    world.anonymous.post<{ refreshToken: string }>('/auth/refresh', { refreshToken: doctor.refreshToken }),
  );
  expect(answers.every((answer) => answer.status === 200)).toBe(true);
  const tokens = answers.map((answer) => answer.body.refreshToken);
  const sql =
    'SELECT COUNT(*) AS n FROM "refresh_token" t JOIN "session" s ON s."id" = t."sessionId" WHERE s."accountId" = ? AND t."usedAt" IS NULL AND s."endedAt" IS NULL';
  const [live] = await select<{ n: number }>(world, sql, doctor.id);
  expect(live?.n).toBe(1);
  const later = await times(tokens.length, (index) => world.anonymous.post('/auth/refresh', { refreshToken: tokens[index] }));
  expect(later.filter((answer) => answer.status === 200).length).toBeLessThanOrEqual(1);
});

test('SEC-38 20 parallel approvals of one registration are one approval; 20 uses of one code are one activation', async () => {
  const { hospitalA, anonymous } = world;
  const body = { name: 'New Doctor', hospitalId: hospitalA.id, username: newUsername('pending'), password: PASSWORD, specialty: 'Surgery' };
  await times(5, () => anonymous.post('/auth/register/doctor', body)); // one user name, five times
  const queue = await hospitalA.api.get<{ items: { id: string }[] }>('/accounts?status=PENDING');
  expect(queue.body.items).toHaveLength(1);
  const approvals = await times(20, () => hospitalA.api.post(`/accounts/${queue.body.items[0]?.id}/approve`));
  expect(approvals.filter((answer) => answer.status === 200)).toHaveLength(1);
  expect(approvals.filter((answer) => answer.status === 409)).toHaveLength(19);
  const added = await hospitalA.api.post<{ activation: { code: string } }>('/hospitals/me/staff', {
    name: 'Dr. Code',
    specialty: 'Surgery',
  });
  const uses = await times(20, () =>
    anonymous.post('/auth/activate', { code: added.body.activation.code, username: newUsername('code'), password: PASSWORD }),
  );
  expect(uses.filter((answer) => answer.status === 200)).toHaveLength(1);
  expect(uses.filter((answer) => answer.status === 401)).toHaveLength(19);
});

test('SEC-90 SEC-91 of 120 parallel creates each second fails at its very end: what was acknowledged is there, of the others nobody ever sees a row', async () => {
  const { doctorA, colleagueA, patientA } = world;
  const db = openRaw(world);
  const failing = `NEW.action = 'record.create' AND NEW.outcome = 'ok' AND NEW.actorId = '${colleagueA.id}'`;
  db.exec(`CREATE TRIGGER failing BEFORE INSERT ON audit_event WHEN ${failing} BEGIN SELECT RAISE(ABORT, 'not on the trail'); END`);
  const rowsOf = (doctor: Person) => select<{ id: string }>(world, 'SELECT id FROM record WHERE authorId = ? ORDER BY id', doctor.id);
  const tables = ['record', 'ledger_block', 'idempotency'];
  const counts = async () => {
    const found = tables.map((table) => select<{ n: number }>(world, `SELECT COUNT(*) AS n FROM "${table}"`));
    return (await Promise.all(found)).map(([row]) => row?.n ?? -1);
  };
  const [before, mine, theirs] = [await counts(), await rowsOf(doctorA), await rowsOf(colleagueA)];
  let [isOver, looks] = [false, 0];
  const reader = (async () => {
    for (; !isOver; looks += 1) {
      expect(await rowsOf(colleagueA)).toEqual(theirs);
      const list = await patientA.api.get<{ items: { authorId: string }[] }>('/patients/me/records?limit=100');
      expect(list.status).toBe(200);
    }
  })();
  const answers = await times(120, (index) => {
    const headers = { 'idempotency-key': newUsername('reconciled-key') };
    const body = { code: 'I10', display: 'Hypertension', note: `note ${index}` };
    return (
      [doctorA, colleagueA][index % 2]?.api.post<{ id: string }>(`/patients/${patientA.id}/diagnoses`, body, { headers }) ??
      Promise.reject(new Error())
    );
  });
  isOver = true;
  await reader;
  db.exec('DROP TRIGGER failing');
  db.close();
  expect(looks).toBeGreaterThan(0);
  expect(new Set(answers.map(({ status }, index) => `${index % 2} ${status}`))).toEqual(new Set(['0 201', '1 500']));
  const made = answers.filter(({ status }) => status === 201).map(({ body }) => body.id);
  expect(new Set((await rowsOf(doctorA)).map(({ id }) => id))).toEqual(new Set([...mine.map(({ id }) => id), ...made]));
  expect(await rowsOf(colleagueA)).toEqual(theirs);
  const [records = 0, blocks, kept = 0] = before;
  expect(await counts()).toEqual([records + 60, blocks, kept + 60]);
  const traced = await select(world, `SELECT DISTINCT subjectId FROM audit_event WHERE action = 'record.create' AND outcome = 'ok'`);
  expect(traced).toEqual(expect.arrayContaining(made.map((subjectId) => ({ subjectId }))));
}, 60_000);

test('R17 a chain is VALID also while its author’s key gets its place in the log', async () => {
  const database = world.app.get(Database);
  const seal = async (doctor: Person, query = '') => {
    const id = await draftDiagnosis(doctor, world.patientA.id);
    expect((await doctor.api.post(`/records/${id}/seal${query}`)).status).toBe(201);
  };
  await seal(world.doctorA);
  const newcomer = await addDoctor(world, world.hospitalA, 'Dr. Just Arrived');
  const [log] = await select<{ id: number }>(world, 'SELECT "id" FROM "log" WHERE "hospitalId" = ?', world.hospitalA.id);
  const place = () => database.transaction((tx) => sequence(tx, log?.id ?? 0));
  const restore = [jest.spyOn(database.peers, 'leads').mockResolvedValue(false)]; // the log stands still, but for us
  try {
    await seal(newcomer, '?wait=sealed');
    const placed: number[] = [];
    const query = database.reader.query.bind(database.reader);
    const spy = jest.spyOn(database.reader, 'query').mockImplementation(async (sql: string, values?: unknown) => {
      // Between the look for the places of the keys and that for the places of the blocks.
      if (sql.includes('JOIN "log_leaf"')) placed.push(await place());
      return query(sql, values as unknown[]);
    });
    restore.push(spy as unknown as (typeof restore)[number]);
    const { body } = await world.auditor.api.post<Record<string, unknown>>(`/ledger/patients/${world.patientA.id}/verify`);
    expect(body).toMatchObject({ verdict: 'VALID', findings: [] });
    expect(placed[0]).toBeGreaterThan(1);
  } finally {
    for (const spy of restore) spy.mockRestore();
  }
});
