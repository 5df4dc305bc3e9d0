import { PasswordHasher } from '../../src/crypto/password-hasher';
import { statementsOf } from '../support/statements';
import { again } from '../support/second-factors';
import { activate, addDoctor, addPatient, createWorld, newUsername, PASSWORD, type Person, type World } from '../support/world';
import { select } from '../support/raw-database';

interface Tokens {
  accessToken: string;
  refreshToken: string;
  deviceToken: string;
}
interface Code {
  accountId: string;
  code: string | null;
}
const DAY = 24 * 3_600_000;
const ATTEMPTS = 5;
const NEW_PASSWORD = 'seven quiet lamps in snow';

let world: World;
beforeAll(async () => {
  world = await createWorld({ LOGIN_MAX_ATTEMPTS: String(ATTEMPTS) });
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

/** Signs in again: tests of this file move the clock, and tokens expire with it. */
const as = (person: Person) => again(world, person);
const enter = (username: string, password = PASSWORD, deviceToken?: string) =>
  world.anonymous.post<Tokens>(
    '/auth/login',
    { username, password },
    { headers: deviceToken === undefined ? {} : { 'x-device-token': deviceToken } },
  );
const statusOf = async (...attempt: Parameters<typeof enter>) => (await enter(...attempt)).status;
const query = <T>(sql: string, ...values: unknown[]) => select<T>(world, sql, ...values);
const accountOf = async (id: string) =>
  (await query<{ status: string; lockedBy: string | null }>('SELECT "status", "lockedBy" FROM "account" WHERE "id" = ?', id))[0];
const failuresOf = async (subject: string) =>
  (await query<{ failures: number }>('SELECT "failures" FROM "login_counter" WHERE "subject" = ?', subject))[0]?.failures ?? 0;
const devicesOf = (id: string) => query<{ id: string }>('SELECT "id" FROM "known_device" WHERE "accountId" = ?', id);
const newDoctor = async (name = 'Dr. Guarded') => addDoctor(world, await as(world.hospitalA), name);
async function guess(username: string, times: number, deviceToken?: string): Promise<void> {
  for (let round = 0; round < times; round += 1) expect(await statusOf(username, `wrong guess ${round}`, deviceToken)).toBe(401);
}

describe('SEC-35 ATTACK strangers’ guesses', () => {
  test('SEC-35 ATTACK strangers lock the account; its holder signs in from a known device, goes on there, and from nowhere else', async () => {
    const doctor = await newDoctor();
    await guess(doctor.username, ATTEMPTS);
    expect(await accountOf(doctor.id)).toEqual({ status: 'LOCKED', lockedBy: 'guesses' });
    expect((await doctor.api.get('/auth/me')).status).toBe(401);
    expect(await statusOf(doctor.username)).toBe(401);
    const known = await enter(doctor.username, PASSWORD, doctor.deviceToken);
    expect([known.status, known.body.deviceToken]).toEqual([200, doctor.deviceToken]);
    expect((await world.anonymous.withToken(known.body.accessToken).get('/auth/me')).body['status']).toBe('LOCKED');
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: known.body.refreshToken })).status).toBe(200);
    await guess(doctor.username, 3);
    expect((await world.anonymous.withToken(known.body.accessToken).get('/auth/me')).status).toBe(200);
    expect(await accountOf(doctor.id)).toEqual({ status: 'LOCKED', lockedBy: 'guesses' }); // R6: only people unlock
    const hospital = await as(world.hospitalA);
    expect((await hospital.api.post(`/accounts/${doctor.id}/unlock`)).status).toBe(200);
    expect(await statusOf(doctor.username)).toBe(200);
  });

  test('SEC-35 a device counts for itself: its failures lock nothing, and at the limit it is a stranger', async () => {
    const doctor = await newDoctor();
    await guess(doctor.username, ATTEMPTS - 1, doctor.deviceToken);
    expect([await failuresOf(doctor.id), await statusOf(doctor.username, PASSWORD, doctor.deviceToken)]).toEqual([0, 200]);
    const [device] = await devicesOf(doctor.id);
    await guess(doctor.username, ATTEMPTS, doctor.deviceToken);
    expect(await query('SELECT "action", "reason" FROM "audit_event" WHERE "subjectId" = ?', device?.id)).toEqual([
      { action: 'device.forget', reason: 'too_many_attempts' },
    ]);
    expect([await accountOf(doctor.id), await devicesOf(doctor.id)]).toEqual([{ status: 'ACTIVE', lockedBy: null }, []]);
    await guess(doctor.username, ATTEMPTS, doctor.deviceToken);
    expect(await accountOf(doctor.id)).toMatchObject({ status: 'LOCKED' });
    expect(await statusOf(doctor.username, PASSWORD, doctor.deviceToken)).toBe(401);
  });

  test('SEC-35 the device of another account, an invented and an expired one open nothing and count as strangers', async () => {
    const [victim, thief] = [await newDoctor(), await newDoctor('Dr. Thief')];
    await guess(victim.username, ATTEMPTS, thief.deviceToken);
    expect(await accountOf(victim.id)).toMatchObject({ status: 'LOCKED' });
    for (const token of [thief.deviceToken, `dt_${'A'.repeat(43)}`, 'x', `${victim.deviceToken}A`])
      expect(await statusOf(victim.username, PASSWORD, token)).toBe(401);
    expect(await statusOf(victim.username, PASSWORD, victim.deviceToken)).toBe(200);
    world.clock.advance(89 * DAY);
    expect(await statusOf(victim.username, PASSWORD, victim.deviceToken)).toBe(200); // for another 90 days
    world.clock.advance(89 * DAY);
    expect(await statusOf(victim.username, PASSWORD, victim.deviceToken)).toBe(200);
    world.clock.advance(91 * DAY);
    expect(await statusOf(victim.username, PASSWORD, victim.deviceToken)).toBe(401);
  });

  test('SEC-35 the last founder is never locked, and a known device of the founder never waits', async () => {
    const { id, username, deviceToken } = await as(world.founder);
    await guess(username, ATTEMPTS + 3);
    expect(await accountOf(id)).toEqual({ status: 'ACTIVE', lockedBy: null });
    expect([await statusOf(username), await statusOf(username, PASSWORD, deviceToken)]).toEqual([401, 200]);
    world.clock.advance(2001);
    expect(await statusOf(username)).toBe(200);
  });

  test('SEC-35 the holder lists and forgets devices; nobody else does; a token is stored hashed', async () => {
    const doctor = await newDoctor();
    const second = await as(doctor);
    const listed = (await doctor.api.get<{ id: string }[]>('/auth/devices')).body;
    expect(listed).toHaveLength(2);
    for (const { id } of listed) expect((await (await as(world.patientA)).api.delete(`/auth/devices/${id}`)).status).toBe(404);
    expect((await doctor.api.delete(`/auth/devices/${listed[0]?.id}`)).status).toBe(204); // the newer one
    await guess(doctor.username, ATTEMPTS);
    expect(await statusOf(doctor.username, PASSWORD, second.deviceToken)).toBe(401);
    expect(await statusOf(doctor.username, PASSWORD, doctor.deviceToken)).toBe(200);
    const stored = await query<{ hash: Buffer }>('SELECT "hash" FROM "known_device" WHERE "accountId" = ?', doctor.id);
    for (const { hash } of stored) expect(doctor.deviceToken).not.toContain(hash.toString('base64url'));
  });

  test('SEC-35 an account knows at most its twenty newest devices', async () => {
    const doctor = await newDoctor();
    for (let round = 0; round < 25; round += 1) await as(doctor);
    expect(await devicesOf(doctor.id)).toHaveLength(20);
  });

  test.each(['password', 'lock', 'code', 'close'] as const)(
    'SEC-35 a new password, a lock by people, a code and a closure end devices: %s',
    async (act) => {
      const doctor = await newDoctor();
      const hospital = await as(world.hospitalA);
      if (act === 'password')
        expect((await doctor.api.post('/auth/password', { currentPassword: PASSWORD, newPassword: NEW_PASSWORD })).status).toBe(204);
      else expect((await hospital.api.post(`/accounts/${doctor.id}/${act}`)).status).toBeLessThan(300);
      expect(await devicesOf(doctor.id)).toEqual([]);
    },
  );
});

