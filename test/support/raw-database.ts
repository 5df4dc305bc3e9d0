import type Database from 'better-sqlite3';
import { sqliteDriver } from '../../src/database/sqlite-options';
import { type RawDatabase, RawPostgres } from './raw-postgres';
import type { TestApp } from './test-app';

export type { RawDatabase };
type Row = Record<string, unknown>;

const driver = () => sqliteDriver() as typeof Database;

/** A connection beside the server's own: what somebody has who holds the database file. */
export function openRaw({ foundations }: Pick<TestApp, 'foundations'>): RawDatabase {
  const { postgres, sqlitePath } = foundations.config;
  return postgres ? new RawPostgres(postgres.url) : openRawFile(sqlitePath);
}

export function openRawFile(file: string): Database.Database {
  return new (driver())(file);
}

export function rows<T = Row>(db: RawDatabase, sql: string, ...parameters: unknown[]): T[] {
  return db.prepare(sql).all(...parameters) as T[];
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
    db.withoutTriggers(tables, true);
    return () => db.withoutTriggers(tables, false);
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

/** What the publisher of the logs looks at by itself. */
const PUBLISHER = /FROM "log" /;

/** Every SQL statement that runs in this process while `work` does, on whatever connection, but those of the log's own background work. */
export async function statementsOf(work: () => Promise<void>): Promise<string[]> {
  const seen: string[] = [];
  const probe = new (driver())(':memory:');
  const patched: [object, string, unknown][] = [];
  const watch = (target: object, name: string, text: (self: unknown, argument: unknown) => string) => {
    const original = Reflect.get(target, name) as (...list: unknown[]) => unknown;
    patched.push([target, name, original]);
    Reflect.set(target, name, function (this: unknown, ...list: unknown[]) {
      seen.push(text(this, list[0]));
      return original.apply(this, list);
    });
  };
  const statement = Object.getPrototypeOf(probe.prepare('SELECT 1')) as object;
  for (const name of ['run', 'get', 'all', 'iterate']) watch(statement, name, (self) => String(Reflect.get(self as object, 'source')));
  watch(Object.getPrototypeOf(probe) as object, 'exec', (_self, sql) => String(sql));
  try {
    await work();
  } finally {
    for (const [target, name, original] of patched) Reflect.set(target, name, original);
    probe.close();
  }
  return seen.filter((sql) => !PUBLISHER.test(sql));
}
