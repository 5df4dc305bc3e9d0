import { type ClientConfig, types } from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import type { PostgresStore } from '../config/config';

/** Until a connection is there, be it a new one or one of the pool that others have now. */
const CONNECT_MS = 10_000;
/**
 * Limits of a session, in ms. Without PostgreSQL's own, one statement that hangs holds its locks and its connection for ever; without ours, so does a
 * connection that died without a word (`direct-queries.ts`).
 */
const LIMITS = {
  /** The longest, a page of a walk or of an import, takes a part of a second. */
  statement_timeout: 30_000,
  /** For a lock of a row or a table, and for those of units (`connections.ts`). */
  lock_timeout: 20_000,
  /** Between two statements of a unit. */
  idle_in_transaction_session_timeout: 30_000,
  /** Until the answer, which PostgreSQL gives in less. */
  query_timeout: 35_000,
};
/** After so long without a word a connection is asked whether it lives. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 };
/** Begins the name of each connection of a server. */
export const APPLICATION = 'bjwt-ehr';

/** Options of both pools. The reading one refuses to write. */
export function postgresOptions(
  { host, port, user, password, database, tls, poolSize, readPoolSize, schema }: PostgresStore,
  common: Pick<PostgresDataSourceOptions, 'entities' | 'migrations'>,
  readonly: boolean,
): PostgresDataSourceOptions {
  const session = [
    String.raw`-c default_transaction_isolation=read\ committed`, // whatever the server's is; to say so in each transaction is a message more
    ...(readonly ? ['-c default_transaction_read_only=on'] : []),
    ...(schema === undefined ? [] : [`-c search_path=${schema}`]),
  ];
  return {
    ...common,
    type: 'postgres',
    host,
    port,
    username: user,
    password,
    database,
    ssl: tls === null ? false : { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(tls.ca !== null && { ca: tls.ca }) },
    applicationName: `${APPLICATION} ${readonly ? 'reader' : 'writer'}`,
    synchronize: false,
    migrationsTransactionMode: 'each',
    logging: false,
    installExtensions: false,
    connectTimeoutMS: CONNECT_MS,
    poolSize: readonly ? readPoolSize : poolSize,
    extra: { ...KEEP_ALIVE, ...LIMITS, options: session.join(' ') },
  };
}

/** The same for migrations, which may take as long as they need. */
export function withoutLimits(options: PostgresDataSourceOptions): PostgresDataSourceOptions {
  const unlimited = Object.fromEntries(Object.keys(LIMITS).map((name) => [name, 0]));
  return { ...options, applicationName: `${APPLICATION} migration`, poolSize: 2, extra: { ...(options.extra as object), ...unlimited } };
}

/** The same for a connection beside the pools. */
export function clientOptions({ host, port, username, password, database, ssl }: PostgresDataSourceOptions): ClientConfig {
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(username !== undefined && { user: username }),
    ...(typeof password === 'string' && { password }),
    ...(database !== undefined && { database }),
    ssl: (ssl ?? false) as NonNullable<ClientConfig['ssl']>,
    application_name: `${APPLICATION} peers`,
    connectionTimeoutMillis: CONNECT_MS,
    ...KEEP_ALIVE,
  };
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
