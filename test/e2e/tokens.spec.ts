import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { omit } from '../support/omit';
import { sendRaw } from '../support/raw-http';
import { startTestApp, type TestApp } from '../support/test-app';
import { addDoctor, addPatient, createWorld, login, PASSWORD, type Person, type World } from '../support/world';
import type { Answer } from '../support/api-client';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(async () => {
  await world.expectChainsIntact();
  await world.close();
});

type Json = Record<string, unknown>;

const encode = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const partOf = (token: string, index: number) =>
  JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString('utf8')) as Json;
const headerOf = (token: string) => partOf(token, 0);
const claimsOf = (token: string) => partOf(token, 1);

function appKey(): KeyObject {
  return world.foundations.keys.tokenKeys.signing(world.clock.now()).privateKey;
}

/** A token with the server's own, valid signature over whatever is given. */
function signed(header: unknown, payload: unknown, key = appKey()): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const good = () => world.doctorA.api.token ?? '';
const withClaims = (change: Json) => signed(headerOf(good()), { ...claimsOf(good()), ...change });
const withHeader = (change: Json) => signed({ ...headerOf(good()), ...change }, claimsOf(good()));
const without = (claim: string) => signed(headerOf(good()), omit(claimsOf(good()), claim));

function me(authorization: string, app: TestApp = world): Promise<Answer> {
  return sendRaw(app.url, { path: '/api/v1/auth/me', headers: { authorization } });
}

/** Every refusal is the same 401. */
async function expectRefused(token: string): Promise<void> {
  const answer = await me(`Bearer ${token}`);
  const body = omit(answer.body, 'requestId');
  expect([answer.status, body]).toEqual([
    401,
    {
      type: 'urn:bjwt-ehr:problem:unauthenticated',
      title: 'A valid access token is needed',
      status: 401,
      detail: 'A valid access token is needed',
      code: 'unauthenticated',
    },
  ]);
  expect(answer.headers.get('www-authenticate')).toBe('Bearer');
}

const now = () => Math.floor(Date.now() / 1000);

test('the tests sign as the server does: an unchanged token is accepted', async () => {
  expect((await me(`Bearer ${good()}`)).status).toBe(200);
  expect((await me(`Bearer ${signed(headerOf(good()), claimsOf(good()))}`)).status).toBe(200);
  expect((await me(`Bearer ${withClaims({ more: 'ignored' })}`)).status).toBe(200);
});

describe('SEC-1 one algorithm, never from the header', () => {
  const publicKey = () => createPublicKey(appKey());
  const macs: readonly (readonly [label: string, secret: () => string | Buffer])[] = [
    ['the public key as PEM', () => publicKey().export({ type: 'spki', format: 'pem' })],
    ['the public key as DER', () => publicKey().export({ type: 'spki', format: 'der' })],
    ['the public key as JWK', () => JSON.stringify(publicKey().export({ format: 'jwk' }))],
    ['x of the JWK', () => Buffer.from(publicKey().export({ format: 'jwk' }).x ?? '', 'base64url')],
    ['nothing', () => ''],
  ];
  test.each(macs)('ATTACK HS256 with %s as secret', async (_label, secret) => {
    for (const alg of ['HS256', 'HS384', 'HS512', 'ES256']) {
      const text = `${encode({ ...headerOf(good()), alg })}.${encode(claimsOf(good()))}`;
      const hash = alg === 'ES256' ? 'sha256' : `sha${alg.slice(2)}`;
      await expectRefused(`${text}.${createHmac(hash, secret()).update(text).digest('base64url')}`);
    }
  });

  test('ATTACK alg none in every spelling, with and without signature, and other algorithms', async () => {
    const [, payload = '', signature = ''] = good().split('.');
    for (const alg of [
      'none',
      'None',
      'nOnE',
      'NONE',
      '',
      null,
      'es256',
      'ES256K',
      'ES384',
      'RS256',
      'PS256',
      'EdDSA',
      ['ES256'],
      { a: 1 },
    ]) {
      const header = encode({ ...headerOf(good()), alg });
      for (const token of [`${header}.${payload}.`, `${header}.${payload}`, `${header}.${payload}.${signature}`])
        await expectRefused(token);
      await expectRefused(withHeader({ alg }));
    }
    await expectRefused(signed(omit(headerOf(good()), 'alg'), claimsOf(good())));
  });

  test('ATTACK another key, under our kid, its own kid or none', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    for (const header of [headerOf(good()), { ...headerOf(good()), kid: 'mine' }, { ...headerOf(good()), kid: '' }]) {
      await expectRefused(signed(header, claimsOf(good()), privateKey));
      const text = `${encode({ ...header, alg: 'RS256' })}.${encode(claimsOf(good()))}`;
      await expectRefused(`${text}.${sign('sha256', Buffer.from(text), rsa).toString('base64url')}`);
    }
  });

  test('ATTACK a changed payload or header under the old signature, an empty and a zero signature', async () => {
    const [header = '', payload = '', signature = ''] = good().split('.');
    await expectRefused(`${header}.${encode({ ...claimsOf(good()), role: 'ADMIN' })}.${signature}`);
    await expectRefused(`${encode({ ...headerOf(good()), typ: 'at+jwt ' })}.${payload}.${signature}`);
    for (const size of [0, 1, 32, 63, 64, 65, 128]) await expectRefused(`${header}.${payload}.${Buffer.alloc(size).toString('base64url')}`);
    const der = sign('sha256', Buffer.from(`${header}.${payload}`), appKey()).toString('base64url'); // DER in place of r || s
    await expectRefused(`${header}.${payload}.${der}`);
  });
});

