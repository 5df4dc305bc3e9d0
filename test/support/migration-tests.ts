import type { DataSource } from 'typeorm';

/** What the database itself lets nobody change. */
export const APPEND_ONLY = [
  ...['audit_event', 'ledger_block', 'ledger_content', 'author_key', 'key_event', 'consent', 'trail_batch'],
  ...['log_leaf', 'log_tile', 'log_checkpoint', 'log_cosignature', 'log_incarnation'],
];

/** How one kind of database tells what it holds. */
export interface SchemaOf {
  readonly source: () => DataSource;
  readonly tables: () => Promise<string[]>;
  readonly triggers: () => Promise<unknown[]>;
  /** All of it, in a fixed order. */
  readonly whole: () => Promise<unknown[]>;
}

/** What holds for the migrations of every database. */
export function testMigrations({ source, tables, triggers, whole }: SchemaOf): void {
  test('the migrations give exactly what the entities describe', async () => {
    await source().runMigrations();
    const log = await source().driver.createSchemaBuilder().log();
    expect(log.upQueries.map((item) => item.query)).toEqual([]);
    expect(source().options.synchronize).toBe(false);
  });

  test('every entity has its table, and there is no other table', async () => {
    await source().runMigrations();
    const named = (await tables()).filter((table) => table !== 'migrations');
    expect(named.sort()).toEqual(
      source()
        .entityMetadatas.map((item) => item.tableName)
        .sort(),
    );
  });

  test('running them again does nothing', async () => {
    expect((await source().runMigrations()).length).toBeGreaterThanOrEqual(2);
    const first = await whole();
    expect(await source().runMigrations()).toEqual([]);
    expect(await whole()).toEqual(first);
  });

  test('every migration but the first is undone and done again; the first refuses, for it would destroy all records', async () => {
    const done = await source().runMigrations();
    const full = await whole();
    for (let left = done.length; left > 1; left -= 1) await source().undoLastMigration();
    expect(await triggers()).toEqual([]);
    const before = await whole();
    await expect(source().undoLastMigration()).rejects.toThrow('would destroy all records');
    expect(await whole()).toEqual(before);
    await source().runMigrations();
    expect(await whole()).toEqual(full);
  });
}
