import { RevocationsService } from '../../src/auth/revocations.service';
import type { Answer } from '../support/api-client';
import { statementsOf } from '../support/statements';
import { probeAll } from '../support/routes';
import { again } from '../support/second-factors';
import {
  activate,
  addDoctor,
  addPatient,
  createWorld,
  draftDiagnosis,
  login,
  newUsername,
  PASSWORD,
  type Person,
  type World,
} from '../support/world';

interface Tokens {
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
  tokenType: string;
}
interface Code {
  accountId: string;
  code: string;
  expiresAt: string;
}
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const ATTEMPTS = 4;

let world: World;
beforeAll(async () => {
  world = await createWorld({ LOGIN_MAX_ATTEMPTS: String(ATTEMPTS) });
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

/** Signs in again: tests of this file move the clock, and tokens expire with it. */
const as = (person: Person) => again(world, person);
const tryLogin = (username: string, password = PASSWORD) => world.anonymous.post<Tokens>('/auth/login', { username, password });
const refresh = (refreshToken: string) => world.anonymous.post<Tokens & { code: string }>('/auth/refresh', { refreshToken });
const statusWith = async (token: string) => (await world.anonymous.withToken(token).get('/auth/me')).status;

async function register(kind: 'doctor' | 'patient', hospitalId: string, more: Record<string, unknown> = {}): Promise<string> {
  const username = newUsername(kind);
  const own = kind === 'doctor' ? { specialty: 'Surgery', licence: 'TR-7' } : { birthDate: '1990-01-01', gender: 'male' };
  const answer = await world.anonymous.post(`/auth/register/${kind}`, {
    name: 'Nil Aydın',
    hospitalId,
    username,
    password: PASSWORD,
    ...own,
    ...more,
  });
  expect([answer.status, answer.body]).toEqual([202, { status: 'PENDING' }]);
  return username;
}

/** The newest account that waits at this hospital. */
async function pending(hospital: Person): Promise<{ id: string; name: string; role: string }> {
  const queue = await hospital.api.get<{ items: { id: string; name: string; role: string; status: string }[] }>(
    '/accounts?status=PENDING&limit=100',
  );
  expect(queue.body.items.every((item) => item.status === 'PENDING')).toBe(true);
  const last = queue.body.items.at(-1);
  if (!last) throw new Error('nobody waits');
  return last;
}

describe('R1 R2 registration and approval', () => {
  test('R1 a doctor registers with the own professional data, which the hospital finds', async () => {
    const hospital = await as(world.hospitalA);
    await register('doctor', hospital.id, { name: 'Dr. Ünal Şen', specialty: 'Nöroloji', phone: '+90 412 222' });
    const waiting = await pending(hospital);
    expect(waiting).toMatchObject({ name: 'Dr. Ünal Şen', role: 'DOCTOR' });
    const staff = await hospital.api.get<{ items: { id: string }[] }>('/hospitals/me/staff?limit=100');
    expect(staff.body.items.find((item) => item.id === waiting.id)).toMatchObject({
      name: 'Dr. Ünal Şen',
      specialty: 'Nöroloji',
      licence: 'TR-7',
      phone: '+90 412 222',
      status: 'PENDING',
      startedAt: null,
    });
  });

  test('R1 a patient registers, and after the approval the hospital has the data', async () => {
    const hospital = await as(world.hospitalA);
    await register('patient', hospital.id, { name: '李 Xiǎoyǔ', nationalId: '20000000046', address: 'Gazi Cad. 1' });
    const { id } = await pending(hospital);
    expect((await hospital.api.get(`/patients/${id}`)).status).toBe(404);
    expect((await hospital.api.post(`/accounts/${id}/approve`)).status).toBe(200);
    expect((await hospital.api.get(`/patients/${id}`)).body).toMatchObject({
      name: '李 Xiǎoyǔ',
      nationalId: '20000000046',
      address: 'Gazi Cad. 1',
    });
  });

  test('R1 a taken user name gives the same answer and makes nothing; a hospital that is none and a weak password are refused', async () => {
    const hospital = await as(world.hospitalA);
    const body = {
      name: 'Thief',
      hospitalId: hospital.id,
      username: world.doctorA.username,
      password: 'another sentence of mine',
      specialty: 'X',
    };
    const before = (await hospital.api.get<{ items: unknown[] }>('/accounts?limit=100')).body.items.length;
    const taken = await world.anonymous.post('/auth/register/doctor', body);
    expect([taken.status, taken.body]).toEqual([202, { status: 'PENDING' }]);
    const other = { ...body, username: newUsername('x') };
    expect((await world.anonymous.post('/auth/register/doctor', { ...other, hospitalId: world.doctorA.id })).body).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'hospitalId' }],
    });
    const weak = await world.anonymous.post('/auth/register/doctor', { ...other, password: 'short' });
    expect([weak.status, weak.body['code']]).toEqual([422, 'password_unacceptable']);
    expect((await hospital.api.get<{ items: unknown[] }>('/accounts?limit=100')).body.items).toHaveLength(before);
    expect((await tryLogin(world.doctorA.username)).status).toBe(200);
  });

  test.each(['hospital', 'founder'] as const)('R2 the %s approves; before that no login, after it one', async (who) => {
    const decider = await as(who === 'hospital' ? world.hospitalA : world.founder);
    for (const kind of ['doctor', 'patient'] as const) {
      const username = await register(kind, world.hospitalA.id);
      const { id } = await pending(decider);
      expect((await tryLogin(username)).status).toBe(401);
      const approved = await decider.api.post(`/accounts/${id}/approve`);
      expect([approved.status, approved.body['status']]).toEqual([200, 'ACTIVE']);
      const person = await login(world, id, username);
      expect((await person.api.get('/auth/me')).body).toMatchObject({ id, hospitalId: world.hospitalA.id, status: 'ACTIVE' });
      expect((await decider.api.post(`/accounts/${id}/approve`)).status).toBe(409);
    }
  });

  test('R2 the hospital and the founder reject, and a rejected registration never signs in', async () => {
    for (const decider of [await as(world.hospitalA), await as(world.founder)]) {
      const username = await register('doctor', world.hospitalA.id);
      const { id } = await pending(decider);
      expect((await decider.api.post(`/accounts/${id}/reject`)).body['status']).toBe('REJECTED');
      expect((await tryLogin(username)).status).toBe(401);
      expect((await decider.api.post(`/accounts/${id}/approve`)).status).toBe(409);
      expect((await decider.api.post(`/accounts/${id}/unlock`)).status).toBe(409);
    }
  });

  test('R2 nobody else decides, and no doctor opens the chart of a patient who waits', async () => {
    const username = await register('patient', world.hospitalA.id);
    const hospital = await as(world.hospitalA);
    const { id } = await pending(hospital);
    const doctor = await as(world.doctorA);
    expect((await doctor.api.post(`/patients/${id}/diagnoses`, { code: 'X', display: 'X' })).status).toBe(404);
    expect((await doctor.api.get<{ items: { id: string }[] }>('/patients?limit=100')).body.items.map((item) => item.id)).not.toContain(id);
    for (const act of ['approve', 'reject', 'close']) {
      expect((await (await as(world.hospitalB)).api.post(`/accounts/${id}/${act}`)).status).toBe(404);
      for (const person of [doctor, await as(world.patientA), await as(world.auditor)])
        expect((await person.api.post(`/accounts/${id}/${act}`)).status).toBe(403);
      expect((await world.anonymous.post(`/accounts/${id}/${act}`)).status).toBe(401);
    }
    expect((await tryLogin(username)).status).toBe(401);
    expect(await pending(hospital)).toMatchObject({ id });
  });
});