describe('SEC-2 SEC-3 the header has alg, typ and kid, and nothing else', () => {
  const jwk = () => createPublicKey(appKey()).export({ format: 'jwk' });
  test.each<readonly [string, () => unknown]>([
    ['crit', () => ['exp']],
    ['jku', () => 'https://evil.example/jwks.json'],
    ['jwk', jwk],
    ['x5u', () => 'https://evil.example/x.pem'],
    ['x5c', () => ['AA']],
    ['x5t', () => 'AA'],
    ['x5t#S256', () => 'AA'],
    ['b64', () => false],
    ['zip', () => 'DEF'],
    ['cty', () => 'JWT'],
    ['enc', () => 'A128GCM'],
    ['nonce', () => 'x'],
    ['anything', () => 1],
  ])('%s', async (name, value) => {
    await expectRefused(withHeader({ [name]: value() }));
  });

  test('typ is at+jwt exactly', async () => {
    for (const typ of ['JWT', 'jwt', 'AT+JWT', 'application/at+jwt', 'rt+jwt', '', null, 1, ['at+jwt']])
      await expectRefused(withHeader({ typ }));
    await expectRefused(signed(omit(headerOf(good()), 'typ'), claimsOf(good())));
  });

  test('SEC-3 refresh tokens and one-time codes are no access tokens, and the other way round', async () => {
    const added = await world.hospitalA.api.post<{ activation: { code: string } }>('/hospitals/me/staff', {
      name: 'Dr. X',
      specialty: 'Y',
    });
    for (const token of [world.doctorA.refreshToken, added.body.activation.code.replaceAll('-', '')]) await expectRefused(token);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: good() })).status).toBe(400);
    const refresh = await world.anonymous.post('/auth/refresh', { refreshToken: `rt_${'A'.repeat(43)}` });
    expect(refresh.status).toBe(401);
    const activation = { code: good().slice(0, 64), username: 'token.as.code', password: PASSWORD };
    expect((await world.anonymous.post('/auth/activate', activation)).status).toBe(401);
  });

  test('SEC-11 kid reaches neither SQL nor files', async () => {
    const root = join(world.dir, 'root');
    for (const kid of [
      "' OR '1'='1",
      '../../keys/token',
      '/dev/null',
      '__proto__',
      'constructor',
      'toString',
      '\u0000',
      'x'.repeat(2000),
      1,
      null,
      {},
      [],
    ])
      await expectRefused(withHeader({ kid }));
    expect(existsSync(root)).toBe(false);
  });
});