describe('SEC-33 SEC-36 SEC-37 what is counted', () => {
  test('SEC-33 from the fourth failure on strangers wait, twice as long each time; three cost nothing', async () => {
    const { username, id } = await newDoctor();
    await guess(username, 3);
    expect(await statusOf(username)).toBe(200);
    await guess(username, 4);
    expect(await statusOf(username)).toBe(401); // right, but too early
    expect(await failuresOf(id)).toBe(4); // and not a wrong one
    world.clock.advance(1001);
    expect(await statusOf(username)).toBe(200);
    expect(await failuresOf(id)).toBe(0);
  });

  test('SEC-36 guesses that have to wait count as well', async () => {
    const { username, id } = await newDoctor();
    await Promise.all(Array.from({ length: 20 }, () => enter(username, 'a parallel wrong guess')));
    expect([await accountOf(id), await failuresOf(id)]).toEqual([{ status: 'LOCKED', lockedBy: 'guesses' }, ATTEMPTS]);
  });

  test('SEC-37 failures of yesterday are forgotten', async () => {
    const { username, id } = await newDoctor();
    await guess(username, ATTEMPTS - 1);
    world.clock.advance(DAY + 1000);
    await guess(username, ATTEMPTS - 1);
    expect([await accountOf(id), await failuresOf(id)]).toEqual([{ status: 'ACTIVE', lockedBy: null }, ATTEMPTS - 1]);
    world.clock.advance(1001);
    expect(await statusOf(username)).toBe(200);
  });

  test('SEC-37 an unlock counts from anew', async () => {
    const { username, id } = await newDoctor();
    await guess(username, ATTEMPTS);
    expect((await (await as(world.hospitalA)).api.post(`/accounts/${id}/unlock`)).status).toBe(200);
    await guess(username, 3);
    expect(await statusOf(username)).toBe(200);
  });
});

