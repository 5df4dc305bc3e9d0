import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { KeyRing } from '../../src/crypto/key-ring.service';
import { newId } from '../../src/common/ids';
import { Database } from '../../src/database/database';
import { ApiClient } from '../support/api-client';
import { startLoad } from '../support/load';
import { openRawFile, rows } from '../support/raw-database';
import { type Server, startServer } from '../support/servers';
import { startTestApp } from '../support/test-app';
import { runProgram, spawnProgram } from '../support/tools';
import { createWorld, sealedDiagnosis, type World } from '../support/world';

/** Enough that a rotation can be met in the middle. */
const SUBJECTS = 3000;

let world: World;
let record: string;
let server: Server | undefined;
beforeAll(async () => {
  world = await createWorld();
  record = await sealedDiagnosis(world.doctorA, world.patientA.id, 'kept');
  const ring = world.app.get(KeyRing);
  await world.app.get(Database).transaction(async (tx) => {
    for (let count = 0; count < SUBJECTS; count++) await ring.vault(tx, { subjectId: newId(), tenantId: world.hospitalA.id });
  });
  await world.app.close();
}, 60_000);
afterAll(async () => {
  await server?.stop('SIGKILL');
  rmSync(world.dir, { recursive: true, force: true });
});

const keys = (...args: string[]) => runProgram('tools/keys', args, { DATA_DIR: world.dir });
function query<T>(sql: string, ...parameters: unknown[]): T[] {
  const db = openRawFile(join(world.dir, 'ehr.sqlite'));
  try {
    return rows<T>(db, sql, ...parameters);
  } finally {
    db.close();
  }
}
const versions = () =>
  query<{ kekVersion: number; n: number }>(
    `SELECT kekVersion, COUNT(*) AS n FROM data_key WHERE tenantId = ? AND state = 'active' GROUP BY kekVersion ORDER BY kekVersion`,
    world.hospitalA.id,
  );
const keksOfA = () =>
  query<{ version: number; wrapped: Buffer }>(`SELECT version, wrapped FROM kek WHERE tenantId = ?`, world.hospitalA.id);
const acts = () =>
  query<{ action: string; kind: string; actorId: string | null; hospitalId: string | null; count: number | null }>(
    `SELECT action, kind, actorId, hospitalId, count FROM audit_event WHERE action LIKE 'key.r%' AND kind IN ('kek', 'token', 'root') ORDER BY id`,
  );
/** All that is sealed for people. */
const sealedCells = () =>
  createHash('sha256')
    .update(
      JSON.stringify(query(`SELECT hex(name), hex(contact) FROM patient WHERE hospitalId = ? ORDER BY id LIMIT 1`, world.hospitalA.id)),
    )
    .update(JSON.stringify(query('SELECT hex(ciphertext), hex(recordKey) FROM ledger_content ORDER BY recordId LIMIT 1')))
    .digest('hex');

const doctor = (url: string) => new ApiClient(url, world.doctorA.api.token);
/** Reads and writes by a doctor, new people with new data keys among them. */
const loadOn = (url: string) =>
  startLoad([
    () => doctor(url).get(`/records/${record}/content`),
    () => doctor(url).get(`/patients/${world.patientA.id}`),
    () => doctor(url).post(`/patients/${world.patientA.id}/diagnoses`, { code: 'I10', display: 'Hypertension', note: 'n' }),
    () => doctor(url).post('/patients', { name: 'Newly Enrolled', birthDate: '1990-01-01', gender: 'other' }),
  ]);

it('SEC-83 a rotation killed half-way leaves a database that serves, and goes on where it was', async () => {
  const child = spawnProgram('tools/keys', ['rotate', '--hospital', world.hospitalA.id], { DATA_DIR: world.dir });
  for await (const line of createInterface(child.stdout)) if (line.includes('new version 2')) child.kill('SIGKILL');
  await once(child, 'close').catch(() => undefined);
  expect(versions().find(({ kekVersion }) => kekVersion === 1)?.n).toBeGreaterThan(0);
  server = await startServer(world.dir);
  expect((await doctor(server.url).get(`/records/${record}/content`)).text).toContain('kept');
  const refused = await keys('retire', '--hospital', world.hospitalA.id, '--version', '1');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('still wraps data keys')]);
  expect(keksOfA().map(({ version }) => version)).toEqual([1, 2]);
}, 60_000);