describe('SEC-4 SEC-5 claims', () => {
  const required = ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti', 'sid', 'role', 'ten', 'ep', 'auth_time', 'amr', 'acr'];
  test.each(required)('%s is required', async (claim) => {
    await expectRefused(without(claim));
    for (const value of [null, true, 1.5, -1, 0, '', 'x', [], {}, ['x'], 1e300]) {
      if (claim === 'ten' && value === null) continue; // founders and auditors belong to no hospital
      await expectRefused(withClaims({ [claim]: value }));
    }
  });

  test('times: expired, in the future, too long, as text, not finite', async () => {
    const { iat, exp } = claimsOf(good()) as { iat: number; exp: number };
    for (const change of [
      { exp: now() - 1 },
      { exp: now() },
      { exp: iat + 601 },
      { exp: iat + 31_536_000 },
      { exp: 1e300 },
      { exp: Number.MAX_SAFE_INTEGER },
      { exp: String(exp) },
      { exp: '123' },
      { exp: -1 },
      { exp: null },
      { iat: now() + 60, exp: now() + 660 },
      { iat: now() + 31_536_000, exp: now() + 31_536_600 },
      { iat: exp + 1 },
      { iat: now() - 601, exp: now() + 10 }, // too old, whatever it says of its end
      { iat: String(iat) },
      { nbf: now() + 60 },
      { nbf: 'x' },
      { nbf: {} },
    ])
      await expectRefused(withClaims(change));
    const beyond = JSON.stringify({ ...claimsOf(good()), exp: 0 }).replace('"exp":0', '"exp":1e999');
    await expectRefused(signed(headerOf(good()), beyond));
  });

  test('issuer and audience are exactly ours', async () => {
    const { iss, aud } = claimsOf(good()) as { iss: string; aud: string };
    for (const change of [
      { iss: 'urn:other' },
      { iss: `${iss} ` },
      { iss: [iss] },
      { iss: '' },
      { aud: 'urn:other' },
      { aud: [aud] },
      { aud: [aud, 'urn:other'] },
      { aud: `${aud}/` },
      { aud: '' },
      { aud: '.*' },
    ])
      await expectRefused(withClaims(change));
  });

  test('client, methods and strength are exactly those that are known', async () => {
    expect(claimsOf(good())).toMatchObject({ client_id: 'bjwt-ehr', amr: ['pwd'], acr: 'pwd' });
    for (const change of [
      { client_id: 'other' },
      { client_id: 'bjwt-ehr ' },
      { client_id: ['bjwt-ehr'] },
      { amr: 'pwd' },
      { amr: ['otp'] },
      { amr: ['pwd', 'none'] },
      { amr: ['pwd', ['otp']] },
      { acr: 'MFA' },
      { acr: ['mfa'] },
      { acr: '__proto__' },
    ])
      await expectRefused(withClaims(change));
  });

  test('identity: no other form of role, subject or tenant', async () => {
    const { sub } = claimsOf(good()) as { sub: string };
    for (const change of [
      { role: 'admin' },
      { role: 'SUPERUSER' },
      { role: ['ADMIN'] },
      { role: '__proto__' },
      { sub: sub.toUpperCase() },
      { sub: `${sub}\u0000` },
      { sub: [sub] },
      { sub: { id: sub } },
      { ten: 'any' },
      { ep: -1 },
      { ep: String(Date.now()) },
      { sid: 'x' },
      { jti: '../x' },
    ])
      await expectRefused(withClaims(change));
  });
});

