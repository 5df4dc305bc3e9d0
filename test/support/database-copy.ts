import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'pg-connection-string';
import type { Store } from '../../ormconfig';
import type { Foundations } from '../../src/app.module';
import { openRawFile, type RawDatabase, rows } from './raw-database';
import { RawPostgres } from './raw-postgres';
import { copyOfStore } from './test-store';

let copies = 0;

/** A copy of the database of a server that was stopped. It goes with the data folder, or with the PostgreSQL server. */
export async function copyOf({ foundations: { config }, dir }: { foundations: Pick<Foundations, 'config'>; dir: string }): Promise<Store> {
  const { sqlitePath, postgres } = config;
  if (postgres) {
    const url = await copyOfStore(postgres.url);
    return { sqlitePath, postgres: { ...postgres, url, database: parse(url).database ?? '' } };
  }
  copies += 1;
  const copy = join(dir, `copy-${copies}.sqlite`);
  copyFileSync(sqlitePath, copy);
  return { sqlitePath: copy, postgres };
}

/** A connection of somebody who owns the database: past triggers and checks. */
export function openAsOwner({ sqlitePath, postgres }: Store): RawDatabase {
  if (postgres) {
    const db = new RawPostgres(postgres.url);
    db.skipTriggers();
    const checks = `SELECT conrelid::regclass::text AS "table", conname AS name FROM pg_constraint WHERE contype = 'c' AND connamespace = current_schema()::regnamespace`;
    for (const { table, name } of rows<{ table: string; name: string }>(db, checks))
      db.exec(`ALTER TABLE ${table} DROP CONSTRAINT "${name}"`);
    return db;
  }
  const db = openRawFile(sqlitePath);
  db.pragma('ignore_check_constraints = ON');
  for (const { name } of rows<{ name: string }>(db, `SELECT name FROM sqlite_master WHERE type = 'trigger'`))
    db.exec(`DROP TRIGGER "${name}"`);
  return db;
}
