import { readFileSync } from 'node:fs';
import { addTotp, askedFor, claimsOf, prove, signedIn, totpAt, type Tokens } from '../support/second-factors';
import { addDoctor, createWorld, login, PASSWORD, type Person, type World } from '../support/world';
import { select } from '../support/raw-database';
import { databaseFiles } from '../support/database-files';

const MINUTE = 60_000;
const STEP = 30_000;

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(async () => {
  await world.expectChainsIntact();
  await world.close();
});

type Json = Record<string, unknown>;
const code = (seed: string, steps = 0) => ({ totp: totpAt(seed, world.clock.now() + steps * STEP) });
const status = async ({ api }: Person) => (await api.get('/auth/me')).status;

/** Everything that was refused for the second factor is the same answer. */
async function expectRefused(mfaToken: string, factor: object): Promise<void> {
  const { status: code, body } = await prove(world, mfaToken, factor);
  expect([code, body]).toMatchObject([401, { code: 'invalid_second_factor' }]);
}

async function trailOf(id: string): Promise<string[]> {
  const rows = await select<{ action: string; outcome: string; kind: string | null; reason: string | null }>(
    world,
    'SELECT * FROM audit_event WHERE actorId = ? ORDER BY id',
    id,
  );
  return rows.map((row) => [row.action, row.outcome, row.kind, row.reason].filter((item) => item !== null).join(' '));
}