describe('SEC-34 who unlocks', () => {
  test('SEC-34 ATTACK a hospital does not undo the founder’s lock, neither by unlocking nor with a new code', async () => {
    const doctor = await newDoctor();
    const [hospital, founder] = [await as(world.hospitalA), await as(world.founder)];
    expect((await founder.api.post(`/accounts/${doctor.id}/lock`)).status).toBe(200);
    for (const act of ['unlock', 'code']) expect((await hospital.api.post(`/accounts/${doctor.id}/${act}`)).status).toBe(403);
    expect((await hospital.api.post(`/accounts/${doctor.id}/lock`)).status).toBe(409);
    expect(await accountOf(doctor.id)).toEqual({ status: 'LOCKED', lockedBy: 'founder' });
    expect(await statusOf(doctor.username, PASSWORD, doctor.deviceToken)).toBe(401);
    expect((await founder.api.post(`/accounts/${doctor.id}/unlock`)).status).toBe(200);
    expect(await accountOf(doctor.id)).toEqual({ status: 'ACTIVE', lockedBy: null });
    expect(await statusOf(doctor.username)).toBe(200);
  });

  test('SEC-34 people lock what guesses have locked, the founder also what a hospital has; then no device opens it', async () => {
    const doctor = await newDoctor();
    await guess(doctor.username, ATTEMPTS);
    const open = (await enter(doctor.username, PASSWORD, doctor.deviceToken)).body;
    const [hospital, founder] = [await as(world.hospitalA), await as(world.founder)];
    for (const [locker, name] of [
      [hospital, 'hospital'],
      [founder, 'founder'],
    ] as const) {
      expect((await locker.api.post(`/accounts/${doctor.id}/lock`)).status).toBe(200);
      expect(await accountOf(doctor.id)).toEqual({ status: 'LOCKED', lockedBy: name });
      expect((await locker.api.post(`/accounts/${doctor.id}/lock`)).status).toBe(409);
    }
    expect((await world.anonymous.withToken(open.accessToken).get('/auth/me')).status).toBe(401);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: open.refreshToken })).status).toBe(401);
    expect(await statusOf(doctor.username, PASSWORD, doctor.deviceToken)).toBe(401);
  });

  test('SEC-34 SEC-39 the matrix: who unlocks whom, and nobody himself', async () => {
    const founder = await as(world.founder);
    const [hospitalA, hospitalB] = [await as(world.hospitalA), await as(world.hospitalB)];
    const doctor = await newDoctor();
    const patient = await addPatient(world, hospitalA, 'Locked Person');
    const auditor = await activate(
      world,
      (await founder.api.post<{ accountId: string; code: string }>('/accounts', { role: 'AUDITOR', name: 'Audit' })).body,
      'audit',
    );
    const others = [await as(world.doctorA), await as(world.patientA), await as(world.auditor)];
    const rows: readonly [Person, readonly Person[]][] = [
      [doctor, [hospitalA, founder]],
      [patient, [hospitalA, founder]],
      [auditor, [founder]],
      [hospitalB, [founder]],
    ];
    for (const [locked, allowed] of rows)
      for (const unlocker of [hospitalA, hospitalB, founder, ...others, locked]) {
        await guess(locked.username, ATTEMPTS);
        const device = locked === unlocker ? (await enter(locked.username, PASSWORD, locked.deviceToken)).body.accessToken : null;
        const api = device === null ? (await as(unlocker).catch(() => unlocker)).api : world.anonymous.withToken(device);
        const { status } = await api.post(`/accounts/${locked.id}/unlock`);
        const expected = locked !== unlocker && allowed.includes(unlocker);
        expect([locked.username, unlocker.username, status === 200]).toEqual([locked.username, unlocker.username, expected]);
        if (status !== 200) await (await as(world.founder)).api.post(`/accounts/${locked.id}/unlock`);
      }
  });
});

