import { readFileSync } from 'node:fs';
import { again } from '../support/second-factors';
import { addDoctor, createWorld, PASSWORD, type Person, sealedDiagnosis, type World } from '../support/world';
import { databaseFiles, filesOf } from '../support/database-files';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(async () => {
  await world.expectChainsIntact();
  await world.close();
});

interface Tokens {
  accessToken: string;
  refreshToken: string;
}
interface Session {
  id: string;
  current: boolean;
  amr: string[];
}
const refresh = (refreshToken: string) => world.anonymous.post<Tokens>('/auth/refresh', { refreshToken });
const works = async ({ api, refreshToken }: Person) => [(await api.get('/auth/me')).status, (await refresh(refreshToken)).status];
const listOf = async ({ api }: Person) => (await api.get<Session[]>('/auth/sessions')).body;

/** The doctor of these tests with three sessions. */
async function threeSessions(): Promise<[Person, Person, Person]> {
  const first = await addDoctor(world, world.hospitalA, 'Dr. Three');
  return [first, await again(world, first), await again(world, first)];
}

test('SEC-18 a refresh token has 256 random bits, and only its hash is stored: not in the database, its log, or a log file', async () => {
  const tokens = [world.doctorA.refreshToken];
  for (let round = 0; round < 20; round += 1) {
    const { body } = await refresh(tokens.at(-1) ?? '');
    tokens.push(body.refreshToken);
  }
  expect(new Set(tokens).size).toBe(21);
  for (const token of tokens) expect(Buffer.from(token.slice(3), 'base64url')).toHaveLength(32);
  const files = filesOf(world);
  expect(files.filter((path) => path.endsWith('.log')).length).toBeGreaterThan(0);
  expect(files.length).toBeGreaterThan(databaseFiles(world).length);
  for (const file of files.map((path) => readFileSync(path)))
    for (const token of tokens)
      for (const secret of [Buffer.from(token.slice(3)), Buffer.from(token.slice(3), 'base64url')])
        expect(file.includes(secret)).toBe(false);
});

describe('SEC-23 sessions are listed and ended', () => {
  test('by their holder: one, all others, all', async () => {
    const [first, second, third] = await threeSessions();
    const sessions = await listOf(first);
    expect(sessions.map(({ current, amr }) => [current, amr.join()])).toEqual([
      [false, 'pwd'],
      [false, 'pwd'],
      [true, 'pwd'],
    ]);
    const thirdId = (await listOf(third)).find(({ current }) => current)?.id ?? '';
    expect((await first.api.delete(`/auth/sessions/${thirdId}`)).status).toBe(204);
    expect(await works(third)).toEqual([401, 401]);
    expect((await first.api.delete('/auth/sessions?keep=current')).status).toBe(204);
    expect(await works(second)).toEqual([401, 401]);
    expect(await listOf(first)).toHaveLength(1);
    expect((await first.api.delete('/auth/sessions?keep=all')).status).toBe(400);
    const fourth = await again(world, first);
    expect((await fourth.api.delete('/auth/sessions')).status).toBe(204);
    expect([await works(first), await works(fourth)]).toEqual([
      [401, 401],
      [401, 401],
    ]);
    expect((await again(world, first)).id).toBe(first.id); // the login stays open
  });

  test('by hospital and founder, of people they decide about, and the trail says so', async () => {
    for (const who of [world.hospitalA, world.founder]) {
      const [first, second] = await threeSessions();
      const path = `/accounts/${first.id}/sessions`;
      const seen = await who.api.get<Session[]>(path);
      expect(seen.body.map(({ current }) => current)).toEqual([false, false, false]);
      for (const stranger of [world.hospitalB, world.doctorA, world.patientA, world.auditor, first]) {
        const statuses = [(await stranger.api.get(path)).status, (await stranger.api.delete(path)).status];
        expect(statuses).toEqual(stranger === world.hospitalB ? [404, 404] : [403, 403]);
      }
      expect((await who.api.delete(path)).status).toBe(204);
      expect([await works(first), await works(second)]).toEqual([
        [401, 401],
        [401, 401],
      ]);
      expect((await who.api.get<Session[]>(path)).body).toEqual([]);
      expect((await again(world, first)).id).toBe(first.id);
      const trail = await world.founder.api.get<{ items: { action: string; actorId: string; subjectId: string }[] }>(
        '/audit/events?limit=20',
      );
      for (const action of ['session.list', 'session.end'])
        expect(trail.body.items).toContainEqual(expect.objectContaining({ action, actorId: who.id, subjectId: first.id }));
    }
  });
});

test('SEC-25 SEC-26 answers about sign-ins and charts set no cookie, are stored by no cache and carry no ETag made of their content', async () => {
  const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
  const { doctorA, patientA, anonymous } = world;
  const answers = [
    await anonymous.post('/auth/login', { username: doctorA.username, password: PASSWORD }),
    await refresh((await again(world, doctorA)).refreshToken),
    await doctorA.api.get('/auth/me'),
    await doctorA.api.get('/auth/sessions'),
    await doctorA.api.get('/auth/factors'),
    await doctorA.api.get(`/patients/${patientA.id}`),
    await doctorA.api.get(`/patients/${patientA.id}/records`),
    await doctorA.api.get(`/records/${record}`),
    await doctorA.api.get(`/records/${record}/content`),
    await doctorA.api.get(`/patients/${patientA.id}/print`),
    await patientA.api.get('/patients/me/access-log'),
    await anonymous.get('/auth/me'),
    await doctorA.api.get('/records/none'),
  ];
  for (const { headers, status } of answers) {
    expect([headers.get('cache-control'), headers.get('set-cookie')]).toEqual(['no-store', null]);
    // Records have the version that If-Match names.
    if (headers.get('etag') !== null) expect([status, headers.get('etag')]).toEqual([200, expect.stringMatching(/^"\d+"$/)]);
  }
});
