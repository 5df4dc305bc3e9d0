import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openRaw, rows } from './raw-database';
import type { TestApp } from './test-app';

/**
 * Every file in which the server's database is now. SQLite: file, log and index of the log. PostgreSQL: all pages are written first, and the write-ahead
 * log of the whole server is among them if asked for.
 */
export function databaseFiles(app: Pick<TestApp, 'foundations'>, log: 'with log' | 'without log' = 'with log'): string[] {
  const { postgres, sqlitePath } = app.foundations.config;
  if (!postgres) return ['', '-wal', '-shm', '-journal'].map((end) => `${sqlitePath}${end}`).filter(existsSync);
  const db = openRaw(app);
  db.exec('CHECKPOINT');
  const [found] = rows<{ data: string; oid: number }>(
    db,
    `SELECT current_setting('data_directory') AS data, oid::int FROM pg_database WHERE datname = current_database()`,
  );
  db.close();
  const folders = [`base/${found?.oid}`, ...(log === 'with log' ? ['pg_wal'] : [])];
  return folders.flatMap((folder) => filesIn(join(found?.data ?? '', folder)));
}

/** Every file below a folder. */
export function filesIn(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
  return paths.filter((path) => statSync(path).isFile());
}

/** Every file that the server writes: database, keys, logs. */
export function filesOf(app: Pick<TestApp, 'foundations'>, log?: 'without log'): string[] {
  const { keysDir, sqlitePath } = app.foundations.config;
  return [...new Set([...databaseFiles(app, log), ...filesIn(keysDir), ...filesIn(dirname(sqlitePath))])];
}