describe('R3 one-time codes', () => {
  async function issued(kind: 'doctor' | 'patient' | 'hospital' | 'auditor'): Promise<Code> {
    const founder = await as(world.founder);
    const hospital = await as(world.hospitalA);
    if (kind === 'auditor') return (await founder.api.post<Code>('/accounts', { role: 'AUDITOR', name: 'Audit' })).body;
    const asked = {
      doctor: () => hospital.api.post<{ activation: Code }>('/hospitals/me/staff', { name: 'Dr. New', specialty: 'ENT' }),
      patient: () =>
        hospital.api.post<{ activation: Code }>('/patients', { name: 'P', birthDate: '2000-01-01', gender: 'other', issueAccount: true }),
      hospital: () => founder.api.post<{ activation: Code }>('/hospitals', { name: 'Third', city: 'Van', country: 'TR' }),
    };
    return (await asked[kind]()).body.activation;
  }
  const use = (code: string, username = newUsername('holder')) =>
    world.anonymous.post('/auth/activate', { code, username, password: PASSWORD });

  test.each(['doctor', 'patient', 'hospital', 'auditor'] as const)(
    'R3 an account is issued for a %s with a code that works once',
    async (kind) => {
      const { accountId, code } = await issued(kind);
      const username = newUsername(kind);
      expect((await tryLogin(username)).status).toBe(401);
      expect((await use(code, username)).body).toMatchObject({ id: accountId, role: kind.toUpperCase(), status: 'ACTIVE' });
      const person = await login(world, accountId, username);
      expect((await person.api.get('/auth/me')).body['role']).toBe(kind.toUpperCase());
      expect((await use(code)).status).toBe(401);
      expect((await tryLogin(username)).status).toBe(200);
    },
  );

  test('R3 a wrong code opens nothing; a taken user name leaves the code usable', async () => {
    const { code } = await issued('doctor');
    const wrong = `${code[0] === 'A' ? 'B' : 'A'}${code.slice(1)}`;
    expect((await use(wrong)).body).toMatchObject({ status: 401, code: 'invalid_code' });
    expect((await use(code, world.doctorA.username)).status).toBe(409);
    expect((await use(code)).status).toBe(200);
  });

  test('R3 a code expires', async () => {
    const { code, expiresAt } = await issued('patient');
    expect(Date.parse(expiresAt) - world.clock.now()).toBeLessThanOrEqual(7 * DAY);
    world.clock.advance(7 * DAY + MINUTE);
    expect((await use(code)).body).toMatchObject({ status: 401, code: 'invalid_code' });
  });

  test('R3 a new code replaces a lost password or code, ends what was open, and comes from the own hospital only', async () => {
    const first = await issued('doctor');
    expect((await (await as(world.hospitalB)).api.post(`/accounts/${first.accountId}/code`)).status).toBe(404);
    const second = await (await as(world.hospitalA)).api.post<Code>(`/accounts/${first.accountId}/code`);
    expect(second.status).toBe(201);
    expect((await use(first.code)).status).toBe(401);
    const holder = await activate(world, second.body, 'doctor');
    const third = await (await as(world.hospitalA)).api.post<Code>(`/accounts/${holder.id}/code`);
    expect((await holder.api.get('/auth/me')).status).toBe(401);
    expect((await refresh(holder.refreshToken)).status).toBe(401);
    expect((await tryLogin(holder.username)).status).toBe(401);
    expect((await use(third.body.code, newUsername('again'))).status).toBe(200);
  });
});

