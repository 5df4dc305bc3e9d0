import type Database from 'better-sqlite3';
import { sqliteDriver } from '../../src/database/sqlite-options';
import { inPostgres } from './postgres-words';
import { type RawDatabase, RawPostgres } from './raw-postgres';
import type { TestApp } from './test-app';

export type { RawDatabase };
type Row = Record<string, unknown>;

/** A connection beside the server's own: what somebody has who holds the database file. */
export function openRaw({ foundations }: Pick<TestApp, 'foundations'>): RawDatabase {
  const { postgres, sqlitePath } = foundations.config;
  return postgres ? new RawPostgres(postgres.url) : openRawFile(sqlitePath);
}

export function openRawFile(file: string): Database.Database {
  return new (sqliteDriver() as typeof Database)(file);
}

export function rows<T = Row>(db: RawDatabase, sql: string, ...parameters: unknown[]): T[] {
  return db.prepare(sql).all(...parameters) as T[];
}

/** The same, of the connections that the server reads with. */
export function select<T = Row>({ foundations }: Pick<TestApp, 'foundations'>, sql: string, ...parameters: unknown[]): Promise<T[]> {
  const { config, sources } = foundations;
  return sources.reader.query<T[]>(config.postgres ? inPostgres(sql) : sql, parameters);
}

export function tableNames(db: RawDatabase): string[] {
  const sqlite = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`;
  const postgres = `SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()`;
  return rows<{ name: string }>(db, db instanceof RawPostgres ? postgres : sqlite).map(({ name }) => name);
}

export function columnNames(db: RawDatabase, table: string): string[] {
  const sqlite = 'SELECT name FROM pragma_table_info(?)';
  const postgres = 'SELECT column_name AS name FROM information_schema.columns WHERE table_name = ? ORDER BY ordinal_position';
  return rows<{ name: string }>(db, db instanceof RawPostgres ? postgres : sqlite, table).map(({ name }) => name);
}

/** Takes away the unique indexes of these tables that are no part of them; answers with the statements that bring them back. */
export function dropUniqueIndexes(db: RawDatabase, ...tables: string[]): string[] {
  const sqlite = `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql LIKE 'CREATE UNIQUE%'`;
  const postgres = `SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE tablename = ? AND indexdef LIKE 'CREATE UNIQUE%'
    AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)`;
  const found = tables.flatMap((table) => rows<{ name: string; sql: string }>(db, db instanceof RawPostgres ? postgres : sqlite, table));
  for (const { name } of found) db.exec(`DROP INDEX "${name}"`);
  return found.map(({ sql }) => sql);
}

/** The chain of a patient as it lies in the database, by height. */
export interface StoredRow {
  chainId: Buffer;
  height: number;
  blockHash: Buffer;
  prevHash: Buffer;
  header: Buffer;
  recordId: string;
  version: number;
  attestation: string | null;
}

export function storedChain(db: RawDatabase, patientId: string): StoredRow[] {
  const sql = `SELECT b.* FROM ledger_block b JOIN ledger_chain c ON c.chainId = b.chainId WHERE c.patientId = ? ORDER BY b.height`;
  return rows<StoredRow>(db, sql, patientId);
}

/**
 * Changes tables as an owner of the file can: drops their triggers, makes the change, lets `check` look, and puts rows and triggers back as they
 * were, whatever `check` found.
 */
export async function tamper(
  app: TestApp,
  tables: readonly string[],
  change: (db: RawDatabase) => void,
  check: () => Promise<void>,
): Promise<void> {
  const db = openRaw(app);
  const restoreTriggers = withoutTriggers(db, tables);
  for (const table of tables) db.exec(`CREATE TEMP TABLE "keep_${table}" AS SELECT * FROM "${table}"`);
  try {
    db.transaction(change)(db);
    await check();
  } finally {
    db.transaction(() => {
      for (const table of tables) {
        db.exec(`DELETE FROM "${table}"`);
        db.exec(`INSERT INTO "${table}" SELECT * FROM "keep_${table}"`);
      }
      restoreTriggers();
    })();
    db.close();
  }
}

/** Takes the triggers of these tables away; the returned function brings them back. */
function withoutTriggers(db: RawDatabase, tables: readonly string[]): () => void {
  if (db instanceof RawPostgres) {
    db.skipTriggers();
    return () => undefined;
  }
  const triggers = rows<{ name: string; sql: string }>(
    db,
    `SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (${tables.map(() => '?').join()})`,
    ...tables,
  );
  for (const { name } of triggers) db.exec(`DROP TRIGGER "${name}"`);
  return () => {
    for (const { sql } of triggers) db.exec(sql);
  };
}