describe('SEC-39 founders', () => {
  const propose = async (founder: Person) => (await founder.api.post<Code>('/accounts', { role: 'ADMIN', name: 'Further' })).body;
  const approve = (founder: Person, id: string) => founder.api.post<{ status: string; activation: Code }>(`/accounts/${id}/approve`);

  test('SEC-39 the first makes the second; from then on one proposes and another approves, and gets the code', async () => {
    const first = await as(world.founder);
    const second = await activate(world, (await propose(first)) as { accountId: string; code: string }, 'second');
    const { accountId, code } = await propose(first);
    expect(code).toBeNull();
    expect((await approve(first, accountId)).status).toBe(403);
    for (const person of [await as(world.hospitalA), await as(world.auditor)])
      expect((await approve(person, accountId)).status).toBeGreaterThanOrEqual(403);
    expect((await first.api.post(`/accounts/${accountId}/code`)).status).toBe(409);
    expect((await second.api.post(`/accounts/${accountId}/code`)).status).toBe(409);
    const approved = await approve(second, accountId);
    expect(approved.body).toMatchObject({ status: 'ISSUED', activation: { accountId, code: expect.any(String) } });
    const third = await activate(world, { accountId, code: approved.body.activation.code ?? '' }, 'third');
    expect((await approve(second, accountId)).status).toBe(409);

    const rejected = await propose(third);
    expect((await first.api.post(`/accounts/${rejected.accountId}/reject`)).body['status']).toBe('REJECTED');
    expect((await approve(second, rejected.accountId)).status).toBe(409);
    // With a new code for somebody who is a founder, one founder would be two.
    for (const founder of [first, third]) expect((await founder.api.post(`/accounts/${second.id}/code`)).status).toBe(409);
    for (const { id } of [second, third]) expect((await first.api.post(`/accounts/${id}/close`)).status).toBe(200);
  });

  test('SEC-39 ATTACK the only founder invites several at once: the second invitation waits for somebody else', async () => {
    const founder = await as(world.founder);
    const [one, two] = [await propose(founder), await propose(founder)];
    expect([one.code, two.code]).toEqual([expect.any(String), null]);
    expect((await approve(founder, two.accountId)).status).toBe(403);
    for (const { accountId } of [one, two]) expect((await founder.api.post(`/accounts/${accountId}/close`)).status).toBe(200);
  });
});