test('R4 user name and password give a JWT that says nothing personal', async () => {
  const answer = await tryLogin(world.doctorA.username.toUpperCase());
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ tokenType: 'Bearer', expiresIn: 600 });
  const [header, claims] = answer.body.accessToken
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>);
  expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
  expect(
    Object.keys(claims ?? {})
      .sort()
      .join(' '),
  ).toBe('acr amr aud auth_time client_id ep exp iat iss jti role sid sub ten');
  expect(claims).toMatchObject({ sub: world.doctorA.id, role: 'DOCTOR', ten: world.hospitalA.id });
  expect(JSON.stringify(claims)).not.toContain(world.doctorA.username);
});

test('R4 unknown, wrong, pending, rejected, locked and closed get one and the same 401', async () => {
  const hospital = await as(world.hospitalA);
  const waiting = await register('doctor', hospital.id);
  const rejected = await register('doctor', hospital.id);
  await hospital.api.post(`/accounts/${(await pending(hospital)).id}/reject`);
  const [locked, closed] = [await addDoctor(world, hospital, 'L'), await addDoctor(world, hospital, 'C')];
  expect((await hospital.api.post(`/accounts/${locked.id}/lock`)).status).toBe(200);
  expect((await hospital.api.post(`/accounts/${closed.id}/close`)).status).toBe(200);
  const answers: Answer<unknown>[] = [await tryLogin('nobody.at.all'), await tryLogin(world.doctorA.username, 'a wrong sentence')];
  for (const username of [waiting, rejected, locked.username, closed.username]) answers.push(await tryLogin(username));
  await as(world.doctorA); // clears the wrong attempt
  const seen = answers.map(({ status, headers, body }) => {
    const { requestId, ...rest } = body as Record<string, unknown>;
    expect(requestId).toBe(headers.get('x-request-id'));
    const names = [...headers.keys()].sort();
    return { status, rest, names, type: headers.get('content-type'), length: headers.get('content-length') };
  });
  for (const item of seen) expect(item).toEqual(seen[0]);
  expect(seen[0]).toMatchObject({ status: 401, rest: { code: 'invalid_credentials' } });
});

