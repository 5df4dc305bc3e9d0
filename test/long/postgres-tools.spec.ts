import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApiClient } from '../support/api-client';
import { type OwnPostgres, ownPostgres } from '../support/own-postgres';
import { ask, createRoledStore, type RoledStore } from '../support/postgres-roles';
import { type Server, startServer } from '../support/servers';
import { startTestApp } from '../support/test-app';
import { runProgram } from '../support/tools';
import { createWorld, sealedDiagnosis, type World } from '../support/world';

/** The operator's programs on a database whose tables belong to somebody else. */
let postgres: OwnPostgres;
let store: RoledStore;
let world: World;
let record: string;
let settings: Record<string, string>;
beforeAll(async () => {
  postgres = ownPostgres();
  store = await createRoledStore(postgres.url());
  await store.migrate();
  world = await createWorld({ DATABASE_URL: store.serverUrl });
  record = await sealedDiagnosis(world.doctorA, world.patientA.id);
  await world.app.close();
  settings = { DATA_DIR: world.dir, DATABASE_URL: store.serverUrl };
}, 90_000);
afterAll(async () => {
  await world.close();
  postgres.end();
});

const keys = (...args: string[]) => runProgram('tools/keys', args, settings);
const ledger = (url: string, ...args: string[]) => runProgram('tools/ledger', args, { ...settings, DATABASE_URL: url });

async function withServer<T>(work: (server: Server) => Promise<T>): Promise<T> {
  const server = await startServer(world.dir, { DATABASE_URL: store.serverUrl });
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

/** What a server on a database answers for the record that was sealed first. */
async function reads(url = store.serverUrl): Promise<number> {
  const app = await startTestApp({ DATABASE_URL: url }, world.dir);
  const { status } = await app.anonymous.withToken(world.doctorA.api.token).get(`/records/${record}/content`);
  await app.expectChainsIntact();
  await app.app.close();
  return status;
}

test('SEC-83 keys: beside a server, a hospital’s key is rotated and the former one retired; the root’s is refused until it is stopped', async () => {
  const hospital = world.hospitalA.id;
  await withServer(async () => {
    expect(await keys('rotate', '--hospital', hospital)).toMatchObject({ code: 0, stderr: '' });
    expect(await keys('retire', '--hospital', hospital, '--version', '1')).toMatchObject({ code: 0, stderr: '' });
    expect((await keys('status')).stdout).toMatch(new RegExp(`${hospital}  version 2  `));
    expect(await keys('rotate', '--root')).toMatchObject({ code: 1, stderr: 'Refused: A server runs here; stop it first\n' });
  });
  expect(await keys('rotate', '--root')).toMatchObject({ code: 0, stderr: '' });
  expect(readdirSync(join(world.dir, 'keys'))).not.toContain('root.key.next');
  expect(await reads()).toBe(200);
}, 120_000);

test('operator’s programs make no keys where no server has started', async () => {
  const empty = await createRoledStore(postgres.url());
  const before = await runProgram('tools/keys', ['status'], { ...settings, DATABASE_URL: empty.serverUrl });
  await empty.migrate();
  const after = await runProgram('tools/keys', ['status'], { ...settings, DATABASE_URL: empty.serverUrl });
  for (const refused of [before, after])
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('No server has started') as string });
}, 60_000);

test('ledger: names its keys; after a restore from an old copy a new incarnation goes on, but not beside a server', async () => {
  const [database, yesterday] = [new URL(store.serverUrl.replace('@/', '@x/')).pathname.slice(1), `ehr_yesterday_${process.pid}`];
  await ask(postgres.url(), `CREATE DATABASE ${yesterday} TEMPLATE ${database}`);
  const restored = store.serverUrl.replace(`/${database}?`, `/${yesterday}?`);
  const note = join(world.dir, 'checkpoint');
  await withServer(async (server) => {
    const doctor = { ...world.doctorA, api: new ApiClient(server.url, world.doctorA.api.token) };
    await sealedDiagnosis(doctor, world.patientA.id);
    const checkpoint = await fetch(`${server.url}/api/v1/ledger/logs/${world.hospitalA.id}/checkpoint`);
    writeFileSync(note, await checkpoint.text());
    const begin = await ledger(store.serverUrl, 'new-incarnation', '--hospital', world.hospitalA.id, '--witnessed', note);
    expect(begin).toMatchObject({ code: 1, stderr: expect.stringContaining('A server runs here') as string });
    expect((await ledger(store.serverUrl, 'keys')).stdout).toMatch(/^log /m);
  });
  const sound = await ledger(store.serverUrl, 'new-incarnation', '--hospital', world.hospitalA.id, '--witnessed', note);
  expect(sound).toMatchObject({ code: 1, stderr: expect.stringContaining('The log fits') as string });
  const begun = await ledger(restored, 'new-incarnation', '--hospital', world.hospitalA.id, '--witnessed', note);
  expect(begun).toMatchObject({ code: 0, stdout: expect.stringContaining('/2 begins') as string });
  expect(await reads(restored)).toBe(200);
}, 120_000);

test('audit: beside a working server everything is intact; what the owner changed is found', async () => {
  const audit = () => runProgram('tools/audit', ['--threads', '2'], settings);
  await withServer(async () => {
    expect(await audit()).toMatchObject({ code: 0, stdout: expect.stringContaining('Intact: ') as string });
  });
  const flip = (on: boolean) => `ALTER TABLE "ledger_content" ${on ? 'ENABLE' : 'DISABLE'} TRIGGER USER`;
  const change = `UPDATE "ledger_content" SET "ciphertext" = set_byte("ciphertext", 60, get_byte("ciphertext", 60) # 1)`;
  await ask(store.ownerUrl, flip(false), change, flip(true));
  expect(await audit()).toMatchObject({ code: 1, stdout: expect.stringContaining('NOT INTACT') as string });
  await ask(store.ownerUrl, flip(false), change, flip(true));
  expect((await audit()).code).toBe(0);
}, 120_000);
