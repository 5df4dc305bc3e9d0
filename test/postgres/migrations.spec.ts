import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import { readConfig } from '../../src/config/config';
import { withBytea } from '../../src/database/postgres-options';
import { APPEND_ONLY, testMigrations } from '../support/migration-tests';
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

testMigrations({
  source: () => source,
  tables: async () =>
    (await source.query<{ name: string }[]>(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`)).map(({ name }) => name),
  triggers: async () => (await schema()).filter(({ kind }) => kind === 'trigger'),
  whole: schema,
});

describe('SEC-51 SEC-97 the database itself refuses to change what is sealed or on the trail', () => {
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
    for (const table of APPEND_ONLY) {
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