describe('R5 refresh', () => {
  test('R5 an expired access token is refused and renewed', async () => {
    const doctor = await as(world.doctorA);
    world.clock.advance(10 * MINUTE - 2000);
    expect((await doctor.api.get('/auth/me')).status).toBe(200);
    world.clock.advance(4000);
    const refused = await doctor.api.get('/auth/me');
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const renewed = await refresh(doctor.refreshToken);
    expect(renewed.status).toBe(200);
    expect(renewed.body.refreshToken).not.toBe(doctor.refreshToken);
    expect(await statusWith(renewed.body.accessToken)).toBe(200);
  });

  test('R5 SEC-19 an old refresh token presented after the grace time ends its whole family, access tokens too, and no other', async () => {
    const [doctor, elsewhere] = [await as(world.doctorA), await as(world.doctorA)];
    const next = (await refresh(doctor.refreshToken)).body;
    const last = (await refresh(next.refreshToken)).body;
    world.clock.advance(11_000);
    expect(await statusWith(last.accessToken)).toBe(200);
    const reused = await refresh(doctor.refreshToken);
    expect([reused.status, reused.body.code]).toEqual([401, 'invalid_refresh_token']);
    expect((await refresh(last.refreshToken)).status).toBe(401);
    for (const token of [next.accessToken, last.accessToken]) expect(await statusWith(token)).toBe(401);
    expect((await doctor.api.get('/auth/me')).status).toBe(401);
    expect((await elsewhere.api.get('/auth/me')).status).toBe(200);
    expect((await refresh(elsewhere.refreshToken)).status).toBe(200);
  });

  test('R5 SEC-20 a lost answer may be asked for again within ten seconds: each voids the one before, whose use ends the family', async () => {
    const doctor = await as(world.doctorA);
    await refresh(doctor.refreshToken);
    world.clock.advance(5000);
    const repeated = await refresh(doctor.refreshToken);
    expect(repeated.status).toBe(200);
    expect(await statusWith(repeated.body.accessToken)).toBe(200);
    const third = await refresh(doctor.refreshToken);
    expect(third.status).toBe(200);
    expect((await refresh(repeated.body.refreshToken)).status).toBe(401);
    expect(await statusWith(third.body.accessToken)).toBe(401);
    expect((await refresh(third.body.refreshToken)).status).toBe(401);
  });

  test('R5 within the grace time a token whose successor was used is a theft', async () => {
    const doctor = await as(world.doctorA);
    const next = (await refresh(doctor.refreshToken)).body;
    const last = (await refresh(next.refreshToken)).body;
    expect((await refresh(doctor.refreshToken)).status).toBe(401);
    expect(await statusWith(last.accessToken)).toBe(401);
  });

  test('R5 SEC-21 a session ends when it idles for half an hour, and after twelve hours in any case', async () => {
    const idle = await as(world.doctorA);
    world.clock.advance(30 * MINUTE + 1000);
    expect((await refresh(idle.refreshToken)).status).toBe(401);
    let { refreshToken } = await as(world.doctorA);
    const since = world.clock.now();
    for (let round = 0; round < 24; round += 1) {
      world.clock.advance(29 * MINUTE);
      const answer = await refresh(refreshToken);
      expect(answer.status).toBe(200);
      ({ refreshToken } = answer.body);
    }
    expect(world.clock.now() - since).toBeLessThan(12 * 60 * MINUTE);
    world.clock.advance(12 * 60 * MINUTE - (world.clock.now() - since) + 1000);
    expect((await refresh(refreshToken)).status).toBe(401);
  });

  test('R5 SEC-22 logout ends access and refresh token at once; a changed password ends the other sessions', async () => {
    const hospital = await as(world.hospitalA);
    const doctor = await addDoctor(world, hospital, 'Dr. Out');
    const other = await as(doctor);
    expect((await doctor.api.post('/auth/logout')).status).toBe(204);
    expect((await doctor.api.get('/auth/me')).status).toBe(401);
    expect((await refresh(doctor.refreshToken)).status).toBe(401);
    const third = await as(doctor);
    const changed = { currentPassword: PASSWORD, newPassword: 'seven quiet lamps in snow' };
    expect((await third.api.post('/auth/password', { ...changed, currentPassword: 'not the right one' })).status).toBe(401);
    expect((await third.api.post('/auth/password', changed)).status).toBe(204);
    expect((await other.api.get('/auth/me')).status).toBe(401);
    expect((await third.api.get('/auth/me')).status).toBe(200);
    expect((await tryLogin(doctor.username)).status).toBe(401);
    expect((await tryLogin(doctor.username, changed.newPassword)).status).toBe(200);
  });
});