it('SEC-83 under load: no error, nothing encrypted again, the former key destroyed, and all of it readable, also after a restart', async () => {
  if (!server) throw new Error('no server');
  const before = sealedCells();
  const [former] = keksOfA();
  if (!former) throw new Error('no key');
  const load = loadOn(server.url);
  const rotated = await keys('rotate', '--hospital', world.hospitalA.id);
  expect([rotated.code, rotated.stderr]).toEqual([0, '']);
  expect(rotated.stdout).toMatch(/going on with version 2\n.*: \d+ data keys rewrapped to version 2\n/);
  const everybody = await keys('rotate', '--all');
  expect([everybody.code, everybody.stdout.match(/new version/g)]).toEqual([0, expect.arrayContaining(['new version'])]);
  const status = await keys('status');
  expect(status.stdout).toMatch(new RegExp(`${world.hospitalA.id}  version 2  decrypt-only  wraps 0 data keys`));
  expect(status.stdout).toMatch(new RegExp(`${world.hospitalA.id}  version 3  current  wraps \\d{4} data keys`));
  for (const version of ['1', '2']) expect((await keys('retire', '--hospital', world.hospitalA.id, '--version', version)).code).toBe(0);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.done()).toBeGreaterThan(100);

  expect(versions().map(({ kekVersion }) => kekVersion)).toEqual([3]);
  expect(keksOfA().map(({ version }) => version)).toEqual([3]);
  expect(sealedCells()).toBe(before);
  await server.stop();
  for (const file of readdirSync(world.dir).filter((name) => name.startsWith('ehr.sqlite')))
    expect([file, readFileSync(join(world.dir, file)).includes(former.wrapped)]).toEqual([file, false]);
  const again = await startTestApp({}, world.dir);
  const api = again.anonymous.withToken(world.doctorA.api.token);
  expect((await api.get(`/records/${record}/content`)).text).toContain('kept');
  expect((await api.get<{ name: string }>(`/patients/${world.patientA.id}`)).body.name).toBe('Ayşe Demir');
  await again.expectChainsIntact();
  await again.app.close();
}, 120_000);

it('SEC-83 SEC-95 rotation and retirement are on the trail, without an actor', () => {
  const ofA = acts().filter(({ hospitalId }) => hospitalId === world.hospitalA.id);
  expect(ofA.map(({ action }) => action)).toEqual(['key.rotate', 'key.rewrap', 'key.rotate', 'key.rewrap', 'key.retire', 'key.retire']);
  expect(ofA.every(({ actorId, kind }) => actorId === null && kind === 'kek')).toBe(true);
  expect(ofA[3]?.count).toBeGreaterThan(SUBJECTS);
});

it('SEC-83 what a command may not do it refuses, and changes nothing', async () => {
  const before = keksOfA();
  const wrong: [string[], number, RegExp][] = [
    [['retire', '--hospital', world.hospitalA.id, '--version', '3'], 1, /rotate first/],
    [['retire', '--hospital', world.hospitalA.id, '--version', '9'], 1, /no such key-encryption key/],
    [['rotate', '--hospital', newId()], 1, /No such hospital/],
    [['rotate'], 2, /^$/],
    [['rotate', '--all', '--root'], 2, /^$/],
    [['destroy'], 2, /^$/],
  ];
  const check = async ([args, code, message]: (typeof wrong)[number]) =>
    expect([args, await keys(...args)]).toMatchObject([args, { code, stderr: expect.stringMatching(message) }]);
  await Promise.all(wrong.map(check));
  const elsewhere = await runProgram('tools/keys', ['status'], { DATA_DIR: join(world.dir, 'nowhere') });
  expect([elsewhere.code, elsewhere.stderr]).toEqual([1, expect.stringContaining('There is no database')]);
  expect(keksOfA()).toEqual(before);
}, 60_000);

describe('SEC-83 SEC-84 another root', () => {
  const file = (name: string) => join(world.dir, 'keys', name);
  const reads = async () => {
    const app = await startTestApp({}, world.dir);
    const { status } = await app.anonymous.withToken(world.doctorA.api.token).get(`/records/${record}/content`);
    await app.app.close();
    return status;
  };

  it('is refused beside a server', async () => {
    const running = await startServer(world.dir);
    const refused = await keys('rotate', '--root');
    await running.stop();
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('A server runs here')]);
  }, 30_000);

  it('opens everything that the former one did, which opens nothing any more', async () => {
    copyFileSync(file('root.key'), file('former'));
    expect(await keys('rotate', '--root')).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(join(world.dir, 'keys'))).not.toContain('root.key.next');
    expect(await reads()).toBe(200);
    expect(acts().at(-1)).toMatchObject({ action: 'key.rotate', kind: 'root', actorId: null });
  }, 30_000);

  it('stopped between database and file: the server refuses, the same command finishes', async () => {
    renameSync(file('root.key'), file('root.key.next'));
    renameSync(file('former'), file('root.key'));
    await expect(reads()).rejects.toMatchObject({ code: 'wrong_root_key' });
    expect(await keys('rotate', '--root')).toMatchObject({ code: 0, stdout: expect.stringContaining('0 key-encryption keys') });
    expect(await reads()).toBe(200);
  }, 30_000);
});
