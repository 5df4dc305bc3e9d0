import { DecisionsService } from '../../src/auth/decisions.service';
import type { Actor } from '../../src/common/actor';
import { PasswordHasher } from '../../src/crypto/password-hasher';
import { Sealed } from '../../src/crypto/sealed';
import { startTestApp } from '../support/test-app';
import { again } from '../support/second-factors';
import { activate, addDoctor, addPatient, createWorld, newUsername, PASSWORD, type Person, type World } from '../support/world';
import { select } from '../support/raw-database';

interface Tokens {
  accessToken: string;
  refreshToken: string;
}
interface Code {
  accountId: string;
  code: string;
}
const MINUTE = 60_000;
const ATTEMPTS = 4;
const NEW_PASSWORD = 'seven quiet lamps in snow';

let world: World;
beforeAll(async () => {
  world = await createWorld({ LOGIN_MAX_ATTEMPTS: String(ATTEMPTS) });
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

/** Signs in again: tests of this file move the clock, and tokens expire with it. */
const as = (person: Person) => again(world, person);
const tryLogin = async (username: string, password = PASSWORD) =>
  (await world.anonymous.post('/auth/login', { username, password })).status;
const refresh = (refreshToken: string) => world.anonymous.post<Tokens>('/auth/refresh', { refreshToken });
const query = <T>(sql: string, ...values: unknown[]) => select<T>(world, sql, ...values);
const accountOf = async (id: string) => {
  const sql = `SELECT a.*, COALESCE(c."failures", 0) AS "failures" FROM "account" a LEFT JOIN "login_counter" c ON c."subject" = a."id" WHERE a."id" = ?`;
  return (await query<{ status: string; lockedBy: string | null; failures: number; password: Buffer }>(sql, id))[0];
};
const trailOf = (subjectId: string, action: string) =>
  query<{ outcome: string; reason: string; patientId: string | null }>(
    'SELECT * FROM "audit_event" WHERE "subjectId" = ? AND "action" = ? ORDER BY "id" DESC',
    subjectId,
    action,
  );

/** Changes the password, and lets `meanwhile` happen while the new one is hashed. */
async function changeWhile(person: Person, meanwhile: () => Promise<unknown>): Promise<number> {
  const hasher = world.app.get(PasswordHasher);
  const hash = hasher.hash.bind(hasher);
  const spy = jest.spyOn(hasher, 'hash').mockImplementationOnce(async (id, password) => {
    await meanwhile();
    return hash(id, password);
  });
  try {
    return (await person.api.post('/auth/password', { currentPassword: PASSWORD, newPassword: NEW_PASSWORD })).status;
  } finally {
    spy.mockRestore();
  }
}

describe('ATTACK a password change that was overtaken', () => {
  test('the account got a new code and a new owner meanwhile: the thief’s password is not stored', async () => {
    const hospital = await as(world.hospitalA);
    const stolen = await addDoctor(world, hospital, 'Dr. Stolen');
    const username = newUsername('owner');
    const status = await changeWhile(stolen, async () => {
      const { code } = (await hospital.api.post<Code>(`/accounts/${stolen.id}/code`)).body;
      expect((await world.anonymous.post('/auth/activate', { code, username, password: PASSWORD })).status).toBe(200);
    });
    expect(status).toBe(401);
    expect([await tryLogin(username), await tryLogin(username, NEW_PASSWORD)]).toEqual([200, 401]);
    expect(await trailOf(stolen.id, 'password.change')).toEqual([]);
  });

  test('the session was ended meanwhile: its change is refused, and is no guess', async () => {
    const owner = await addDoctor(world, await as(world.hospitalA), 'Dr. Ended');
    const stolen = await as(owner);
    expect(await changeWhile(stolen, () => stolen.api.post('/auth/logout'))).toBe(401);
    expect([await tryLogin(owner.username), await tryLogin(owner.username, NEW_PASSWORD)]).toEqual([200, 401]);
    const reasons = (await trailOf(owner.id, 'login')).map((row) => row.reason);
    expect(reasons).toContain('session_ended');
  });

  test('nothing happened meanwhile: the change is stored', async () => {
    const doctor = await addDoctor(world, await as(world.hospitalA), 'Dr. Undisturbed');
    expect(await changeWhile(doctor, () => Promise.resolve())).toBe(204);
    expect(await tryLogin(doctor.username, NEW_PASSWORD)).toBe(200);
  });
});

describe('SEC-35 ATTACK locking the founder out', () => {
  const second = async () => {
    const founder = await as(world.founder);
    return activate(world, (await founder.api.post<Code>('/accounts', { role: 'ADMIN', name: 'Second' })).body, 'founder');
  };

  test('wrong passwords slow the last founder down and never lock; waiting is not counted', async () => {
    const { id, username } = world.founder;
    const open = await as(world.founder);
    for (let guess = 0; guess < ATTEMPTS + 6; guess += 1) expect(await tryLogin(username, 'a wrong guess')).toBe(401);
    expect(await accountOf(id)).toMatchObject({ status: 'ACTIVE', failures: ATTEMPTS });
    expect(await tryLogin(username)).toBe(401);
    expect((await trailOf(id, 'login'))[0]).toMatchObject({ outcome: 'denied', reason: 'throttled' });
    expect((await open.api.get('/auth/me')).status).toBe(200);
    world.clock.advance(1001);
    expect(await tryLogin(username)).toBe(200);
    expect(await accountOf(id)).toMatchObject({ status: 'ACTIVE', failures: 0 });
  });

  test('the wait doubles up to a quarter of an hour', async () => {
    const { id, username } = world.founder;
    for (let guess = 1; guess < ATTEMPTS; guess += 1) await tryLogin(username, 'a wrong guess');
    await Promise.all(Array.from({ length: 5 }, () => tryLogin(username, 'a parallel guess')));
    expect(await accountOf(id)).toMatchObject({ failures: ATTEMPTS });
    world.clock.advance(1001);
    await tryLogin(username, 'a wrong guess');
    world.clock.advance(1500);
    expect(await tryLogin(username)).toBe(401);
    for (let round = 0; round < 12; round += 1) {
      world.clock.advance(15 * MINUTE);
      await tryLogin(username, 'a wrong guess');
    }
    expect(await accountOf(id)).toMatchObject({ failures: ATTEMPTS + 13 });
    world.clock.advance(14 * MINUTE);
    expect(await tryLogin(username)).toBe(401);
    world.clock.advance(MINUTE);
    expect(await tryLogin(username)).toBe(200);
  });

  test('of two founders one locks like everybody else; the other unlocks', async () => {
    const other = await second();
    for (let guess = 0; guess < ATTEMPTS; guess += 1) await tryLogin(other.username, 'a wrong guess');
    expect(await accountOf(other.id)).toMatchObject({ status: 'LOCKED' });
    const founder = await as(world.founder);
    expect((await founder.api.post(`/accounts/${other.id}/unlock`)).status).toBe(200);
    expect((await founder.api.post(`/accounts/${other.id}/close`)).status).toBe(200);
  });
});

test('ATTACK R6 a session that was open when guesses locked the account stays ended after the unlock', async () => {
  const hospital = await as(world.hospitalA);
  const doctor = await addDoctor(world, hospital, 'Dr. Guessed');
  for (let guess = 0; guess < ATTEMPTS; guess += 1) await tryLogin(doctor.username, 'a wrong guess');
  expect((await hospital.api.post(`/accounts/${doctor.id}/unlock`)).status).toBe(200);
  expect((await refresh(doctor.refreshToken)).status).toBe(401);
  expect(await query('SELECT "id" FROM "session" WHERE "accountId" = ? AND "endedAt" IS NULL', doctor.id)).toEqual([]);
  expect(await tryLogin(doctor.username)).toBe(200);
});

test('SEC-20 ATTACK a refresh token repeated by a thief within the grace time: the victim’s next use ends the family, and the trail says so', async () => {
  const doctor = await addDoctor(world, await as(world.hospitalA), 'Dr. Victim');
  const victim = (await refresh(doctor.refreshToken)).body;
  const thief = await refresh(doctor.refreshToken);
  expect(thief.status).toBe(200);
  expect((await refresh(victim.refreshToken)).status).toBe(401);
  expect((await refresh(thief.body.refreshToken)).status).toBe(401);
  for (const { accessToken } of [victim, thief.body])
    expect((await world.anonymous.withToken(accessToken).get('/auth/me')).status).toBe(401);
  const [session] = await query<{ id: string; endedAt: number }>('SELECT * FROM "session" WHERE "accountId" = ?', doctor.id);
  expect(session?.endedAt).toEqual(expect.any(Number));
  expect((await trailOf(session?.id ?? '', 'refresh'))[0]).toMatchObject({ outcome: 'denied', reason: 'reused' });
});

test('ATTACK a doctor cannot fetch a patient’s one-time code; the hospital can, and the patient sees who did', async () => {
  const [hospital, doctor] = [await as(world.hospitalA), await as(world.doctorA)];
  const profile = { name: 'No Account Yet', birthDate: '1990-01-01', gender: 'female' };
  const { id } = (await doctor.api.post<{ patient: { id: string } }>('/patients', profile)).body.patient;
  expect((await doctor.api.post(`/patients/${id}/account`)).status).toBe(403);
  expect(await accountOf(id)).toBeUndefined();
  const issued = await hospital.api.post<Code>(`/patients/${id}/account`);
  expect(issued.status).toBe(201);
  expect(await trailOf(id, 'account.issue')).toMatchObject([{ patientId: id }]);
  const patient = await activate(world, issued.body, 'patient');
  const log = await patient.api.get<{ items: unknown[] }>('/patients/me/access-log');
  expect(log.body.items).toContainEqual(expect.objectContaining({ action: 'account.issue', role: 'HOSPITAL', outcome: 'ok' }));
  const staff = await addDoctor(world, hospital, 'Dr. No Patient');
  expect(await trailOf(staff.id, 'account.issue')).toMatchObject([{ patientId: null }]);
});

test('SEC-95 an answer that is given again for the same Idempotency-Key is on the trail, also where it holds a one-time code', async () => {
  const [hospital, doctor] = [await as(world.hospitalA), await as(world.doctorA)];
  const patient = await addPatient(world, hospital, 'Asked Twice');
  const acts: readonly [Person, string, unknown][] = [
    [hospital, '/hospitals/me/staff', { name: 'Dr. Again', specialty: 'ENT' }],
    [doctor, `/patients/${patient.id}/questions`, { text: 'Since when?' }],
  ];
  for (const [person, path, body] of acts) {
    const replays = () =>
      query(`SELECT "outcome", "hospitalId" FROM "audit_event" WHERE "action" = 'request.replay' AND "actorId" = ?`, person.id);
    const headers = { 'idempotency-key': newUsername('replayed-key') };
    const first = await person.api.post(path, body, { headers });
    expect([first.status, await replays()]).toEqual([201, []]);
    expect((await person.api.post(path, body, { headers })).text).toBe(first.text);
    expect(await replays()).toEqual([{ outcome: 'ok', hospitalId: hospital.id }]);
  }
});

// Last, for they start applications of their own, and passport has one registry of strategies per process: the newest takes all tokens.
test('ATTACK a flood of registrations meets the low rate limit, at each of the two doors', async () => {
  const app = await startTestApp({ LOGINS_PER_MINUTE: '2' });
  try {
    for (const kind of ['doctor', 'patient']) {
      app.clock.advance(MINUTE - (app.clock.now() % MINUTE));
      const statuses: number[] = [];
      for (let round = 0; round < 3; round += 1) statuses.push((await app.anonymous.post(`/auth/register/${kind}`, {})).status);
      expect([kind, statuses]).toEqual([kind, [400, 400, 429]]);
    }
  } finally {
    await app.close();
  }
});

test('SEC-29 after the cost of hashing was raised, a sign-in hashes anew, once; a wrong password does not', async () => {
  const before = await createWorld();
  const { id, username } = before.doctorA;
  await before.app.close();
  const app = await startTestApp({ ARGON2_MEMORY_KIB: '512' }, before.dir);
  const stored = async () => {
    const [row] = await select<{ password: Buffer }>(app, 'SELECT password FROM account WHERE id = ?', id);
    return new Sealed(row?.password ?? Buffer.alloc(0));
  };
  const enter = async (password: string) => (await app.anonymous.post('/auth/login', { username, password })).status;
  try {
    const hasher = app.app.get(PasswordHasher);
    const old = await stored();
    expect([await enter('not the right one'), (await stored()).equals(old)]).toEqual([401, true]);
    expect(hasher.needsRehash(id, old)).toBe(true);
    expect(await enter(PASSWORD)).toBe(200);
    const fresh = await stored();
    expect(hasher.needsRehash(id, fresh)).toBe(false);
    expect([await enter(PASSWORD), (await stored()).equals(fresh)]).toEqual([200, true]);
  } finally {
    await app.close();
  }
});

// Last, for it has servers of its own, and one process checks tokens for one server only.
test.each(['lock', 'close'] as const)(
  'SEC-35 ATTACK two founders who decide "%s" about each other at once do not leave nobody',
  async (act) => {
    const own = await createWorld(); // with two founders and no more
    const asked = await own.founder.api.post<Code>('/accounts', { role: 'ADMIN', name: 'Second' });
    const other = await activate(own, asked.body, 'founder');
    const decisions = own.app.get(DecisionsService);
    const actorOf = ({ id }: Person): Actor => {
      const now = own.clock.now();
      return { id, role: 'ADMIN', hospitalId: null, sessionId: id, epoch: now, authTime: now, acr: 'pwd', requestId: id };
    };
    const decide = (actor: Person, about: Person) => decisions.decide(actorOf(actor), about.id, act);
    const results = await Promise.allSettled([decide(own.founder, other), decide(other, own.founder)]);
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    // On PostgreSQL the other may have been let in again, and then be told that its account is no more.
    const code = expect.stringMatching(own.foundations.config.postgres ? /^(conflict|unauthenticated)$/ : /^conflict$/);
    expect(results[1 - won]).toMatchObject({ status: 'rejected', reason: { code } });
    const left = await select(own, `SELECT id FROM account WHERE role = 'ADMIN' AND status = 'ACTIVE'`);
    expect(left).toEqual([{ id: [own.founder, other][won]?.id }]);
    await own.close();
  },
);
