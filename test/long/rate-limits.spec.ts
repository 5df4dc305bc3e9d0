import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../support/api-client';
import { openRawFile } from '../support/raw-database';
import { prepareSite, type Server, type Site, startServer } from '../support/servers';
import { startTestApp, type TestApp } from '../support/test-app';
import { createWorld, login, PASSWORD, type World } from '../support/world';

const MINUTE = 60_000;
/** To the beginning of a minute: counts begin anew with it. */
const freshMinute = ({ clock }: TestApp) => clock.advance(MINUTE - (clock.now() % MINUTE) + 1);
const wrongLogin = (client: ApiClient, headers: Record<string, string> = {}) =>
  client.post('/auth/login', { username: 'nobody.here', password: 'a wrong guess' }, { headers });
async function statuses(times: number, ask: (round: number) => Promise<{ status: number }>): Promise<number[]> {
  const seen: number[] = [];
  for (let round = 0; round < times; round += 1) seen.push((await ask(round)).status);
  return seen;
}

describe('SEC-33 SEC-72 one process', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ REQUESTS_PER_MINUTE: '40', LOGINS_PER_MINUTE: '1000' });
  });
  afterAll(() => world.close());
  beforeEach(() => freshMinute(world));
  const health = (headers: Record<string, string> = {}) => world.anonymous.get('//health/live', { headers });

  test('SEC-72 beyond the limit 429 with the seconds until the next minute, then it counts from anew', async () => {
    expect(await statuses(42, () => health())).toEqual([...Array<number>(40).fill(200), 429, 429]);
    const refused = await health();
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(refused.body['code']).toBe('too_many_requests');
    freshMinute(world);
    expect((await health()).status).toBe(200);
  });

  test('SEC-33 ATTACK an invented X-Forwarded-For is no other address', async () => {
    const spoofed = await statuses(42, (round) =>
      health({ 'x-forwarded-for': `198.51.100.${round}`, forwarded: `for=198.51.100.${round}` }),
    );
    expect(spoofed.slice(40)).toEqual([429, 429]);
  });

  test('SEC-72 who is signed in counts for the account: strangers at the same address use nothing of it up, nor do colleagues', async () => {
    const [doctor, colleague] = [await login(world, '', world.doctorA.username), await login(world, '', world.colleagueA.username)];
    for (const { api } of [doctor, colleague]) expect((await api.get('/auth/me')).status).toBe(200); // the first use of a token is the address's
    const strangers = await statuses(42, () => health());
    expect(strangers.at(-1)).toBe(429);
    expect(await statuses(41, () => doctor.api.get('/auth/me'))).toEqual([...Array<number>(40).fill(200), 429]);
    expect((await colleague.api.get('/auth/me')).status).toBe(200);
  });

  test('SEC-72 refusals are counted, also those before a body is read', async () => {
    const upload = () => world.anonymous.post('/imports', undefined, { raw: '{}', headers: { 'content-type': 'application/fhir+json' } });
    const forged = () => world.anonymous.withToken('forged').get('/auth/me');
    expect([...(await statuses(20, upload)), ...(await statuses(20, forged))]).toEqual(Array<number>(40).fill(401));
    expect([(await upload()).status, (await forged()).status, (await health()).status]).toEqual([429, 429, 429]);
  });
});

describe('SEC-33 behind a proxy that is named', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ LOGINS_PER_MINUTE: '2', TRUSTED_PROXIES: '127.0.0.1' });
  });
  afterAll(() => app.close());

  test('SEC-33 addresses count each, networks of IPv6 as one', async () => {
    freshMinute(app);
    const from = (address: string) => wrongLogin(app.anonymous, { 'x-forwarded-for': address });
    expect(await statuses(3, () => from('198.51.100.7'))).toEqual([401, 401, 429]);
    expect((await from('198.51.100.8')).status).toBe(401);
    expect(await statuses(3, (round) => from(`2001:db8:1:2::${round}`))).toEqual([401, 401, 429]);
    expect((await from('2001:db8:1:3::1')).status).toBe(401);
  });
});

