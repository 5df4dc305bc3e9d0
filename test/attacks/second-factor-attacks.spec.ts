import { FactorsService } from '../../src/auth/factors.service';
import type { Actor } from '../../src/common/actor';
import { addTotp, askedFor, claimsOf, prove, totpAt } from '../support/second-factors';
import { addDoctor, createWorld, login, PASSWORD, type Person, type World } from '../support/world';

const ATTEMPTS = 5;
let world: World;
beforeAll(async () => {
  world = await createWorld({ LOGIN_MAX_ATTEMPTS: String(ATTEMPTS), SECOND_FACTOR_ROLES: 'AUDITOR' });
});
afterAll(() => world.close());

const doctor = (name: string) => addDoctor(world, world.hospitalA, name);
const enter = ({ username }: Person, password: string, deviceToken: string) =>
  world.anonymous.post<{ mfaToken: string }>('/auth/login', { username, password }, { headers: { 'x-device-token': deviceToken } });

/** Signs in with the code of now. */
async function withCode(person: Person & { seed: string }): Promise<{ accessToken: string; refreshToken: string }> {
  const { mfaToken } = await askedFor(world, person);
  const answer = await prove(world, mfaToken, { totp: totpAt(person.seed, world.clock.now()) });
  return answer.body;
}

test('ATTACK SEC-35 strangers guess, and who is attacked changes the password: the own device still gets in', async () => {
  const victim = await doctor('Dr. Attacked');
  for (let round = 0; round < ATTEMPTS; round += 1) await enter(victim, `wrong guess ${round}`, '');
  const signedIn = await login(world, victim.id, victim.username).catch(() => null);
  expect(signedIn).toBeNull();
  const known = await enter(victim, PASSWORD, victim.deviceToken);
  const { accessToken } = known.body as unknown as { accessToken: string };
  const next = 'seven quiet lamps in snow';
  const headers = { 'x-device-token': victim.deviceToken };
  const changed = await world.anonymous
    .withToken(accessToken)
    .post('/auth/password', { currentPassword: PASSWORD, newPassword: next }, { headers });
  expect([known.status, changed.status]).toEqual([200, 204]);
  expect((await enter(victim, next, victim.deviceToken)).status).toBe(200);
});

test('ATTACK SEC-14 a request of a session that ended while it waited changes no second factor', async () => {
  const holder = await addTotp(world, await doctor('Dr. Holder'));
  world.clock.advance(31_000);
  const thief = await withCode(holder);
  const { sid, ep, auth_time: authTime } = claimsOf(thief.accessToken) as { sid: string; ep: number; auth_time: number };
  const changed = await holder.api.post('/auth/password', { currentPassword: PASSWORD, newPassword: 'seven quiet lamps in snow' });
  expect(changed.status).toBe(204);
  const factors = world.app.get(FactorsService);
  const late: Actor = {
    id: holder.id,
    role: 'DOCTOR',
    hospitalId: world.hospitalA.id,
    sessionId: sid,
    epoch: ep,
    authTime: authTime * 1000,
    acr: 'mfa',
    requestId: holder.id,
  };
  const [own] = (await factors.list(late)).factors;
  for (const act of [() => factors.remove(late, own?.id ?? ''), () => factors.recoveryCodes(late), () => factors.enrolTotp(late)])
    await expect(act()).rejects.toMatchObject({ code: 'unauthenticated' });
  expect((await factors.list(late)).factors).toEqual([own]);
  expect((await holder.api.get('/auth/me')).status).toBe(200); // nobody ended the holder's session
});

test('SEC-44 where the policy asks for a factor, no session outlives the last one', async () => {
  const auditor = await addTotp(world, world.auditor);
  world.clock.advance(31_000);
  const { accessToken, refreshToken } = await withCode(auditor);
  const api = world.anonymous.withToken(accessToken);
  const [own] = (await api.get<{ factors: { id: string }[] }>('/auth/factors')).body.factors;
  expect((await api.delete(`/auth/factors/${own?.id}`)).status).toBe(204);
  expect((await api.get('/auth/me')).status).toBe(401);
  expect((await world.anonymous.post('/auth/refresh', { refreshToken })).status).toBe(401);
  const again = await world.anonymous.post<{ accessToken: string }>('/auth/login', { username: auditor.username, password: PASSWORD });
  expect((await world.anonymous.withToken(again.body.accessToken).get('/audit/events')).status).toBe(403);
});

test('ATTACK SEC-35 a device that knew the password alone is no known device beside a new factor', async () => {
  const victim = await doctor('Dr. Careful');
  const thief = await login(world, victim.id, victim.username);
  await addTotp(world, await login(world, victim.id, victim.username));
  for (let round = 0; round < 4; round += 1) {
    const { mfaToken } = (await enter(victim, PASSWORD, thief.deviceToken)).body;
    const headers = { 'x-device-token': thief.deviceToken };
    expect((await world.anonymous.post('/auth/login/second-factor', { mfaToken, totp: '000000' }, { headers })).status).toBe(401);
  }
  expect((await enter(victim, PASSWORD, thief.deviceToken)).status).toBe(401); // it waits, as strangers do
});
