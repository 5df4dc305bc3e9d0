import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFoundations } from '../../src/app';
import { ConfigError, readConfig } from '../../src/config/config';
import { Database } from '../../src/database/database';
import { erase } from '../support/erasures';
import { ask, createRoledStore, type RoledStore } from '../support/postgres-roles';
import { startMain } from '../support/tools';
import { addPatient, createWorld, sealedDiagnosis, type World } from '../support/world';

let store: RoledStore;
let world: World;
beforeAll(async () => {
  store = await createRoledStore();
  expect(await store.migrate()).toMatchObject({ code: 0, stderr: '' });
  world = await createWorld({ DATABASE_URL: store.serverUrl });
}, 90_000);
afterAll(async () => {
  await world.close();
  await store.drop();
});

const asServer = (...statements: string[]) => ask(store.serverUrl, ...statements);

test('SEC-97 the server does all its work as a role that owns nothing: sealing, erasing, signing in', async () => {
  const patient = await addPatient(world, world.doctorA, 'Ayşe Demir');
  await sealedDiagnosis(world.doctorA, patient.id);
  await erase(world, patient.id, await sealedDiagnosis(world.doctorA, patient.id));
  await erase(world, patient.id);
  await world.expectChainsIntact();
  const owned = await asServer(
    `SELECT relname FROM pg_class WHERE pg_has_role(relowner, 'MEMBER') AND relnamespace = 'public'::regnamespace`,
  );
  expect(owned.rows).toEqual([]);
}, 60_000);

test('SEC-97 ATTACK any other role of the server does not get in, and nobody but the owner creates anything', async () => {
  const stranger = `stranger_${store.server}`;
  await ask(process.env['TEST_POSTGRES'] ?? '', `CREATE ROLE ${stranger} LOGIN`);
  try {
    const address = store.serverUrl.replace(store.server, stranger);
    await expect(ask(address, `SELECT pg_notify('bjwt_ehr', '{}')`)).rejects.toThrow('permission denied for database');
  } finally {
    await ask(process.env['TEST_POSTGRES'] ?? '', `DROP ROLE ${stranger}`);
  }
  for (const statement of ['CREATE TABLE x (y int)', 'CREATE TEMPORARY TABLE x (y int)', 'CREATE SCHEMA x'])
    await expect(asServer(statement)).rejects.toThrow('permission denied');
});

describe('SEC-97 ATTACK with the password of the server’s role', () => {
  const appendOnly = ['audit_event', 'author_key', 'consent', 'key_event', 'ledger_block', 'log_checkpoint', 'log_cosignature'];
  const more = ['log_incarnation', 'log_leaf', 'log_tile', 'trail_batch'];

  test('nothing append-only is changed, deleted or emptied: PostgreSQL refuses before a trigger is asked', async () => {
    for (const table of [...appendOnly, ...more]) {
      const [column] = world.foundations.sources.reader.entityMetadatas.find(({ tableName }) => tableName === table)?.columns ?? [];
      const set = `"${column?.databaseName}" = "${column?.databaseName}"`;
      for (const statement of [`UPDATE "${table}" SET ${set}`, `DELETE FROM "${table}"`, `TRUNCATE "${table}"`])
        await expect(asServer(statement)).rejects.toThrow('permission denied for table');
    }
    for (const table of ['ledger_chain', 'log', 'erasure', 'witness_checkpoint'])
      await expect(asServer(`DELETE FROM "${table}"`)).rejects.toThrow('permission denied for table');
    const { rows } = await asServer(`
      SELECT table_name AS t, privilege_type AS p FROM information_schema.role_table_grants
      WHERE grantee = '${store.server}' AND (table_name = ANY('{${[...appendOnly, ...more].join()}}') OR privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES'))
        AND privilege_type NOT IN ('SELECT', 'INSERT')`);
    expect(rows).toEqual([]);
  });

  test.each([
    ['ALTER TABLE "audit_event" DISABLE TRIGGER USER', 'must be owner'],
    ['DROP TRIGGER "audit_event_no_delete" ON "audit_event"', 'must be owner'],
    ['DROP TABLE "audit_event" CASCADE', 'must be owner'],
    ['DROP FUNCTION "audit_event_no_delete"() CASCADE', 'must be owner'],
    [`CREATE OR REPLACE FUNCTION "record_no_update"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`, 'permission denied'],
    ['CREATE TABLE "other" (id int)', 'permission denied'],
    ['SET session_replication_role = replica', 'permission denied'],
    ['DELETE FROM "migrations"', 'permission denied'],
    [`UPDATE "record" SET "status" = 'draft'`, 'never changed'],
    ['DELETE FROM "ledger_content"', 'append-only'],
    ['UPDATE "ledger_chain" SET "height" = 0', 'only grows'],
  ])('%s', async (statement, refusal) => {
    await sealedDiagnosis(world.doctorA, world.patientA.id);
    await expect(asServer(statement)).rejects.toThrow(refusal);
  });

  test('a temporary table in place of the chain, where the operator lets it be made, does not tell the triggers of an erasure', async () => {
    await ask(
      store.ownerUrl,
      `DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO ${store.server}', current_database()); END $$`,
    );
    const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
    await sealedDiagnosis(world.doctorA, world.patientA.id);
    // Each block is one that erases the block before it.
    const before = `SELECT b."blockHash" FROM public."ledger_block" b WHERE b."chainId" = l."chainId" AND b."height" = l."height" - 1`;
    const forge = `UPDATE "ledger_block" l SET "refHash" = (${before}), "header" = set_byte("header", 16, 4)`;
    const copy = 'CREATE TEMP TABLE "ledger_block" AS SELECT * FROM public."ledger_block"';
    const attack = asServer(copy, forge, `DELETE FROM "ledger_content" WHERE "recordId" = '${record}'`);
    await expect(attack).rejects.toThrow('append-only');
  });

  test('the reading pool writes nothing', async () => {
    await expect(world.foundations.sources.reader.query(`INSERT INTO "rate_count" VALUES (1, '\\x00', 1)`)).rejects.toThrow('read-only');
  });
});