describe('SEC-31 SEC-32 who is registered is not told', () => {
  /** Statements, without what names or numbers differ, and passwords hashed. */
  async function workOf(act: () => Promise<unknown>): Promise<{ statements: string[]; hashes: number }> {
    const hasher = world.app.get(PasswordHasher);
    const spies = [jest.spyOn(hasher, 'verify'), jest.spyOn(hasher, 'hash')];
    const statements = await statementsOf(async () => void (await act()));
    const hashes = spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
    spies.forEach((spy) => spy.mockRestore());
    const quiet = statements.filter((sql) => !/"revocation"/.test(sql));
    return { statements: quiet.map((sql) => sql.replace(/typeorm_\d+/g, 'n').replace(/'[^']*'|\b\d+\b/g, '?')), hashes };
  }

  test('SEC-31 unknown, wrong, locked, pending, disabled and waiting: one password is hashed and the same statements run', async () => {
    const hospital = await as(world.hospitalA);
    const [wrong, waiting, locked, guessed, closed] = [
      await newDoctor(),
      await newDoctor(),
      await newDoctor(),
      await newDoctor(),
      await newDoctor(),
    ];
    const pending = newUsername('pending');
    const registration = { name: 'Nil', hospitalId: hospital.id, username: pending, password: PASSWORD, specialty: 'X' };
    expect((await world.anonymous.post('/auth/register/doctor', registration)).status).toBe(202);
    await hospital.api.post(`/accounts/${locked.id}/lock`);
    await hospital.api.post(`/accounts/${closed.id}/close`);
    await guess(guessed.username, ATTEMPTS);
    await guess(waiting.username, 4);
    await guess(wrong.username, 1);
    const cases: [string, string, string][] = [
      ['unknown', 'nobody.at.all', PASSWORD],
      ['wrong', wrong.username, 'a wrong sentence'],
      ['founder, wrong', world.founder.username, 'a wrong sentence'],
      ['waiting', waiting.username, PASSWORD],
      ['locked', locked.username, PASSWORD],
      ['locked by guesses', guessed.username, PASSWORD],
      ['pending', pending, PASSWORD],
      ['closed', closed.username, PASSWORD],
    ];
    const first = await workOf(() => enter('somebody.else'));
    expect(first.hashes).toBe(1);
    expect(first.statements.length).toBeGreaterThan(5);
    for (const [name, username, password] of cases)
      expect([name, await workOf(async () => expect(await statusOf(username, password)).toBe(401))]).toEqual([name, first]);
  });

  test.each(['doctor', 'patient'] as const)(
    'SEC-32 registering a %s with a taken and with a free user name: same answer, same work',
    async (kind) => {
      const hospital = await as(world.hospitalA);
      const own = kind === 'doctor' ? { specialty: 'X' } : { birthDate: '1990-01-01', gender: 'male' };
      const register = (username: string) =>
        world.anonymous.post(`/auth/register/${kind}`, { name: 'Nil', hospitalId: hospital.id, username, password: PASSWORD, ...own });
      const answers: string[] = [];
      const count = async () => (await query<{ n: number }>('SELECT COUNT(*) AS n FROM "account"'))[0]?.n;
      const before = await count();
      const kept = (work: { statements: string[] }) => ({
        ...work,
        statements: work.statements.filter((sql) => !/^(RELEASE|ROLLBACK TO)/.test(sql)),
      });
      const taken = await workOf(async () => answers.push((await register(world.doctorA.username)).text));
      expect(await count()).toBe(before);
      const free = await workOf(async () => answers.push((await register(newUsername('free'))).text));
      expect(await count()).toBe((before ?? 0) + 1);
      expect(kept(taken)).toEqual(kept(free));
      expect([taken.hashes, answers]).toEqual([1, ['{"status":"PENDING"}', '{"status":"PENDING"}']]);
    },
  );
});

test('SEC-38 ATTACK what the server decides is refused in a registration', async () => {
  const body = { name: 'Nil', hospitalId: world.hospitalA.id, username: newUsername('mass'), password: PASSWORD, specialty: 'X' };
  for (const field of ['role', 'status', 'approved', 'tenantId', 'id', 'lockedBy', 'proposedBy', 'codeHash'])
    expect([field, (await world.anonymous.post('/auth/register/doctor', { ...body, [field]: 'ADMIN' })).status]).toEqual([field, 400]);
});

test('SEC-28 a password made of the hospital’s, the own or the user name is refused at every door, with the path', async () => {
  const hospital = await as(world.hospitalA);
  const body = { name: 'Nilüfer Aydınlık', hospitalId: hospital.id, username: newUsername('weak'), specialty: 'X' };
  for (const password of ['City Hospital 2026', 'nilufer.aydinlik', 'Nilüfer 2026 2026', 'password12345678'])
    expect([password, (await world.anonymous.post('/auth/register/doctor', { ...body, password })).status]).toEqual([password, 422]);
  const { activation } = (
    await hospital.api.post<{ activation: { code: string } }>('/hospitals/me/staff', { name: 'Dr. Zeynep Karaca', specialty: 'X' })
  ).body;
  const attempt = { code: activation.code, username: newUsername('zey') };
  for (const password of ['zeynep karaca 2026', 'CITY-HOSPITAL-2026'])
    expect((await world.anonymous.post('/auth/activate', { ...attempt, password })).status).toBe(422);
  const doctor = await as(world.doctorA);
  const refused = await doctor.api.post('/auth/password', { currentPassword: PASSWORD, newPassword: 'City Hospital 2026' });
  expect(refused.body).toMatchObject({ code: 'password_unacceptable', errors: [{ path: 'newPassword' }] });
});

test('SEC-42 ATTACK the doctor who enrols a patient gets no code: the hospital does, and nobody ever a password', async () => {
  const profile = { name: 'No Code', birthDate: '1990-01-01', gender: 'female', issueAccount: true };
  const doctor = await as(world.doctorA);
  const enrolled = await doctor.api.post<{ patient: { id: string }; activation: Code }>('/patients', profile);
  const { id } = enrolled.body.patient;
  expect(enrolled.body.activation).toEqual({ accountId: id, code: null, expiresAt: null });
  expect((await doctor.api.post(`/accounts/${id}/code`)).status).toBe(403);
  expect(await accountOf(id)).toMatchObject({ status: 'ISSUED' });
  const { body } = await (await as(world.hospitalA)).api.post<Code>(`/accounts/${id}/code`);
  expect((await activate(world, { accountId: id, code: body.code ?? '' }, 'patient')).id).toBe(id);
});

test('SEC-27 a password of 128 characters in any script is taken whole: what differs after the first 72 bytes is another one', async () => {
  const { activation } = (
    await (await as(world.hospitalA)).api.post<{ activation: { code: string } }>('/hospitals/me/staff', { name: 'L', specialty: 'X' })
  ).body;
  const start = [...'Kırmızı çaydanlık 🫖 kuzeye yürür, gölün kıyısında sessiz lambalar yanar '.repeat(2)].slice(0, 127).join('');
  const [password, other] = [`${start}1`, `${start}2`];
  expect(Buffer.from(password).subarray(0, 72).equals(Buffer.from(other).subarray(0, 72))).toBe(true);
  const username = newUsername('long');
  expect((await world.anonymous.post('/auth/activate', { code: activation.code, username, password })).status).toBe(200);
  expect([
    await statusOf(username, other),
    await statusOf(username, [...password].slice(0, 72).join('')),
    await statusOf(username, password),
  ]).toEqual([401, 401, 200]);
  expect(await statusOf(username, password.normalize('NFD'))).toBe(200); // as another keyboard composes it
});