describe('R6 lockout', () => {
  async function lockedDoctor(): Promise<Person> {
    const doctor = await addDoctor(world, await as(world.hospitalA), 'Dr. Locked');
    for (let guess = 1; guess <= ATTEMPTS; guess += 1) {
      expect((await doctor.api.get('/auth/me')).body['status']).toBe('ACTIVE');
      expect((await tryLogin(doctor.username, `wrong guess number ${guess}`)).status).toBe(401);
    }
    return doctor;
  }

  test(`R6 ${ATTEMPTS} wrong passwords lock the account and end its tokens; one less does not, and a success counts from anew`, async () => {
    const doctor = await lockedDoctor();
    expect((await tryLogin(doctor.username)).status).toBe(401);
    expect((await doctor.api.get('/auth/me')).status).toBe(401);
    expect((await refresh(doctor.refreshToken)).status).toBe(401);
    const careful = await addDoctor(world, await as(world.hospitalA), 'Dr. Careful');
    for (let round = 0; round < 3; round += 1) {
      for (let guess = 1; guess < ATTEMPTS; guess += 1) await tryLogin(careful.username, 'wrong guess again');
      expect((await tryLogin(careful.username)).status).toBe(200);
    }
  });

  test('R6 guesses sent at the same time count each', async () => {
    const doctor = await addDoctor(world, await as(world.hospitalA), 'Dr. Parallel');
    await Promise.all(Array.from({ length: ATTEMPTS }, () => tryLogin(doctor.username, 'a parallel wrong guess')));
    expect((await tryLogin(doctor.username)).status).toBe(401);
    const locked = await (await as(world.hospitalA)).api.get<{ items: { id: string }[] }>('/accounts?status=LOCKED&limit=100');
    expect(locked.body.items.map((item) => item.id)).toContain(doctor.id);
  });

  test('R6 the own hospital and the founder unlock; nobody else does', async () => {
    for (const unlocker of [await as(world.hospitalA), await as(world.founder)]) {
      const doctor = await lockedDoctor();
      expect((await (await as(world.hospitalB)).api.post(`/accounts/${doctor.id}/unlock`)).status).toBe(404);
      for (const person of [world.doctorA, world.colleagueA, world.patientA, world.auditor])
        expect((await (await as(person)).api.post(`/accounts/${doctor.id}/unlock`)).status).toBe(403);
      expect((await tryLogin(doctor.username)).status).toBe(401);
      expect((await unlocker.api.post(`/accounts/${doctor.id}/unlock`)).body['status']).toBe('ACTIVE');
      expect((await tryLogin(doctor.username)).status).toBe(200);
      expect((await unlocker.api.post(`/accounts/${doctor.id}/unlock`)).status).toBe(409);
    }
  });

  test('R6 a hospital’s own login is unlocked by the founder only', async () => {
    for (let guess = 0; guess < ATTEMPTS; guess += 1) await tryLogin(world.hospitalB.username, 'a wrong guess');
    expect((await tryLogin(world.hospitalB.username)).status).toBe(401);
    expect((await (await as(world.hospitalA)).api.post(`/accounts/${world.hospitalB.id}/unlock`)).status).toBe(404);
    expect((await (await as(world.founder)).api.post(`/accounts/${world.hospitalB.id}/unlock`)).status).toBe(200);
    expect((await tryLogin(world.hospitalB.username)).status).toBe(200);
  });
});