describe('SEC-6 SEC-7 one form', () => {
  test('SEC-7 the payload is one JSON object', async () => {
    const header = headerOf(good());
    const claims = claimsOf(good());
    for (const payload of [
      [claims],
      [],
      'null',
      'true',
      '1',
      '"x"',
      JSON.stringify(JSON.stringify(claims)),
      '',
      '{',
      `${JSON.stringify(claims)} x`,
    ])
      await expectRefused(signed(header, payload));
    for (const head of [[header], 'null', '"x"', '', '{', JSON.stringify(header).repeat(2)]) await expectRefused(signed(head, claims));
  });

  test('SEC-7 a duplicate claim never gives another identity than the last one', async () => {
    const text = JSON.stringify(claimsOf(good()));
    const twice = text.replace('{', `{"sub":"${world.founder.id}","role":"ADMIN",`);
    const answer = await me(`Bearer ${signed(headerOf(good()), twice)}`);
    expect(answer.status === 200 ? answer.body['id'] : 401).toBe(answer.status === 200 ? world.doctorA.id : 401);
  });

  test('SEC-6 only the compact form, in the plain base64url alphabet, up to 4 KiB', async () => {
    const [header = '', payload = '', signature = ''] = good().split('.');
    const flat = JSON.stringify({ protected: header, payload, signature });
    const general = JSON.stringify({ payload, signatures: [{ protected: header, signature }] });
    const wrong = [
      flat,
      general,
      encode(flat),
      `${header}.${payload}`,
      `${header}.${payload}.${signature}.`,
      `${header}.${payload}.${signature}.${signature}`,
      `.${header}.${payload}.${signature}`,
      `${header}..${signature}`,
      `${header}.${payload}.${signature}=`,
      `${header}.${payload}.${signature}==`,
      `${header}=.${payload}.${signature}`,
      `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('base64')}`,
      `"${good()}"`,
      `${good()},${good()}`,
      `${good()};`,
      withClaims({ more: 'x'.repeat(4096) }),
    ];
    for (const token of wrong) await expectRefused(token);
  });

  const VECTORS = join(__dirname, '../../../shared/vectors/wycheproof/json_web_signature_test.json');
  (existsSync(VECTORS) ? test : test.skip)('SEC-6 none of Wycheproof’s signed texts is an access token, whatever its form', async () => {
    const { testGroups } = JSON.parse(readFileSync(VECTORS, 'utf8')) as { testGroups: { tests: { jws: unknown }[] }[] };
    const texts = testGroups.flatMap(({ tests }) => tests.map(({ jws }) => (typeof jws === 'string' ? jws : JSON.stringify(jws))));
    expect(texts.length).toBeGreaterThan(300);
    const [header = '', , signature = ''] = good().split('.');
    for (const text of texts) {
      expect([text, (await me(`Bearer ${text.replace(/[^ -~]/g, '')}`)).status]).toEqual([text, 401]);
      // The same odd parts around a header, a payload and a signature that are ours.
      const parts = text.split('.');
      if (parts.length !== 3 || parts[1] === good().split('.')[1]) continue;
      expect((await me(`Bearer ${header}.${parts[1]}.${signature}`)).status).toBe(401);
    }
  });

  test('SEC-12 only in the Authorization header, only as Bearer, and once', async () => {
    const token = good();
    const wrong = [
      token,
      `bearer${token}`,
      `Token ${token}`,
      `Basic ${token}`,
      `JWT ${token}`,
      `Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
      `Bearer  ${token}`,
      `Bearer\t${token}`,
      `Bearer ${token} x`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer`,
      'Bearer ',
      `X Bearer ${token}`,
    ];
    for (const value of wrong) expect([value, (await me(value)).status]).toEqual([value, 401]);
    for (const scheme of ['bearer', 'BEARER']) expect((await me(`${scheme} ${token}`)).status).toBe(200); // RFC 9110 section 11.1: case does not count
    const elsewhere = [
      { path: `/api/v1/auth/me?access_token=${token}` },
      { path: `/api/v1/auth/me?token=${token}` },
      { path: '/api/v1/auth/me', headers: { cookie: `access_token=${token}; token=${token}; Authorization=Bearer ${token}` } },
      {
        path: '/api/v1/auth/me',
        headers: { 'x-access-token': token, 'proxy-authorization': `Bearer ${token}`, 'x-authorization': `Bearer ${token}` },
      },
      {
        path: '/api/v1/auth/logout',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ access_token: token, token }),
      },
    ];
    for (const request of elsewhere) expect((await sendRaw(world.url, request)).status).toBe(401);
  });
});

test('SEC-8 a token carries ids and codes, and no name', () => {
  for (const person of [world.doctorA, world.patientA, world.hospitalA, world.founder]) {
    const token = person.api.token ?? '';
    expect(Object.keys(claimsOf(token)).sort()).toEqual(
      ['acr', 'amr', 'aud', 'auth_time', 'client_id', 'ep', 'exp', 'iat', 'iss', 'jti', 'role', 'sid', 'sub', 'ten'].sort(),
    );
    expect(Object.keys(headerOf(token)).sort()).toEqual(['alg', 'kid', 'typ']);
    expect(JSON.stringify([headerOf(token), claimsOf(token)])).not.toMatch(new RegExp(`${person.username}|Yılmaz|Ayşe|City|Founder`, 'i'));
  }
});

test('SEC-9 SEC-10 the published keys have no private part', async () => {
  const jwks = await world.anonymous.get<{ keys: Json[] }>('//.well-known/jwks.json');
  for (const key of jwks.body.keys) expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
  expect(new Set(jwks.body.keys.map((key) => key['kid'])).size).toBe(jwks.body.keys.length);
});