describe('SEC-33 all addresses together', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ LOGINS_PER_MINUTE: '1000', LOGINS_PER_MINUTE_ALL: '20', TRUSTED_PROXIES: '127.0.0.1' });
  });
  afterAll(() => world.close());

  test('SEC-33 SEC-35 ATTACK guesses from everywhere meet one limit, and do not keep a known device out', async () => {
    freshMinute(world);
    const guesses = await statuses(22, (round) => wrongLogin(world.anonymous, { 'x-forwarded-for': `198.51.100.${round}` }));
    expect(guesses).toEqual([...Array<number>(20).fill(401), 429, 429]);
    const { username, deviceToken } = world.doctorA;
    const enter = (headers: Record<string, string>) => world.anonymous.post('/auth/login', { username, password: PASSWORD }, { headers });
    expect((await enter({})).status).toBe(429);
    expect((await enter({ 'x-device-token': `dt_${'A'.repeat(43)}` })).status).toBe(429);
    expect((await enter({ 'x-device-token': deviceToken })).status).toBe(200);
  });

  test('SEC-33 the table holds no address and no more than the last minutes', async () => {
    const rows = async () =>
      (await world.foundations.sources.reader.query<{ client: Buffer; minute: number }[]>('SELECT * FROM "rate_count"')).length;
    for (let minute = 0; minute < 5; minute += 1) {
      freshMinute(world);
      await wrongLogin(world.anonymous);
    }
    expect(await rows()).toBeLessThanOrEqual(4);
  });
});

describe('SEC-72 two processes on one database', () => {
  let site: Site;
  let servers: Server[];
  beforeAll(async () => {
    site = await prepareSite('limits');
    const left = MINUTE - (Date.now() % MINUTE); // the processes have the real clock
    if (left < 35_000) await sleep(left);
    const db = openRawFile(join(site.dir, 'ehr.sqlite'));
    db.exec('DELETE FROM rate_count');
    db.close();
    const settings = { LOGINS_PER_MINUTE: '20', REQUESTS_PER_MINUTE: '50', LOGIN_MAX_ATTEMPTS: '6' };
    servers = [await startServer(site.dir, settings), await startServer(site.dir, settings)];
  }, 90_000);
  afterAll(async () => {
    for (const server of servers) await server.stop();
  });
  const urlOf = (round: number) => servers[round % 2]?.url ?? '';

  test('SEC-33 SEC-36 SEC-72 ATTACK spread over both ports, wrong passwords meet one counter, and guesses one limit', async () => {
    const { username, deviceToken } = site.doctor;
    const enter = (round: number, password: string, headers: Record<string, string> = {}) =>
      new ApiClient(urlOf(round), null).post('/auth/login', { username, password }, { headers });
    expect(await statuses(6, (round) => enter(round, 'a wrong guess'))).toEqual(Array<number>(6).fill(401));
    expect(await statuses(2, (round) => enter(round, PASSWORD))).toEqual([401, 401]); // locked
    expect(await statuses(2, (round) => enter(round, PASSWORD, { 'x-device-token': deviceToken }))).toEqual([200, 200]);
    expect(await statuses(12, (round) => enter(round, 'a wrong guess'))).toEqual([...Array<number>(10).fill(401), 429, 429]);
  });

  test('SEC-72 ATTACK spread over both ports, requests meet one limit, a second later at most', async () => {
    const ask = (round: number) => site.as(site.hospital, urlOf(round)).api.get('/auth/me');
    expect(new Set(await statuses(30, ask))).toEqual(new Set([200]));
    await sleep(1500); // both have told their sums,
    expect(await statuses(2, ask)).toEqual([200, 200]);
    await sleep(1500); // and learnt the other's
    const later = await statuses(60, ask);
    expect(32 + later.filter((status) => status === 200).length).toBeGreaterThanOrEqual(50);
    expect(later.slice(-4)).toEqual([429, 429, 429, 429]); // each alone has seen 46
  });
});

describe('SEC-30 a flood of sign-ins', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ ARGON2_MEMORY_KIB: '65536', ARGON2_PASSES: '10' });
  }, 60_000);
  afterAll(() => world.close());

  test('SEC-30 ATTACK 200 bad logins at once: some are told to come back, and reads are answered all the while', async () => {
    let isOver = false;
    const flood = Promise.all(Array.from({ length: 200 }, () => wrongLogin(world.anonymous))).finally(() => (isOver = true));
    let meanwhile = 0;
    while (!isOver) {
      expect((await world.doctorA.api.get(`/patients/${world.patientA.id}`)).status).toBe(200);
      if (!isOver) meanwhile += 1;
    }
    const answers = await flood;
    const refused = answers.filter(({ status }) => status === 503);
    expect(answers.filter(({ status }) => status === 401).length + refused.length).toBe(200);
    expect(refused.length).toBeGreaterThan(50);
    for (const { headers } of refused) expect(headers.get('retry-after')).toBe('1');
    // A read that had to queue behind the hashes would be answered once at most.
    expect(meanwhile).toBeGreaterThan(5);
  }, 60_000);
});
