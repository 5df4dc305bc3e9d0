import { RevocationsService } from '../../src/auth/revocations.service';
import { Database } from '../../src/database/database';
import { openRaw } from '../support/raw-database';
import { again, type Tokens } from '../support/second-factors';
import { prepareSite, type Server, type Site, startServer } from '../support/servers';
import { statementsOf } from '../support/statements';
import { createWorld, PASSWORD, type Person, type World } from '../support/world';

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const statusOf = async ({ api }: Person) => (await api.get('/auth/me')).status;
/** The token and the role are right, the query is not: the answer rests on the claims alone. */
const claimsOnly = async ({ api }: Person) => (await api.delete('/auth/sessions?keep=none')).status;

describe('one server', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ LEDGER_CHECKPOINT_MS: '3600000' }); // nothing in the background but the poll of revocations
  });
  afterAll(async () => {
    await world.expectChainsIntact();
    await world.close();
  });

  /** Statements that run meanwhile on either connection, but those that look each second for what other processes wrote. */
  async function statements(work: () => Promise<unknown>): Promise<string[]> {
    const seen = await statementsOf(async () => void (await work()));
    return seen.filter((sql) => !sql.includes('FROM "revocation"'));
  }

  test('SEC-13 who asks, and in what role, is known without a statement', async () => {
    const { doctorA, patientA, founder } = world;
    const fresh = await again(world, doctorA); // a token that was not seen before
    const asked = await statements(async () => {
      for (const person of [fresh, fresh, doctorA, patientA, founder]) expect(await claimsOnly(person)).toBe(400);
      for (const token of ['a.b.c', `${doctorA.api.token}x`])
        expect((await world.anonymous.withToken(token).get('/auth/me')).status).toBe(401);
    });
    expect(asked).toEqual([]);
    expect((await statements(() => doctorA.api.get('/auth/me'))).length).toBeGreaterThan(0); // the counter counts
  });

  test('SEC-13 somebody else holds the database exclusively: tokens and roles are still checked', async () => {
    const other = openRaw(world);
    other.exec('BEGIN EXCLUSIVE');
    try {
      const began = Date.now();
      for (let round = 0; round < 20; round += 1) expect(await claimsOnly(world.doctorA)).toBe(400);
      expect((await world.anonymous.withToken('a.b.c').get('/auth/me')).status).toBe(401);
      expect(Date.now() - began).toBeLessThan(3000);
    } finally {
      other.exec('ROLLBACK');
      other.close();
    }
  });

  test('SEC-16 revocations of all, of a hospital, an account and a session combine: the latest counts, in whatever order they came', async () => {
    const { app, doctorA, colleagueA, doctorB, hospitalA } = world;
    const revoke = (subject: string) => app.get(Database).transaction((tx) => app.get(RevocationsService).revoke(tx, subject));
    const sessionOf = async ({ api }: Person) =>
      (await api.get<{ id: string; current: boolean }[]>('/auth/sessions')).body.find(({ current }) => current)?.id ?? '';
    for (const [older, newer] of [
      [hospitalA.id, doctorA.id],
      [doctorA.id, hospitalA.id],
      ['*', doctorA.id],
      [doctorA.id, '*'],
    ] as const) {
      await revoke(older);
      const doctor = await again(world, doctorA);
      expect(await statusOf(doctor)).toBe(200); // newer than the older one
      await revoke(newer);
      expect(await statusOf(doctor)).toBe(401);
    }
    const [one, two] = [await again(world, colleagueA), await again(world, colleagueA)];
    await revoke(await sessionOf(one));
    expect([await statusOf(one), await statusOf(two)]).toEqual([401, 200]);
    const elsewhere = await again(world, doctorB);
    await revoke(hospitalA.id);
    expect([await statusOf(two), await statusOf(elsewhere)]).toEqual([401, 200]);
    await revoke('*');
    expect(await statusOf(elsewhere)).toBe(401);
  });

  test('SEC-15 cut off from the database for more than ten seconds, it refuses every token with 503, and comes back by itself', async () => {
    const doctor = await again(world, world.doctorA);
    expect(await claimsOnly(doctor)).toBe(400);
    const { manager } = world.foundations.sources.reader;
    const spy = jest.spyOn(manager, 'createQueryBuilder').mockImplementation(() => {
      throw new Error('disk I/O error');
    });
    try {
      await wait(8000);
      expect(await claimsOnly(doctor)).toBe(400); // not yet
      await wait(3500);
      const answer = await doctor.api.delete<{ code: string }>('/auth/sessions?keep=none');
      expect([answer.status, answer.body.code]).toEqual([503, 'unavailable']);
    } finally {
      spy.mockRestore();
    }
    await wait(2000);
    expect(await claimsOnly(doctor)).toBe(400);
  });
});