describe('SEC-14 SEC-17 SEC-22 SEC-41 an access token ends with what it stands on', () => {
  const status = async (person: Person) => (await person.api.get('/auth/me')).status;
  let doctor: Person;
  beforeEach(async () => {
    doctor = await addDoctor(world, world.hospitalA, 'Dr. Revoked');
    expect(await status(doctor)).toBe(200); // verified, so it is remembered
  });

  test.each(['lock', 'close', 'code'])('%s, at once', async (act) => {
    await world.hospitalA.api.post(`/accounts/${doctor.id}/${act}`);
    expect(await status(doctor)).toBe(401);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: doctor.refreshToken })).status).toBe(401);
  });

  test('departure, at once (R11)', async () => {
    await world.hospitalA.api.post(`/hospitals/me/staff/${doctor.id}/departure`, { lastDay: '2026-11-22', reason: 'moved' });
    expect(await status(doctor)).toBe(401);
  });

  test('lock, then unlock: old tokens stay void, new ones work', async () => {
    await world.hospitalA.api.post(`/accounts/${doctor.id}/lock`);
    await world.hospitalA.api.post(`/accounts/${doctor.id}/unlock`);
    expect(await status(doctor)).toBe(401);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: doctor.refreshToken })).status).toBe(401);
    expect(await status(await login(world, doctor.id, doctor.username))).toBe(200);
  });

  test('SEC-42 a new one-time code ends old sessions for good, also after it was used', async () => {
    const issued = await world.hospitalA.api.post<{ code: string }>(`/accounts/${doctor.id}/code`);
    await world.anonymous.post('/auth/activate', { code: issued.body.code, username: doctor.username, password: PASSWORD });
    expect(await status(doctor)).toBe(401);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: doctor.refreshToken })).status).toBe(401);
  });

  test('logout ends this session, not the other one', async () => {
    const second = await login(world, doctor.id, doctor.username);
    await doctor.api.post('/auth/logout');
    expect([await status(doctor), await status(second)]).toEqual([401, 200]);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: doctor.refreshToken })).status).toBe(401);
  });

  test('SEC-41 a new password ends all other sessions', async () => {
    const second = await login(world, doctor.id, doctor.username);
    await second.api.post('/auth/password', { currentPassword: PASSWORD, newPassword: 'seven quiet lamps in snow' });
    expect([await status(doctor), await status(second)]).toEqual([401, 200]);
    expect((await world.anonymous.post('/auth/refresh', { refreshToken: doctor.refreshToken })).status).toBe(401);
  });

  test('ATTACK after logout a malleated signature (r, n - s) and re-encoded forms are void too', async () => {
    const token = doctor.api.token ?? '';
    const [header = '', payload = '', signature = ''] = token.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]).toString('base64url');
    const malleated = `${header}.${payload}.${twin}`;
    await doctor.api.post('/auth/logout');
    for (const value of [token, malleated]) await expectRefused(value);
    await expectRefused(signed(headerOf(token), { ...claimsOf(token), jti: '01990000-0000-7000-8000-000000000000' })); // another jti of the same session
  });

  test('ATTACK 10 wrong passwords lock, and the tokens end', async () => {
    for (let i = 0; i < 10; i += 1)
      expect((await world.anonymous.post('/auth/login', { username: doctor.username, password: 'wrong wrong wrong' })).status).toBe(401);
    expect(await status(doctor)).toBe(401);
  });

  test('SEC-4 a token expires after ten minutes', async () => {
    const patient = await addPatient(world, world.doctorA, 'Waiting Person');
    const { iat, exp } = claimsOf(patient.api.token ?? '') as { iat: number; exp: number };
    expect(exp - iat).toBe(600);
  });
});

test('SEC-16 revocation survives a restart', async () => {
  const first = await createWorld();
  const tokens = { closed: first.colleagueA, loggedOut: first.patientA, alive: first.doctorA };
  for (const person of Object.values(tokens)) expect((await me(`Bearer ${person.api.token}`, first)).status).toBe(200);
  await first.hospitalA.api.post(`/accounts/${tokens.closed.id}/close`);
  await tokens.loggedOut.api.post('/auth/logout');
  await first.app.close();
  const second = await startTestApp({}, first.dir);
  try {
    expect((await me(`Bearer ${tokens.closed.api.token}`, second)).status).toBe(401);
    expect((await me(`Bearer ${tokens.loggedOut.api.token}`, second)).status).toBe(401);
    expect((await me(`Bearer ${tokens.alive.api.token}`, second)).status).toBe(200);
    const refresh = { refreshToken: tokens.closed.refreshToken };
    expect((await second.anonymous.post('/auth/refresh', refresh)).status).toBe(401);
    second.clock.advance(601_000);
    expect((await me(`Bearer ${tokens.alive.api.token}`, second)).status).toBe(401);
    expect((await second.anonymous.post('/auth/refresh', { refreshToken: tokens.alive.refreshToken })).status).toBe(200);
  } finally {
    await second.close();
  }
});
