import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from '../support/api-client';
import { RoleScene } from '../support/role-requests';
import { addTotp, again, prove, totpAt } from '../support/second-factors';
import { addDoctor, PASSWORD, type Person } from '../support/world';
import { CALLERS, ROLE_TABLE } from '../support/role-table';
import { select } from '../support/raw-database';

const MINUTE = 60_000;

let scene: RoleScene;
beforeAll(async () => {
  scene = await RoleScene.create();
});
afterAll(async () => {
  await scene.world.expectChainsIntact();
  await scene.world.close();
});

/** Acts that a stolen or forgotten access token must not do. */
const RECENT_ONLY = [
  'POST /api/v1/auth/factors/totp',
  'POST /api/v1/auth/factors/webauthn/options',
  'POST /api/v1/auth/factors/recovery-codes',
  'DELETE /api/v1/auth/factors/{id}',
  'POST /api/v1/accounts',
  'POST /api/v1/accounts/{id}/approve',
  'POST /api/v1/accounts/{id}/unlock',
  'POST /api/v1/accounts/{id}/code',
  'POST /api/v1/patients/{id}/erasures',
  'POST /api/v1/erasures/{id}/approval',
  'POST /api/v1/ledger/keys',
  'POST /api/v1/ledger/keys/{kid}/revocation',
  'GET /api/v1/ledger/patients/{id}/export',
];

function expectChallenge(answer: Answer): void {
  expect([answer.status, answer.body['code']]).toEqual([401, 'insufficient_user_authentication']);
  expect(answer.headers.get('www-authenticate')).toBe(
    'Bearer error="insufficient_user_authentication", error_description="Sign in again", max_age="300"',
  );
}

test('SEC-45 the document names the routes that need a recent sign-in', () => {
  const document = JSON.parse(readFileSync(join(__dirname, '../../openapi.json'), 'utf8')) as {
    paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>;
  };
  const marked = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, { responses }]) => responses['401']?.description.includes('insufficient_user_authentication'))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
  expect(marked.sort()).toEqual([...RECENT_ONLY].sort());
});

const rows = ROLE_TABLE.filter(
  ({ route, expected }) => RECENT_ONLY.includes(route) && Object.values(expected).some((status) => status < 400),
);
test.each(rows.map((row) => [row.route, row] as const))('SEC-45 %s: an old sign-in is asked to come back', async (_name, row) => {
  const { clock } = scene.world;
  const [method = ''] = row.route.split(' ');
  const caller = CALLERS.find((one) => row.expected[one] < 400);
  if (!caller || caller === 'nobody') throw new Error('nobody may do it');
  const plan = await scene.plan(row.route, row.about, caller);
  const old = plan.as ? plan : { ...plan, as: await scene.session(caller) };
  const send = async (as = old.as): Promise<Answer> => scene.send(method, as ? { ...plan, as } : plan, caller);
  clock.advance(5 * MINUTE + 1000);
  try {
    const refused = await send();
    expectChallenge(refused);
    const trail = await select<{ reason: string; actorId: string }>(
      scene.world,
      'SELECT * FROM audit_event WHERE requestId = ?',
      refused.headers.get('x-request-id'),
    );
    expect(trail).toEqual([expect.objectContaining({ reason: 'old_sign_in', actorId: old.as?.id })]);
    const fresh = old.as && (await again(scene.world, old.as));
    expect((await send(fresh)).status).toBe(row.expected[caller]);
  } finally {
    clock.advance(-5 * MINUTE - 1000);
  }
});

describe('SEC-24 SEC-45 step-up: proving it again', () => {
  interface Tokens {
    accessToken: string;
    refreshToken: string;
  }
  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string; auth_time: number; amr: string[] };
  const stepUp = (person: Person, password = PASSWORD) => person.api.post<Tokens & { mfaToken: string }>('/auth/step-up', { password });
  const works = async (token: string) => (await scene.world.anonymous.withToken(token).get('/auth/me')).status;
  const doctor = () => addDoctor(scene.world, scene.world.hospitalA, 'Dr. Step-up');

  test('gives a new session with a fresh sign-in; the old one is dead, access and refresh token', async () => {
    const person = await doctor();
    const before = claimsOf(person.api.token ?? '');
    scene.world.clock.advance(6 * MINUTE);
    try {
      const { status, body } = await stepUp(person);
      expect(status).toBe(200);
      const after = claimsOf(body.accessToken);
      expect(after.sid).not.toBe(before.sid);
      expect(after.auth_time - before.auth_time).toBeGreaterThanOrEqual(360);
      expect([await works(person.api.token ?? ''), await works(body.accessToken)]).toEqual([401, 200]);
      expect((await scene.world.anonymous.post('/auth/refresh', { refreshToken: person.refreshToken })).status).toBe(401);
      expect((await scene.world.anonymous.post('/auth/refresh', { refreshToken: body.refreshToken })).status).toBe(200);
    } finally {
      scene.world.clock.advance(-6 * MINUTE);
    }
  });

  test('SEC-24 each sign-in has a session of its own; a refresh stays in it and is no fresh sign-in', async () => {
    const person = await doctor();
    const second = await again(scene.world, person);
    const [one, two] = [person, second].map(({ api }) => claimsOf(api.token ?? ''));
    expect(one?.sid).not.toBe(two?.sid);
    scene.world.clock.advance(6 * MINUTE);
    try {
      const { body } = await scene.world.anonymous.post<Tokens>('/auth/refresh', { refreshToken: second.refreshToken });
      expect(claimsOf(body.accessToken)).toMatchObject({ sid: two?.sid, auth_time: two?.auth_time });
      expectChallenge(await scene.world.anonymous.withToken(body.accessToken).post('/auth/factors/totp'));
    } finally {
      scene.world.clock.advance(-6 * MINUTE);
    }
  });

  test('a wrong password gives nothing, counts, and ends the sessions when it locks', async () => {
    const person = await doctor();
    const refused = await stepUp(person, 'wrong wrong wrong');
    expect([refused.status, refused.text]).toEqual([401, expect.stringContaining('invalid_credentials')]);
    expect(await works(person.api.token ?? '')).toBe(200);
    for (let tries = 1; tries < 10; tries += 1) await stepUp(person, 'wrong wrong wrong');
    expect(await works(person.api.token ?? '')).toBe(401);
  });

  test('asks for the second factor too; the session that was left meanwhile is not replaced', async () => {
    const person = await addTotp(scene.world, await doctor());
    const first = await stepUp(person);
    expect(first.body.mfaToken).toMatch(/^mfa_/);
    expect(await works(person.api.token ?? '')).toBe(200); // until the second factor is proved
    const proved = await prove(scene.world, first.body.mfaToken, { totp: totpAt(person.seed, scene.world.clock.now()) });
    expect(claimsOf(proved.body.accessToken).amr).toEqual(['pwd', 'otp']);
    expect(await works(person.api.token ?? '')).toBe(401);
    const inside = scene.world.anonymous.withToken(proved.body.accessToken);
    const { body } = await inside.post<{ mfaToken: string }>('/auth/step-up', { password: PASSWORD });
    await inside.post('/auth/logout');
    const late = await prove(scene.world, body.mfaToken, { totp: totpAt(person.seed, scene.world.clock.now() + MINUTE / 2) });
    expect([late.status, late.text]).toEqual([401, expect.stringContaining('invalid_second_factor')]);
  });
});
