import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import { readConfig } from '../../src/config/config';
import { withBytea } from '../../src/database/postgres-options';
import { dropStore, storeOf } from '../support/test-store';

let counter = 0;
let name: string;
let source: DataSource;
beforeEach(async () => {
  name = `migrations-${(counter += 1)}`;
  source = await withBytea(new DataSource(dataSourceOptions(readConfig(await storeOf(name))))).initialize();
});
afterEach(async () => {
  await source.destroy();
  await dropStore(name);
});

/** Tables with their columns, indexes, constraints, triggers and functions, as PostgreSQL spells them. */
const schema = () =>
  source.query<{ kind: string; of: string; text: string }[]>(`
    SELECT 'column' AS kind, table_name AS "of", concat_ws(' ', column_name, data_type, character_maximum_length, is_nullable, column_default) AS text
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3`);
const triggers = async () => (await schema()).filter(({ kind }) => kind === 'trigger');

test('the migrations give exactly what the entities describe', async () => {
  await source.runMigrations();
  const log = await source.driver.createSchemaBuilder().log();
  expect(log.upQueries.map((item) => item.query)).toEqual([]);
  expect(source.options.synchronize).toBe(false);
});

test('every entity has its table, and there is no other table', async () => {
  await source.runMigrations();
  const tables = await source.query<{ name: string }[]>(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`);
  const named = tables.map((table) => table.name).filter((table) => table !== 'migrations');
  expect(named.sort()).toEqual(source.entityMetadatas.map((item) => item.tableName).sort());
});

test('running them again does nothing', async () => {
  expect((await source.runMigrations()).length).toBeGreaterThanOrEqual(2);
  const first = await schema();
  expect(await source.runMigrations()).toEqual([]);
  expect(await schema()).toEqual(first);
});

test('every migration but the first is undone and done again; the first refuses, for it would destroy all records', async () => {
  const done = await source.runMigrations();
  const full = await schema();
  for (let left = done.length; left > 1; left -= 1) await source.undoLastMigration();
  expect(await triggers()).toEqual([]);
  const before = await schema();
  await expect(source.undoLastMigration()).rejects.toThrow('would destroy all records');
  expect(await schema()).toEqual(before);
  await source.runMigrations();
  expect(await schema()).toEqual(full);
});

describe('SEC-51 SEC-97 the database itself refuses to change what is sealed or on the trail', () => {
  const sealed = ['audit_event', 'ledger_block', 'ledger_content', 'author_key', 'key_event', 'consent', 'trail_batch'];
  const published = ['log_leaf', 'log_tile', 'log_checkpoint', 'log_cosignature', 'log_incarnation'];
  const appendOnly = [...sealed, ...published];
  /** A row of zeros and empty texts: enough for the triggers. */
  async function insertRow(table: string): Promise<void> {
    const columns = await source.query<{ name: string; type: string; required: boolean }[]>(
      `SELECT column_name AS name, data_type AS type, is_nullable = 'NO' AS required FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`,
      [table],
    );
    const needed = columns.filter(({ required }) => required);
    const row = needed.map(({ type }) => (type === 'bytea' ? Buffer.alloc(1) : /int/.test(type) ? 0 : ''));
    const [names, places] = [needed.map((column) => `"${column.name}"`), needed.map((_, index) => `$${index + 1}`)];
    await source.query(`INSERT INTO "${table}" (${names.join()}) VALUES (${places.join()})`, row);
  }

  test('each table', async () => {
    await source.runMigrations();
    for (const table of appendOnly) {
      await insertRow(table);
      const [column] = await source.query<[{ name: string }]>(
        `SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1 LIMIT 1`,
        [table],
      );
      await expect(source.query(`UPDATE "${table}" SET "${column.name}" = "${column.name}"`)).rejects.toThrow('append-only');
      await expect(source.query(`DELETE FROM "${table}"`)).rejects.toThrow('append-only');
      await expect(source.query(`TRUNCATE "${table}"`)).rejects.toThrow('nothing here is emptied');
      expect(await source.query(`SELECT COUNT(*) AS n FROM "${table}"`)).toEqual([{ n: 1 }]);
    }
  });
});