test('after an erasure, dead rows of tables that the role may not VACUUM count as purged once somebody did', async () => {
  const { sources } = world.foundations;
  const database = new Database(sources);
  const [version] = await sources.reader.query<{ n: number }[]>(`SELECT current_setting('server_version_num')::int AS n`);
  const longAgo = Date.now() - 48 * 3_600_000;
  try {
    expect(await database.purge(longAgo)).toBe((version?.n ?? 0) >= 170_000);
    await ask(store.ownerUrl, 'VACUUM');
    expect(await database.purge(longAgo)).toBe(true);
  } finally {
    await database.peers.close();
  }
});

describe('who may change the schema', () => {
  const folders: string[] = [];
  const newFolder = () => {
    const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-roles-'));
    folders.push(dir);
    return dir;
  };
  afterAll(() => folders.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

  test('a server whose role may not change it refuses to start on one that is not up to date and says what to do', async () => {
    const empty = await createRoledStore();
    const dir = newFolder();
    try {
      const start = openFoundations(readConfig({ DATA_DIR: dir, DATABASE_URL: empty.serverUrl }));
      await expect(start).rejects.toThrow(ConfigError);
      await expect(openFoundations(readConfig({ DATA_DIR: dir, DATABASE_URL: empty.serverUrl }))).rejects.toThrow('npm run migrate');
    } finally {
      await empty.drop();
    }
  });

  test('npm run migrate again does nothing, and gives a role that had more what it needs', async () => {
    await ask(store.ownerUrl, `GRANT ALL ON ALL TABLES IN SCHEMA public TO ${store.server}`);
    const again = await store.migrate();
    expect(again).toMatchObject({ code: 0, stdout: `The schema is up to date, and ${store.server} has its rights.\n` });
    await expect(asServer('TRUNCATE "rate_count"')).rejects.toThrow('permission denied');
    await expect(asServer('DELETE FROM "audit_event"')).rejects.toThrow('permission denied');
  });

  test('in production a server that runs as the owner says so; one that does not has nothing to say', async () => {
    const trial = await createRoledStore();
    const settings = (url: string) => ({
      DATA_DIR: newFolder(),
      PORT: '0',
      NODE_ENV: 'production',
      ARGON2_MEMORY_KIB: '256',
      DATABASE_URL: url,
    });
    const owner = await startMain(settings(trial.ownerUrl));
    expect(owner.output()).toContain('owns the tables');
    await owner.stop();
    await trial.drop();
    const proper = await createRoledStore();
    await proper.migrate();
    const server = await startMain(settings(proper.serverUrl));
    expect(server.output()).not.toContain('owns the tables');
    expect(server.setupCode).not.toBe('');
    await server.stop();
    await proper.drop();
  }, 60_000);
});
