import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, readConfig } from '../../src/config/config';
import { Database } from '../../src/database/database';
import type { Answer } from '../support/api-client';
import { answerOf, CANARY, expectHeaders, expectProblem, expectSafe } from '../support/edge-answers';
import { BROKEN_REQUESTS, type RawRequest, sendBytes, sendRaw } from '../support/raw-http';
import { startTestApp } from '../support/test-app';
import { createWorld, draftDiagnosis, type Person, sealedDiagnosis, type World } from '../support/world';

const JSON_HEADERS = { 'content-type': 'application/json' };
const ORIGIN = 'https://ehr.example';

let world: World;
beforeAll(async () => {
  world = await createWorld({ CORS_ORIGINS: `${ORIGIN}, http://localhost:5173` });
});
afterAll(() => world.close());

function raw(request: RawRequest, who?: Person): Promise<Answer> {
  const token = who === undefined ? {} : { authorization: `Bearer ${who.api.token}` };
  return sendRaw(world.url, { ...request, headers: { ...token, ...request.headers } });
}
const post = (path: string, body: string, who?: Person, headers: Record<string, string> = {}) =>
  raw({ method: 'POST', path: `/api/v1${path}`, headers: { ...JSON_HEADERS, ...headers }, body }, who);

test('SEC-75 SEC-48 a hospital sees how its own log does, and nothing of others', async () => {
  interface Status {
    chains: number;
    blocks: number;
    authorKeys: number;
    logs: { origin: string }[];
  }
  for (const doctor of [world.doctorA, world.colleagueA]) await sealedDiagnosis(doctor, world.patientA.id);
  await sealedDiagnosis(world.doctorB, world.patientB.id);
  const of = async (who: Person) => (await who.api.get<Status>('/ledger/status')).body;
  const [all, ownA, ownB] = [await of(world.auditor), await of(world.hospitalA), await of(world.hospitalB)];
  expect(all.logs).toHaveLength(2);
  expect(ownA.logs.map(({ origin }) => origin.endsWith(`/${world.hospitalA.id}`))).toEqual([true]);
  expect(ownB.logs.map(({ origin }) => origin.endsWith(`/${world.hospitalB.id}`))).toEqual([true]);
  expect(ownB).toMatchObject({ chains: 1, blocks: 2, authorKeys: 1 });
  for (const what of ['chains', 'blocks', 'authorKeys'] as const) expect([what, ownA[what] + ownB[what]]).toEqual([what, all[what]]);
  expect(ownA).toMatchObject({ chains: 1, blocks: 3, authorKeys: 2 });
});