test('R7 authentication asks the database nothing, with a fresh token and with a known one', async () => {
  const [patient, hospital] = [await as(world.patientA), await as(world.hospitalA)];
  const revocations = world.app.get(RevocationsService);
  revocations.onApplicationShutdown(); // its poll is no part of a request
  try {
    const watched = await statementsOf(async () => {
      for (let round = 0; round < 5; round += 1) {
        // Known, of the right role, and refused by what comes after the guards.
        expect((await patient.api.get('/patients/me/access-log?limit=0')).status).toBe(400);
        expect((await world.anonymous.withToken(`${hospital.refreshToken}`).get('/auth/me')).status).toBe(401);
        expect((await world.anonymous.get('//.well-known/jwks.json')).status).toBe(200);
      }
    });
    expect(watched).toEqual([]);
    const served = await statementsOf(async () => {
      expect((await hospital.api.get(`/hospitals/${world.hospitalA.id}`)).status).toBe(200);
    });
    // The watch sees statements: the one of this very answer, and not one beside it.
    expect(served).toEqual([expect.stringMatching(/^SELECT .* FROM "hospital"/)]);
    const refused = await statementsOf(async () => {
      expect((await patient.api.get('/doctors/me/worklist')).status).toBe(403);
    });
    // Whose role it is not is known without a question; the refusal is on the trail.
    expect(
      refused.filter((sql) => !/^(BEGIN|START|SELECT pg_advisory_xact_lock|SET TRANSACTION|COMMIT|SAVEPOINT|RELEASE)/.test(sql)),
    ).toEqual([expect.stringMatching(/^INSERT INTO "audit_event"/)]);
  } finally {
    await revocations.onApplicationBootstrap();
  }
});

