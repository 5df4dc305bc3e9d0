import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import { APPEND_ONLY, testMigrations } from '../support/migration-tests';

let dir: string;
let source: DataSource;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-migrations-'));
  source = await new DataSource(dataSourceOptions(join(dir, 'ehr.sqlite'))).initialize();
});
afterEach(async () => {
  await source.destroy();
  rmSync(dir, { recursive: true, force: true });
});

type Named = { name: string; type: string; sql: string | null };
const schema = () => source.query<Named[]>("SELECT name, type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name");

testMigrations({
  source: () => source,
  tables: async () => (await schema()).filter((item) => item.type === 'table').map((item) => item.name),
  triggers: async () => (await schema()).filter((item) => item.type === 'trigger'),
  whole: schema,
});

describe('SEC-51 SEC-97 the database itself refuses to change what is sealed or on the trail', () => {
  /** A row of zeros and empty texts: enough for the triggers. */
  async function insertRow(table: string, values: Record<string, unknown> = {}): Promise<void> {
    const columns = await source.query<{ name: string; type: string; notnull: number }[]>(`PRAGMA table_info("${table}")`);
    const needed = columns.filter((column) => column.notnull === 1 || column.name in values);
    const row = needed.map(({ name, type }) => values[name] ?? (/blob/i.test(type) ? Buffer.alloc(1) : /int/i.test(type) ? 0 : ''));
    await source.query(
      `INSERT INTO "${table}" (${needed.map(({ name }) => `"${name}"`).join()}) VALUES (${needed.map(() => '?').join()})`,
      row,
    );
  }
  beforeEach(async () => {
    await source.runMigrations();
  });

  test.each(APPEND_ONLY)('%s', async (table) => {
    await insertRow(table);
    const [column] = await source.query<[{ name: string }]>(`PRAGMA table_info("${table}")`);
    await expect(source.query(`UPDATE "${table}" SET "${column.name}" = "${column.name}"`)).rejects.toThrow('append-only');
    await expect(source.query(`DELETE FROM "${table}"`)).rejects.toThrow('append-only');
    await expect(source.query(`INSERT OR REPLACE INTO "${table}" SELECT * FROM "${table}"`)).rejects.toThrow();
    expect(await source.query(`SELECT COUNT(*) AS n FROM "${table}"`)).toEqual([{ n: 1 }]);
  });

  test('a sealed record is neither changed nor deleted; a draft is', async () => {
    await insertRow('record', { id: 'sealed', status: 'sealed' });
    await insertRow('record', { id: 'draft', status: 'draft' });
    await expect(source.query(`UPDATE "record" SET "version" = 2 WHERE "id" = 'sealed'`)).rejects.toThrow('never changed');
    await expect(source.query(`UPDATE "record" SET "status" = 'draft'`)).rejects.toThrow('never changed');
    await expect(source.query(`DELETE FROM "record"`)).rejects.toThrow('never deleted');
    await expect(source.query(`INSERT OR REPLACE INTO "record" SELECT * FROM "record" WHERE "id" = 'sealed'`)).rejects.toThrow();
    await source.query(`UPDATE "record" SET "version" = 2 WHERE "id" = 'draft'`);
    await source.query(`DELETE FROM "record" WHERE "id" = 'draft'`);
  });

  test('a chain moves on by one block and in no other way', async () => {
    await insertRow('ledger_chain', { chainId: Buffer.from('c'), patientId: 'p', hospitalId: 'h', height: 1 });
    await source.query(`UPDATE "ledger_chain" SET "height" = 2`);
    for (const change of [
      '"height" = 1',
      '"height" = 4',
      '"headHash" = x\'00\'',
      '"height" = 3, "patientId" = \'q\'',
      '"height" = 3, "chainId" = x\'01\'',
    ])
      await expect(source.query(`UPDATE "ledger_chain" SET ${change}`)).rejects.toThrow('only grows');
    await expect(source.query('DELETE FROM "ledger_chain"')).rejects.toThrow('never deleted');
    await expect(source.query('INSERT OR REPLACE INTO "ledger_chain" SELECT * FROM "ledger_chain"')).rejects.toThrow();
  });
});

test('SEC-34 SEC-37 wrong passwords that were counted and locks that were made before the lockout tables still count', async () => {
  const newest = async () =>
    (await source.query<[{ name: string }]>(`SELECT "name" FROM "migrations" ORDER BY "timestamp" DESC LIMIT 1`))[0].name;
  const undoLockout = async () => {
    while (!(await newest()).startsWith('Lockout')) await source.undoLastMigration();
    await source.undoLastMigration();
  };
  await source.runMigrations();
  await undoLockout();
  const locked = { founder: 'ADMIN', hospital: 'HOSPITAL', guesses: null };
  const account = (id: string, status: string, failures: number) =>
    source.query(
      `INSERT INTO "account" ("id", "role", "status", "name", "failedAttempts", "createdAt") VALUES ('${id}', 'DOCTOR', '${status}', x'00', ${failures}, 0)`,
    );
  await account('trying', 'ACTIVE', 7);
  await account('calm', 'ACTIVE', 0);
  for (const [id, role] of Object.entries(locked)) {
    await account(id, 'LOCKED', role === null ? 10 : 0);
    await source.query(
      `INSERT INTO "audit_event" ("id", "at", "action", "outcome", "actorRole", "subjectId", "requestId") VALUES (?, 0, 'account.lock', 'ok', ?, ?, 'r')`,
      [id, role, id],
    );
  }
  await source.runMigrations();
  expect(await source.query('SELECT "id", "lockedBy" FROM "account" WHERE "status" = \'LOCKED\' ORDER BY "id"')).toEqual(
    ['founder', 'guesses', 'hospital'].map((id) => ({ id, lockedBy: id })),
  );
  expect(await source.query('SELECT "subject", "failures" FROM "login_counter" ORDER BY "subject"')).toEqual([
    { subject: 'guesses', failures: 10 },
    { subject: 'trying', failures: 7 },
  ]);
  await undoLockout();
  expect(await source.query('SELECT "failedAttempts" AS n FROM "account" WHERE "id" = \'trying\'')).toEqual([{ n: 7 }]);
});