describe('SEC-68 security headers on every answer of every status', () => {
  const answers: readonly (readonly [status: number, name: string, send: () => Promise<Answer>])[] = [
    [200, 'a public list', () => raw({ path: '/api/v1/hospitals' })],
    [200, 'HEAD', () => raw({ method: 'HEAD', path: '/health/live' })],
    [200, 'an own page', () => raw({ path: '/api/v1/auth/me' }, world.doctorA)],
    [200, 'metrics', () => raw({ path: '/metrics' })],
    [201, 'a draft', () => post(`/patients/${world.patientA.id}/questions`, '{"text":"Since when?"}', world.doctorA)],
    [202, 'a registration', () => post('/auth/register/patient', registration())],
    [204, 'preflight', () => raw({ method: 'OPTIONS', path: '/api/v1/auth/login', headers: preflightOf(ORIGIN) })],
    [400, 'malformed JSON', () => post('/auth/login', '{')],
    [400, 'an address that cannot be decoded', () => raw({ path: '/api/v1/records/%ff' })],
    [401, 'no token', () => raw({ path: '/api/v1/auth/me' })],
    [403, 'another role', () => raw({ path: '/api/v1/accounts' }, world.doctorA)],
    [404, 'an unknown address', () => raw({ path: '/nothing' })],
    [404, 'an unknown record', () => raw({ path: '/api/v1/records/01990000-0000-7000-8000-000000000000' }, world.doctorA)],
    [404, 'OPTIONS', () => raw({ method: 'OPTIONS', path: '/api/v1/auth/login' })],
    [404, 'TRACE', () => raw({ method: 'TRACE', path: '/health/live' })],
    [
      409,
      'set-up again',
      () => post('/setup', '{"code":"AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A","name":"F","username":"other","password":"violet kettle walks"}'),
    ],
    [412, 'a stale version', () => changed({ 'if-match': '"9"' })],
    [413, 'a large body', () => post('/auth/login', ' '.repeat(65_537))],
    [414, 'a long address', () => raw({ path: `/${'a'.repeat(9_000)}` })],
    [415, 'a form', () => raw({ method: 'POST', path: '/api/v1/auth/login', headers: { 'content-type': 'text/plain' }, body: 'a=b' })],
    [422, 'a resource that is none', () => post(`/patients/${world.patientA.id}/records`, '{"resource":{}}', world.doctorA)],
    [428, 'no version', () => changed({})],
    [
      431,
      'long headers',
      async () => answerOf(await sendBytes(world.url, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(17_000)}\r\n\r\n`)),
    ],
    [400, 'no HTTP', async () => answerOf(await sendBytes(world.url, 'hello\r\n\r\n'))],
    [400, 'no host', async () => answerOf(await sendBytes(world.url, 'GET /health/live HTTP/1.1\r\n\r\n'))],
    [200, 'an unknown expectation', () => raw({ path: '/health/live', headers: { expect: 'tea' } })],
    [503, 'a database that does not answer', broken],
  ];
  const preflightOf = (origin: string) => ({ origin, 'access-control-request-method': 'POST' });
  const changed = async (headers: Record<string, string>) => {
    const path = `/api/v1/records/${await draftDiagnosis(world.doctorA, world.patientA.id)}`;
    return raw(
      { method: 'PUT', path, headers: { ...JSON_HEADERS, ...headers }, body: '{"resource":{"resourceType":"Condition"}}' },
      world.doctorA,
    );
  };
  const registration = () =>
    JSON.stringify({
      name: 'P',
      hospitalId: world.hospitalA.id,
      username: 'edge.one',
      password: 'violet kettle walks',
      birthDate: '1990-01-01',
      gender: 'other',
    });
  async function broken(): Promise<Answer> {
    const query = jest.spyOn(world.app.get(Database).reader, 'query').mockRejectedValue(new Error('gone'));
    const answer = await raw({ path: '/health/ready' });
    query.mockRestore();
    return answer;
  }

  test.each(answers)('SEC-68 %i: %s', async (status, _name, send) => {
    const answer = await send();
    expect(answer.status).toBe(status);
    expectHeaders(answer);
  });

  it('SEC-68 429, and what the router refuses, on a server with a low limit', async () => {
    const app = await startTestApp({ REQUESTS_PER_MINUTE: '1' });
    try {
      const statuses: number[] = [];
      for (let i = 0; i < 3; i += 1) {
        const answer = await sendRaw(app.url, { path: '/api/v1/hospitals' });
        expectHeaders(answer);
        statuses.push(answer.status);
      }
      expect(statuses).toEqual([200, 429, 429]);
    } finally {
      await app.close();
    }
  });

  it('SEC-68 SEC-75 the documents and each of their files have a policy of their own, in which nothing comes from elsewhere', async () => {
    const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    const page = await raw({ path: '/docs' });
    const files = [...page.text.matchAll(/(?:src|href)="(\.?\/?docs\/[^"]+)"/g)].map(
      (match) => `/${(match[1] ?? '').replace(/^\.?\//, '')}`,
    );
    expect(files.length).toBeGreaterThan(3);
    for (const path of ['/docs', '/docs/', '/docs-json', '/docs-yaml', ...files]) {
      const answer = await raw({ path });
      expect([path, answer.status]).toEqual([path, 200]);
      expectHeaders(answer, policy);
      expect(answer.text).not.toMatch(/(src|href)="(https?:)?\/\//);
    }
    expectHeaders(await raw({ path: '/docs/../../package.json' }), policy);
  });
});

describe('SEC-60 sizes of addresses and headers', () => {
  it('SEC-60 headers beyond 16 KiB are 431', async () => {
    const text = await sendBytes(world.url, `GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: ${CANARY.repeat(2_000)}\r\n\r\n`);
    expectProblem(answerOf(text), 431, 'headers_too_large');
  });

  it('SEC-60 an address of 8 KiB is read, one character more is 414, whatever it names', async () => {
    const start = '/api/v1/hospitals?cursor=';
    const longest = start.padEnd(8_192, 'a');
    expectProblem(await raw({ path: longest }), 400, 'invalid_request', 'cursor');
    expectProblem(await raw({ path: `${longest}a` }), 414, 'uri_too_long');
    expectProblem(await raw({ path: `/${CANARY}`.padEnd(8_193, 'a') }), 414, 'uri_too_long');
    expectProblem(await raw({ path: `/api/v1/records/${CANARY.repeat(30)}` }), 414, 'uri_too_long');
  });

  it('SEC-60 SEC-70 no header is passed over: a second Host after 2,100 others is seen', async () => {
    const many = Array.from({ length: 2_100 }, () => 'a:1\r\n').join('');
    const text = await sendBytes(world.url, `GET /health/live HTTP/1.1\r\nHost: x\r\n${many}Host: y\r\nConnection: close\r\n\r\n`);
    expectProblem(answerOf(text), 400, 'invalid_request');
  });
});

describe('SEC-70 what two readers could take for two different requests is 400, and the connection closes', () => {
  test.each(BROKEN_REQUESTS)('SEC-70 %s', async (_name, bytes) => {
    // sendBytes resolves only when the server closes; a second request on the connection must get no answer.
    const text = await sendBytes(world.url, `${bytes}GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n`);
    const answer = answerOf(text);
    expectProblem(answer, 400, text.includes('malformed_json') ? 'malformed_json' : 'invalid_request');
    expect(answer.headers.get('connection')).toBe('close');
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  it('SEC-70 what looks like it and is well-formed is answered', async () => {
    const live = (lines: string, version = '1.1') =>
      sendBytes(world.url, `GET /health/live HTTP/${version}\r\n${lines}Connection: close\r\n\r\n`);
    for (const text of [await live('Host: ehr.example:8443\r\n'), await live('Host: [::1]:80\r\n'), await live('', '1.0')])
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('SEC-69 CORS lets in the origins that are named, letter for letter', () => {
  const preflight = (origin: string) =>
    raw({
      method: 'OPTIONS',
      path: '/api/v1/auth/login',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': CANARY },
    });

  test.each([ORIGIN, 'http://localhost:5173'])('SEC-69 %s is let in, without credentials', async (origin) => {
    const before = await preflight(origin);
    expect(before.status).toBe(204);
    expect(before.headers.get('access-control-allow-methods')).toBe('GET, POST, PUT, PATCH, DELETE');
    for (const name of ['authorization', 'x-device-token', 'idempotency-key', 'if-match'])
      expect(before.headers.get('access-control-allow-headers')).toContain(name);
    for (const answer of [
      before,
      await raw({ path: '/api/v1/hospitals', headers: { origin } }),
      await raw({ path: '/api/v1/auth/me', headers: { origin } }),
    ]) {
      expectHeaders(answer);
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      expect(answer.headers.get('vary')).toMatch(/origin/i);
      expect([...answer.headers.values()].join()).not.toContain(CANARY);
    }
  });

  it('SEC-69 no other origin is, however alike, and none is reflected', async () => {
    const others = ['null', '*', '', 'https://ehr.example.evil.example', 'https://evil.example/https://ehr.example', 'http://ehr.example'];
    others.push(
      'https://ehr.example:443',
      'https://ehr.example/',
      'HTTPS://EHR.EXAMPLE',
      'https://ehr.example.',
      'https://sub.ehr.example',
    );
    others.push(
      'https://ehrxexample',
      'https://ehr.example@evil.example',
      `${ORIGIN}, ${ORIGIN}`,
      `${ORIGIN} `.padEnd(40, 'x'),
      'file://',
      'http://localhost',
    );
    others.push(world.url, 'http://localhost:51730', 'https://[::1]', `https://${CANARY}.example`, 'undefined', 'true', 'data:text/html,x');
    for (const origin of others) {
      const answer = await raw({ path: '/api/v1/hospitals', headers: { origin } });
      expectSafe(answer);
      expect(answer.headers.get('vary')).toMatch(/origin/i);
      expectProblem(await preflight(origin), 404, 'not_found');
    }
  });

  it('SEC-69 only exact origins are accepted as a setting; without one there is no CORS', async () => {
    for (const wrong of [
      '*',
      'null',
      'https://a.example/',
      'https://a.example/x',
      'https://A.example',
      'http://a.example',
      'a.example',
      'https://*.example',
      'https://a.example:443',
      'ftp://a.example',
      'https://u@a.example',
      'http://localhost.evil.example',
    ])
      expect(() => readConfig({ CORS_ORIGINS: `https://good.example,${wrong}` })).toThrow(ConfigError);
    expect(readConfig({}).http.corsOrigins).toEqual([]);
    const app = await startTestApp();
    try {
      for (const origin of ['https://evil.example', 'null', app.url]) {
        expectSafe(await sendRaw(app.url, { path: '/api/v1/hospitals', headers: { origin } }));
        expectProblem(
          await sendRaw(app.url, {
            method: 'OPTIONS',
            path: '/api/v1/auth/login',
            headers: { origin, 'access-control-request-method': 'POST' },
          }),
          404,
          'not_found',
        );
      }
    } finally {
      await app.close();
    }
  });
});

describe('SEC-75 documents and metrics', () => {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const TOKEN = 'k'.repeat(31) + '9';

  it('SEC-75 in production there are neither documents nor metrics, and no method helps', async () => {
    const app = await startTestApp({ NODE_ENV: 'production' });
    try {
      for (const path of [
        '/docs',
        '/docs/',
        '/docs-json',
        '/docs-yaml',
        '/docs/swagger-ui.css',
        '/docs/index.html',
        '/docs/swagger-ui-init.js',
        '/metrics',
        '/metrics?x',
      ])
        for (const method of ['GET', 'HEAD', 'POST', 'TRACE', 'OPTIONS']) {
          const answer = await sendRaw(app.url, { method, path, headers: bearer(TOKEN) });
          expect([method, path, answer.status === 404 || (path.includes('?') && answer.status < 500)]).toEqual([method, path, true]);
          expectSafe(answer);
        }
    } finally {
      await app.close();
    }
  });

  it('SEC-75 with a token file metrics ask for its token, in production too', async () => {
    const file = join(world.dir, 'metrics-token');
    writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
    const app = await startTestApp({ NODE_ENV: 'production', METRICS_TOKEN_FILE: file });
    const ask = (headers: Record<string, string>, path = '/metrics') => sendRaw(app.url, { path, headers });
    try {
      const wrong: Record<string, string>[] = [
        {},
        bearer(''),
        bearer(TOKEN.slice(1)),
        bearer(`${TOKEN}9`),
        bearer(TOKEN.toUpperCase()),
        bearer('é'.repeat(32)),
        { authorization: TOKEN },
      ];
      for (const headers of wrong) {
        const answer = await ask(headers);
        expectProblem(answer, 401, 'unauthenticated');
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
      expectProblem(await ask({ cookie: `token=${TOKEN}` }, `/metrics?access_token=${TOKEN}`), 401, 'unauthenticated');
      const answer = await ask(bearer(TOKEN));
      expect([answer.status, answer.text.includes('http_request_duration_seconds')]).toEqual([200, true]);
    } finally {
      await app.close();
    }
  });

  it('SEC-75 SEC-88 a token file that is short, missing or readable by others stops the start, without its content', async () => {
    const file = join(world.dir, 'wrong-token');
    const start = () => startTestApp({ METRICS_TOKEN_FILE: file });
    await expect(start()).rejects.toThrow(/^METRICS_TOKEN_FILE: /);
    for (const [text, mode] of [
      [CANARY, 0o600],
      [CANARY.repeat(3), 0o644],
      [`${CANARY.repeat(2)} ${CANARY}`, 0o600],
      ['', 0o600],
    ] as const) {
      writeFileSync(file, text);
      chmodSync(file, mode);
      await expect(start()).rejects.toThrow(/^METRICS_TOKEN_FILE: /);
      await expect(start()).rejects.not.toThrow(CANARY);
      rmSync(file);
    }
  });
});
