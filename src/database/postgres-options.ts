import { type ClientConfig, types } from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import type { PostgresStore } from '../config/config';

/** A statement that takes longer holds something up; the longest, a page of a walk or of an import, takes a part of a second. */
const STATEMENT_MS = 30_000;
const CONNECT_MS = 10_000;

/** Options of both pools. The reading one refuses to write. */
export function postgresOptions(
  { url, password, poolSize }: PostgresStore,
  common: Pick<PostgresDataSourceOptions, 'entities' | 'migrations'>,
  readonly: boolean,
): PostgresDataSourceOptions {
  const session = readonly ? { options: '-c default_transaction_read_only=on' } : {};
  return {
    ...common,
    type: 'postgres',
    url,
    ...(password !== null && { password }),
    synchronize: false,
    migrationsTransactionMode: 'each',
    logging: false,
    installExtensions: false,
    poolSize,
    extra: {
      ...session,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      idle_in_transaction_session_timeout: STATEMENT_MS,
    },
  };
}

/** The same for a connection beside the pools. */
export function clientOptions({ url, password }: PostgresDataSourceOptions): ClientConfig {
  return { ...(url !== undefined && { connectionString: url }), ...(typeof password === 'string' && { password }) };
}

/** Entities say `blob` for bytes, whatever the database: this lets PostgreSQL understand it. To be called before `initialize`. */
export function withBytea(source: DataSource): DataSource {
  if (source.options.type !== 'postgres') return source;
  // 64-bit numbers as JavaScript's own, as SQLite gives them: instants and counts stay far below 2^53.
  types.setTypeParser(types.builtins.INT8, Number);
  const driver = source.driver as PostgresDriver;
  const normalizeType = driver.normalizeType.bind(driver);
  driver.normalizeType = (column) => (column.type === 'blob' ? 'bytea' : normalizeType(column));
  return source;
}
