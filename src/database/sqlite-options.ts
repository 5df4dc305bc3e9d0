import type { BetterSqlite3DataSourceOptions } from 'typeorm/driver/better-sqlite3/BetterSqlite3DataSourceOptions.js';
import { DRIVER_WAIT_MS } from './busy';

interface Pragmas {
  pragma(statement: string): unknown;
}

/** better-sqlite3 13 needs Node-API 10 (Node >= 22.14); on Node 20 its predecessor is installed under an alias. */
export function sqliteDriver(): unknown {
  const name = Number(process.versions['napi']) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20';
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- which of two packages, decided at run time
  return require(name);
}

/**
 * FULL: an acknowledged commit survives a power cut (a WAL file that better-sqlite3 reopens would run at NORMAL). secure_delete: what is erased is
 * overwritten, and temp_store MEMORY: no file of its own keeps the pages that a transaction may roll back to. trusted_schema OFF: a doctored schema cannot call functions. recursive_triggers ON: without it `INSERT OR REPLACE` deletes rows
 * past the triggers that protect sealed tables.
 */
function prepareWriter(db: Pragmas): void {
  const settings = [
    'synchronous = FULL',
    'secure_delete = ON',
    'temp_store = MEMORY',
    'trusted_schema = OFF',
    'recursive_triggers = ON',
    'wal_autocheckpoint = 4000',
  ];
  for (const setting of settings) db.pragma(setting);
}

/** Options of both connections to a SQLite file; the reader refuses to write. */
export function sqliteOptions(
  file: string,
  common: Pick<BetterSqlite3DataSourceOptions, 'entities' | 'migrations'>,
  readonly: boolean,
): BetterSqlite3DataSourceOptions {
  return {
    ...common,
    type: 'better-sqlite3',
    driver: sqliteDriver(),
    database: file,
    synchronize: false,
    migrationsTransactionMode: 'each',
    logging: false,
    statementCacheSize: 500,
    timeout: DRIVER_WAIT_MS,
    ...(readonly
      ? { readonly, fileMustExist: true, prepareDatabase: (db: Pragmas) => void db.pragma('trusted_schema = OFF') }
      : { enableWAL: true, prepareDatabase: prepareWriter }),
  };
}