describe('SEC-14 two servers on one database', () => {
  const MAX_LAG_MS = 2000;
  const DOCTORS = 10;
  let site: Site;
  let servers: [Server, Server];
  let hospital: Person;
  let people: { id: string; username: string }[];

  const at = (index: 0 | 1, person: Person): Person => site.as(person, servers[index].url);
  async function signIn(username: string, password = PASSWORD): Promise<Person> {
    const answer = await site.as(site.hospital, servers[0].url).api.withToken(null).post<Tokens>('/auth/login', { username, password });
    if (answer.status !== 200) throw new Error(`login of ${username}: ${answer.status}`);
    const { accessToken, ...rest } = answer.body;
    return { ...rest, id: '', username, password, api: at(0, site.hospital).api.withToken(accessToken) };
  }

  beforeAll(async () => {
    site = await prepareSite('revoking');
    servers = [await startServer(site.dir), await startServer(site.dir)];
    hospital = await signIn(site.hospital.username);
    people = await Promise.all(
      Array.from({ length: DOCTORS }, async (_item, index) => {
        const body = { name: `Dr. ${index}`, specialty: 'Surgery' };
        const added = await hospital.api.post<{ activation: { accountId: string; code: string } }>('/hospitals/me/staff', body);
        const username = `revoked.${index}`;
        await hospital.api.withToken(null).post('/auth/activate', { code: added.body.activation.code, username, password: PASSWORD });
        return { id: added.body.activation.accountId, username };
      }),
    );
  }, 120_000);
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  /** How long the other server still took the token, in ms. */
  async function lagOf(victim: Person, act: () => Promise<{ status: number }>): Promise<number> {
    const there = at(1, victim);
    expect(await statusOf(there)).toBe(200);
    const done = await act();
    expect(done.status).toBeLessThan(300);
    const since = Date.now();
    while ((await statusOf(there)) === 200) {
      if (Date.now() - since > 10 * MAX_LAG_MS) throw new Error('the token never ended');
      await wait(20);
    }
    expect(await statusOf(victim)).toBe(401);
    return Date.now() - since;
  }

  type Act = (id: string, username: string) => Promise<{ status: number }>;
  const NEXT = 'seven quiet lamps in snow';
  const ACTS: Readonly<Record<string, Act>> = {
    'all own sessions end': async (_id, username) => (await signIn(username)).api.delete('/auth/sessions'),
    'the hospital ends all sessions': (id) => hospital.api.delete(`/accounts/${id}/sessions`),
    'another password': async (_id, username) =>
      (await signIn(username)).api.post('/auth/password', { currentPassword: PASSWORD, newPassword: NEXT }),
    lock: (id) => hospital.api.post(`/accounts/${id}/lock`),
    close: (id) => hospital.api.post(`/accounts/${id}/close`),
  };

  test('a token ends on the other server within two seconds, in 50 of 50 trials', async () => {
    const lags: number[] = [];
    let password = PASSWORD;
    for (const [name, act] of Object.entries(ACTS)) {
      lags.push(
        ...(await Promise.all(people.map(async ({ id, username }) => lagOf(await signIn(username, password), () => act(id, username))))),
      );
      if (name === 'another password') password = NEXT;
      if (name === 'lock') for (const { id } of people) expect((await hospital.api.post(`/accounts/${id}/unlock`)).status).toBe(200);
    }
    expect(lags).toHaveLength(50);
    expect(Math.max(...lags)).toBeLessThan(MAX_LAG_MS);
  }, 180_000);
});
