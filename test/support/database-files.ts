import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openRaw, rows } from './raw-database';
import type { TestApp } from './test-app';

/**
 * Every file in which the server's database is now. SQLite: file, log and index of the log. PostgreSQL: all pages are written first; its write-ahead log
 * is that of the whole server, of which what was written since this data folder was made is taken.
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
  const data = found?.data ?? '';
  const since = statSync(dirname(sqlitePath)).birthtimeMs;
  const segments = filesIn(join(data, 'pg_wal')).filter((path) => statSync(path).mtimeMs >= since);
  return [...filesIn(join(data, `base/${found?.oid}`)), ...(log === 'with log' ? segments : [])];
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
