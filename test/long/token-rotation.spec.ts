import { generateKeyPairSync, sign } from 'node:crypto';
import dns from 'node:dns';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { thumbprint } from '../../src/crypto/token-key-file';
import { ApiClient } from '../support/api-client';
import { startLoad } from '../support/load';
import { type Server, startServer } from '../support/servers';
import { startTestApp } from '../support/test-app';
import { runProgram } from '../support/tools';
import { createWorld, PASSWORD, type World } from '../support/world';

/** Two servers on one folder: what one signs, the other must take. */
const LIFE_SECONDS = 4;
let world: World;
let servers: Server[] = [];
beforeAll(async () => {
  world = await createWorld();
  await world.app.close();
  for (let count = 0; count < 2; count++) servers.push(await startServer(world.dir, { ACCESS_TOKEN_SECONDS: String(LIFE_SECONDS) }));
}, 60_000);
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop('SIGKILL')));
  rmSync(world.dir, { recursive: true, force: true });
});

const keys = (...args: string[]) => runProgram('tools/keys', args, { DATA_DIR: world.dir });
const kidOf = (token: string) => (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
const client = (index: number, token: string | null = null) => new ApiClient(servers[index]?.url ?? '', token);
const me = (index: number, token: string) => client(index, token).get('/auth/me');

async function signIn(index: number): Promise<string> {
  const { body } = await client(index).post<{ accessToken: string }>('/auth/login', {
    username: world.doctorA.username,
    password: PASSWORD,
  });
  return body.accessToken;
}
async function published(index: number): Promise<string[]> {
  const { body } = await client(index).get<{ keys: Record<string, unknown>[] }>('//.well-known/jwks.json');
  for (const key of body.keys) expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']); // no d, no k
  return body.keys.map(({ kid }) => String(kid));
}

it('SEC-10 rotation under load: each server takes at once what the other signs; no 401; the former key ends in time', async () => {
  const seen = new Set<string>();
  /** Signs in at one server and is answered by the other as long as the token lives. */
  const worker = (home: number) => async () => {
    const token = await signIn(home);
    seen.add(kidOf(token));
    let answer = await me(1 - home, token);
    for (let again = 0; again < 5 && answer.status === 200; again++) answer = await me(again % 2, token);
    return answer;
  };
  const former = await signIn(0);
  const load = startLoad([worker(0), worker(1), worker(0), worker(1)]);
  const rotated = await keys('token', 'rotate', '--lead', '6', '--overlap', String(LIFE_SECONDS + 1));
  expect([rotated.code, rotated.stderr]).toEqual([0, '']);
  await sleep(1200); // one reading of the folder
  expect(await published(0)).toHaveLength(2);
  expect(new Set(await published(1))).toEqual(new Set(await published(0)));
  expect(seen).toEqual(new Set([kidOf(former)])); // published, and not signing yet
  const deadline = Date.now() + 30_000;
  while ((await published(0)).includes(kidOf(former)) && Date.now() < deadline) await sleep(200);
  await sleep(1000); // a while without the former key
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.done()).toBeGreaterThan(50);
  expect(seen.size).toBe(2);
  for (const index of [0, 1]) expect(await published(index)).not.toContain(kidOf(former));

  const { code, stdout } = await keys('token', 'retire');
  expect([code, stdout]).toEqual([0, `Removed: ${kidOf(former)}\n`]);
  expect((await keys('token', 'status')).stdout).toMatch(/^\S{43} {2}signing {2}signs from \S+ {2}verifies until it has a successor\n$/);
  expect((await me(0, await signIn(1))).status).toBe(200);
  expect((await keys('token', 'retire')).stdout).toBe('No key has ended.\n');
}, 60_000);

it('SEC-10 a stolen key is ended at once, on every server, also for tokens that were verified before', async () => {
  const token = await signIn(0);
  for (const index of [0, 1]) expect((await me(index, token)).status).toBe(200);
  const alone = await keys('token', 'retire', `--kid=${kidOf(token)}`);
  expect([alone.code, alone.stderr]).toEqual([1, expect.stringContaining('No key of the folder may sign')]);
  await keys('token', 'rotate', '--lead', '0');
  expect((await keys('token', 'retire', `--kid=${kidOf(token)}`)).code).toBe(0);
  await sleep(1200);
  for (const index of [0, 1]) expect((await me(index, token)).status).toBe(401);
  expect((await me(1, await signIn(0))).status).toBe(200);
}, 60_000);

it('SEC-88 the plan and the new key are readable by their owner only, and hold no name of anybody', () => {
  const plan = join(world.dir, 'keys/token-keys.json');
  expect(statSync(plan).mode & 0o777).toBe(0o600);
  for (const term of JSON.parse(readFileSync(plan, 'utf8')) as object[])
    expect(Object.keys(term).sort()).toEqual(['kid', 'signsFrom', 'verifiesUntil']);
});

it('SEC-10 SEC-11 an unknown kid is a 401, and nobody is asked about it', async () => {
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
  const app = await startTestApp({}, world.dir);
  const [connect, lookup] = [jest.spyOn(Socket.prototype, 'connect'), jest.spyOn(dns, 'lookup')];
  try {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const claims = { iss: 'https://elsewhere.example', sub: world.doctorA.id };
    for (const kid of [thumbprint(publicKey), 'https://elsewhere.example/jwks.json', '../../keys/token', `' OR 1=1 --`]) {
      const text = [{ alg: 'ES256', typ: 'at+jwt', kid }, claims]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.');
      const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
      const answer = await app.app.inject({ url: '/api/v1/auth/me', headers: { authorization: `Bearer ${text}.${signature}` } });
      expect([kid, answer.statusCode]).toEqual([kid, 401]);
    }
    expect([connect.mock.calls.length, lookup.mock.calls.length]).toEqual([0, 0]);
  } finally {
    connect.mockRestore();
    lookup.mockRestore();
    await app.app.close();
  }
}, 30_000);
