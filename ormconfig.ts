import { DataSource, type DataSourceOptions } from 'typeorm';
import { type Config, readConfig } from './src/config/config';
import { postgresMigrations } from './src/database/migrations/postgres';
import { sqliteMigrations } from './src/database/migrations/sqlite';
import { postgresOptions, withBytea } from './src/database/postgres-options';
import { sqliteOptions } from './src/database/sqlite-options';
import { entities } from './src/entities';

/** Where the data are: a PostgreSQL database, or a SQLite file. */
export type Store = Pick<Config, 'sqlitePath' | 'postgres'>;

/** Options of the writing (default) or the read-only connection of a store, or of a SQLite file; the server and the TypeORM command line use the same. */
export function dataSourceOptions(store: Store | string, readonly = false): DataSourceOptions {
  const { sqlitePath, postgres } = typeof store === 'string' ? { sqlitePath: store, postgres: null } : store;
  return postgres
    ? postgresOptions(postgres, { entities, migrations: postgresMigrations }, readonly)
    : sqliteOptions(sqlitePath, { entities, migrations: sqliteMigrations }, readonly);
}

/** For the TypeORM command line: it needs to know where the database is, and nothing else of the settings. */
const { DATA_DIR, SQLITE_PATH, DATABASE_URL, DATABASE_PASSWORD_FILE, DATABASE_CA_FILE } = process.env;
const settings = { DATA_DIR, SQLITE_PATH, DATABASE_URL, DATABASE_PASSWORD_FILE, DATABASE_CA_FILE };
const named = Object.fromEntries(Object.entries(settings).filter(([, value]) => value));
export default withBytea(new DataSource(dataSourceOptions(readConfig(named))));