describe('R8 roles', () => {
  test('R8 each role has its acts and no others', async () => {
    const { founder, hospitalA, doctorA, patientA, auditor } = world;
    const record = await draftDiagnosis(await as(doctorA), patientA.id);
    const table: [string, string, unknown, string][] = [
      ['POST', '/hospitals', { name: 'N', city: 'C', country: 'TR' }, 'ADMIN'],
      ['POST', '/accounts', { role: 'AUDITOR', name: 'A' }, 'ADMIN'],
      ['GET', '/accounts', undefined, 'ADMIN HOSPITAL'],
      ['GET', '/hospitals/me/staff', undefined, 'HOSPITAL'],
      ['GET', '/hospitals/me/entries', undefined, 'HOSPITAL'],
      ['GET', '/patients', undefined, 'ADMIN HOSPITAL DOCTOR'],
      ['GET', `/patients/${patientA.id}/records`, undefined, 'HOSPITAL DOCTOR PATIENT'],
      ['GET', `/records/${record}`, undefined, 'HOSPITAL DOCTOR'],
      ['POST', `/patients/${patientA.id}/diagnoses`, { code: 'I10', display: 'Hypertension' }, 'DOCTOR'],
      ['POST', `/patients/${patientA.id}/questions`, { text: 'How are you?' }, 'DOCTOR'],
      ['GET', '/doctors/me/worklist', undefined, 'DOCTOR'],
      ['GET', '/patients/me/consent', undefined, 'PATIENT'],
      ['GET', '/patients/me/access-log', undefined, 'PATIENT'],
      ['GET', '/audit/events', undefined, 'ADMIN HOSPITAL AUDITOR'],
      ['GET', '/activity?date=2026-01-01', undefined, 'ADMIN HOSPITAL AUDITOR'],
      ['GET', '/ledger/keys', undefined, 'ADMIN HOSPITAL AUDITOR'],
      ['GET', '/auth/me', undefined, 'ADMIN HOSPITAL DOCTOR PATIENT AUDITOR'],
    ];
    const people = { ADMIN: founder, HOSPITAL: hospitalA, DOCTOR: doctorA, PATIENT: patientA, AUDITOR: auditor };
    for (const [role, person] of Object.entries(people)) {
      const { api } = await as(person);
      for (const [method, path, body, roles] of table) {
        const { status } = await api.send(method, path, body);
        const allowed = status === 200 || status === 201;
        expect([role, method, path, allowed]).toEqual([role, method, path, roles.split(' ').includes(role)]);
      }
    }
  });

  test('R8 the auditor reads metadata and proofs, and neither a chart nor a name', async () => {
    const auditor = await as(world.auditor);
    const statuses = await probeAll(auditor.api, { id: world.patientA.id });
    const open = [...statuses].filter(([, status]) => status !== 403).map(([route]) => route);
    expect(open.sort()).toEqual(
      [
        'GET /activity',
        'GET /audit/events',
        'GET /audit/events/{id}/proof',
        'GET /erasures/{id}/certificate',
        'GET /hospitals/{id}',
        'GET /ledger/keys',
        'GET /ledger/patients/{id}/chain',
        'GET /ledger/patients/{id}/export',
        'GET /ledger/status',
        'GET /patients/{id}/erasures',
        'POST /ledger/patients/{id}/verify',
      ].sort(),
    );
    const events = await auditor.api.get<{ items: unknown[] }>('/audit/events?limit=100');
    expect(events.body.items.length).toBeGreaterThan(20);
    for (const word of ['Ayşe', 'Ada', world.doctorA.username, 'Type 2', 'first note']) expect(events.text).not.toContain(word);
  });

  test('R8 a second founder is issued by the first, and set-up cannot be used again', async () => {
    const issued = await (await as(world.founder)).api.post<Code>('/accounts', { role: 'ADMIN', name: 'Deputy' });
    const deputy = await activate(world, issued.body, 'deputy');
    expect((await deputy.api.post('/accounts', { role: 'AUDITOR', name: 'B' })).status).toBe(201);
    const again = await world.anonymous.post('/setup', {
      code: world.setupCode,
      name: 'F',
      username: newUsername('f'),
      password: PASSWORD,
    });
    expect([again.status, again.body['code']]).toEqual([409, 'setup_done']);
    expect((await deputy.api.post(`/accounts/${deputy.id}/lock`)).status).toBe(403);
    const patient = await addPatient(world, await as(world.hospitalB), 'Only B');
    expect((await (await as(world.doctorA)).api.get(`/patients/${patient.id}`)).status).toBe(404);
  });
});