describe('SEC-43 a code app', () => {
  let doctor: Person;
  let seed: string;
  let hospital: Person;
  beforeEach(async () => {
    hospital = await login(world, world.hospitalA.id, world.hospitalA.username); // tests move the clock
    doctor = await addDoctor(world, hospital, 'Dr. Two Factors');
    ({ seed } = await addTotp(world, doctor));
  });

  test('is asked for after the right password, and its code gives tokens that say so, also after a refresh', async () => {
    const asked = await askedFor(world, doctor);
    expect(asked).toEqual({ mfaToken: expect.stringMatching(/^mfa_[\w-]{43}$/), expiresIn: 300, factors: ['totp'] });
    const { body } = await prove(world, asked.mfaToken, code(seed));
    expect(claimsOf(body.accessToken)).toMatchObject({ sub: doctor.id, amr: ['pwd', 'otp'], acr: 'mfa' });
    const refreshed = await world.anonymous.post<Tokens>('/auth/refresh', { refreshToken: body.refreshToken });
    expect(claimsOf(refreshed.body.accessToken)).toMatchObject({ amr: ['pwd', 'otp'], acr: 'mfa' });
    const sessions = await signedIn(world, doctor, refreshed.body).api.get<{ amr: string[]; current: boolean }[]>('/auth/sessions');
    expect(sessions.body.find(({ current }) => current)?.amr).toEqual(['pwd', 'otp']);
    expect(await trailOf(doctor.id)).toEqual([
      'account.activate ok',
      'login ok pwd',
      'factor.enrol ok totp',
      'factor.add ok totp',
      'login.password ok',
      'login ok pwd otp',
      'refresh ok',
    ]);
  });

  test('SEC-31 tells nothing before the password is right', async () => {
    const answers = [];
    for (const { username } of [doctor, world.doctorA, { username: 'nobody.here' }]) {
      const { status, body } = await world.anonymous.post<Json>('/auth/login', { username, password: 'wrong wrong wrong' });
      answers.push([status, { ...body, requestId: '' }]);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });

  test('a code works once: not again in its step, nor an earlier one', async () => {
    const first = await askedFor(world, doctor);
    expect((await prove(world, first.mfaToken, code(seed, 1))).status).toBe(200);
    const second = await askedFor(world, doctor);
    for (const steps of [1, 0, -1]) await expectRefused(second.mfaToken, code(seed, steps));
    world.clock.advance(2 * STEP);
    expect((await prove(world, second.mfaToken, code(seed))).status).toBe(200);
  });

  test('ATTACK 20 sign-ins show the same code at once: one succeeds', async () => {
    const pending = await Promise.all(Array.from({ length: 20 }, () => askedFor(world, doctor)));
    const same = code(seed);
    const answers = await Promise.all(pending.map(({ mfaToken }) => prove(world, mfaToken, same)));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 401)).toHaveLength(19);
  });

  test('ATTACK the same MFA token 20 times at once with codes of different steps: one session', async () => {
    const { mfaToken } = await askedFor(world, doctor);
    const answers = await Promise.all(Array.from({ length: 20 }, (_item, index) => prove(world, mfaToken, code(seed, index % 2))));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
  });

  test('ATTACK five wrong codes end the sign-in, and ten lock the account, whatever the password', async () => {
    const first = await askedFor(world, doctor);
    for (let tries = 0; tries < 5; tries += 1) await expectRefused(first.mfaToken, { totp: '000000' });
    await expectRefused(first.mfaToken, code(seed)); // dead, with the right code too
    world.clock.advance(4_000); // who guesses has to wait
    const second = await askedFor(world, doctor); // the right password does not clear the count
    for (let tries = 0; tries < 5; tries += 1) await expectRefused(second.mfaToken, { totp: '000000' });
    expect(await status(doctor)).toBe(401);
    const locked = await world.anonymous.post('/auth/login', { username: doctor.username, password: PASSWORD });
    expect([locked.status, locked.body['code']]).toEqual([401, 'invalid_credentials']);
    expect(await trailOf(doctor.id)).toContain('login denied wrong_second_factor');
  });

  test('SEC-3 an MFA token works once, for five minutes, here and nowhere else, and no other token works here', async () => {
    const { mfaToken } = await askedFor(world, doctor);
    expect((await world.anonymous.withToken(mfaToken).get('/auth/me')).status).toBe(401);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: mfaToken })).status).toBe(400);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: mfaToken.replace('mfa_', 'rt_') })).status).toBe(401);
    expect((await world.anonymous.post('/auth/activate', { code: mfaToken, username: 'mfa.as.code', password: PASSWORD })).status).toBe(
      401,
    );
    for (const other of [doctor.api.token ?? '', doctor.refreshToken])
      expect((await world.anonymous.post('/auth/login/second-factor', { mfaToken: other, ...code(seed) })).status).toBe(400);
    await expectRefused(doctor.refreshToken.replace('rt_', 'mfa_'), code(seed));
    expect((await prove(world, mfaToken, {})).status).toBe(400);
    expect((await prove(world, mfaToken, { ...code(seed), recoveryCode: 'A'.repeat(26) })).status).toBe(400);
    expect((await prove(world, mfaToken, code(seed))).status).toBe(200);
    await expectRefused(mfaToken, code(seed, 1));
    const late = await askedFor(world, doctor);
    world.clock.advance(5 * MINUTE);
    await expectRefused(late.mfaToken, code(seed));
  });

  test('a sign-in that waits ends with the password, a lock or a new code that came meanwhile', async () => {
    const inside = signedIn(world, doctor, (await prove(world, (await askedFor(world, doctor)).mfaToken, code(seed))).body);
    const waiting = await askedFor(world, doctor);
    await inside.api.post('/auth/password', { currentPassword: PASSWORD, newPassword: 'seven quiet lamps in snow' });
    await expectRefused(waiting.mfaToken, code(seed, 1));
    await inside.api.post('/auth/password', { currentPassword: 'seven quiet lamps in snow', newPassword: PASSWORD });
    for (const act of ['lock', 'unlock']) {
      const next = await askedFor(world, doctor);
      expect((await hospital.api.post(`/accounts/${doctor.id}/${act}`)).status).toBe(200);
      if (act === 'lock') await expectRefused(next.mfaToken, code(seed, 1));
    }
  });

  test('the seed is sealed, and shown once', async () => {
    for (const file of databaseFiles(world)) {
      const content = readFileSync(file);
      expect(content.includes(seed)).toBe(false);
      expect(content.includes(Buffer.from(seed).toString('base64'))).toBe(false);
    }
    expect(JSON.stringify((await doctor.api.get('/auth/factors')).body)).not.toContain(seed);
  });

  test('a second code app is refused until the first is removed; the removal ends other sessions', async () => {
    expect((await doctor.api.post('/auth/factors/totp')).status).toBe(409);
    const inside = signedIn(world, doctor, (await prove(world, (await askedFor(world, doctor)).mfaToken, code(seed))).body);
    const { body } = await inside.api.get<{ factors: { id: string; kind: string }[]; recoveryCodes: number; required: boolean }>(
      '/auth/factors',
    );
    expect(body).toMatchObject({ required: false, recoveryCodes: 0, factors: [{ kind: 'totp', lastUsedAt: expect.any(String) }] });
    const [factor] = body.factors;
    expect((await hospital.api.delete(`/auth/factors/${factor?.id}`)).status).toBe(404);
    expect((await inside.api.delete(`/auth/factors/${factor?.id}`)).status).toBe(204);
    expect([await status(doctor), await status(inside)]).toEqual([401, 200]);
    expect((await login(world, doctor.id, doctor.username)).id).toBe(doctor.id); // the password is enough again
  });

  test('what was not confirmed in five minutes does not count, nor does a wrong code confirm it', async () => {
    const other = await addDoctor(world, hospital, 'Dr. Slow');
    const { body } = await other.api.post<{ secret: string; uri: string }>('/auth/factors/totp');
    expect(new URL(body.uri).searchParams.get('secret')).toBe(body.secret);
    const confirm = (totp: string) => other.api.post('/auth/factors/totp/confirmation', { code: totp });
    expect((await confirm(totpAt(body.secret, world.clock.now() + 10 * STEP))).status).toBe(401);
    expect((await login(world, other.id, other.username)).id).toBe(other.id);
    world.clock.advance(5 * MINUTE + 1000);
    expect((await confirm(totpAt(body.secret, world.clock.now()))).status).toBe(404);
  });

  test('a lost app: a new one-time code takes the factors away, and the trail says so', async () => {
    const issued = await hospital.api.post<{ code: string }>(`/accounts/${doctor.id}/code`);
    await world.anonymous.post('/auth/activate', { code: issued.body.code, username: doctor.username, password: PASSWORD });
    expect((await login(world, doctor.id, doctor.username)).id).toBe(doctor.id);
    expect((await trailOf(world.hospitalA.id)).slice(-2)).toEqual(['factor.remove ok DOCTOR', 'account.issue ok DOCTOR']);
  });

  describe('recovery codes', () => {
    const codesOf = async ({ api }: Person) => (await api.post<{ codes: string[] }>('/auth/factors/recovery-codes')).body.codes;

    test('ten, of 130 bits, each works once; new ones void them; none stands in the database', async () => {
      const old = await codesOf(doctor);
      const codes = await codesOf(doctor);
      expect(new Set([...old, ...codes]).size).toBe(20);
      for (const item of codes) expect(item.replaceAll('-', '')).toMatch(/^[A-Z2-9]{26}$/);
      const { factors } = await askedFor(world, doctor);
      expect(factors).toEqual(['recovery', 'totp']);
      const [first = '', second = ''] = codes;
      const used = await prove(world, (await askedFor(world, doctor)).mfaToken, { recoveryCode: first.toLowerCase().replaceAll('-', ' ') });
      expect(claimsOf(used.body.accessToken)).toMatchObject({ amr: ['pwd', 'otp'], acr: 'mfa' });
      const { mfaToken } = await askedFor(world, doctor);
      await expectRefused(mfaToken, { recoveryCode: first });
      await expectRefused(mfaToken, { recoveryCode: old[0] });
      expect((await prove(world, mfaToken, { recoveryCode: second })).status).toBe(200);
      const left = await doctor.api.get<{ recoveryCodes: number }>('/auth/factors');
      expect(left.body.recoveryCodes).toBe(8);
      for (const file of databaseFiles(world).map((path) => readFileSync(path)))
        for (const item of codes) for (const form of [item, item.replaceAll('-', '')]) expect(file.includes(form)).toBe(false);
    });

    test('ATTACK one code in 20 sign-ins at once opens one session; a code of somebody else opens none', async () => {
      const [mine = ''] = await codesOf(doctor);
      const other = await addDoctor(world, hospital, 'Dr. Other');
      await addTotp(world, other);
      await expectRefused((await askedFor(world, other)).mfaToken, { recoveryCode: mine });
      const pending = await Promise.all(Array.from({ length: 20 }, () => askedFor(world, doctor)));
      const answers = await Promise.all(pending.map(({ mfaToken }) => prove(world, mfaToken, { recoveryCode: mine })));
      expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    });

    test('need a second factor beside them', async () => {
      const other = await addDoctor(world, hospital, 'Dr. One Factor');
      expect((await other.api.post('/auth/factors/recovery-codes')).status).toBe(409);
    });
  });
});
