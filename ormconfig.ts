import { DataSource, type DataSourceOptions } from 'typeorm';
import { readConfig } from './src/config/config';
import { entities } from './src/entities';
import { sqliteMigrations } from './src/database/migrations/sqlite';
import { sqliteOptions } from './src/database/sqlite-options';

/** Options of the writing (default) or the read-only connection; the server and the TypeORM command line use the same. */
export function dataSourceOptions(sqlitePath: string, readonly = false): DataSourceOptions {
  return sqliteOptions(sqlitePath, { entities, migrations: sqliteMigrations }, readonly);
}

/** For the TypeORM command line: it needs to know where the database is, and nothing else of the settings. */
const { DATA_DIR, SQLITE_PATH } = process.env;
export default new DataSource(
  dataSourceOptions(readConfig({ DATA_DIR: DATA_DIR || undefined, SQLITE_PATH: SQLITE_PATH || undefined }).sqlitePath),
);
