import { DataSource, type QueryRunner } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { ConfigError } from '../config/config';
import { ADVISORY } from './advisory-locks';
import { grantRights } from './postgres-rights';
import { APPLICATION, withBytea, withoutLimits } from './postgres-options';

/** Whether no server has started on a PostgreSQL database yet: it has no tables, or its tables know of no key. */
export function isUnstarted(options: PostgresDataSourceOptions): Promise<boolean> {
  return connected({ ...options, entities: [], migrations: [] }, async (runner) => {
    const [row] = await runner.manager.query<{ found: boolean }[]>(`SELECT to_regclass('key_check') IS NOT NULL AS found`);
    if (row?.found !== true) return true;
    const keys = await runner.manager.query<unknown[]>(`SELECT 1 FROM "key_check" UNION ALL SELECT 1 FROM "kek" LIMIT 1`);
    return keys.length === 0;
  });
}

/** Whether a PostgreSQL database has no table yet, in the schema in which ours would be. */
export function isEmpty(options: PostgresDataSourceOptions): Promise<boolean> {
  return connected({ ...options, entities: [], migrations: [] }, async ({ manager }) => {
    const tables = await manager.query<unknown[]>('SELECT 1 FROM pg_tables WHERE schemaname = current_schema() LIMIT 1');
    return tables.length === 0;
  });
}

/**
 * Brings the schema up to date. Several servers may start at once: one of them does it.
 * @param grantee the role as which servers run, which is given its rights; null when they run as the owner
 * @returns the names of what was done
 * @throws ConfigError when something is to be done and the role may not
 */
export function migratePostgres(options: PostgresDataSourceOptions, grantee: string | null): Promise<string[]> {
  return connected(withoutLimits(options), async (runner) => {
    await runner.query('SELECT pg_advisory_lock($1)', [ADVISORY.migrating]);
    try {
      const done = (await isPending(runner)) ? await bringUpToDate(runner) : [];
      if (grantee !== null) await runner.manager.transaction((tx) => grantRights(tx, grantee));
      return done;
    } finally {
      await runner.query('SELECT pg_advisory_unlock($1)', [ADVISORY.migrating]);
    }
  });
}

/**
 * Whether no server works on a PostgreSQL database: each has a connection that listens for as long as it lives, and all its connections say who they are.
 * To be asked as the role of the servers: a role sees the names of its own connections.
 */
export function isUnserved(options: PostgresDataSourceOptions): Promise<boolean> {
  return connected({ ...options, applicationName: 'operator', entities: [], migrations: [] }, async ({ manager }) => {
    const others = await manager.query<unknown[]>(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '${APPLICATION} %' LIMIT 1`,
    );
    return others.length === 0;
  });
}

/** A look first, for a role that may not change the schema starts too. */
async function isPending(runner: QueryRunner): Promise<boolean> {
  const [row] = await runner.manager.query<{ found: boolean }[]>(`SELECT to_regclass('migrations') IS NOT NULL AS found`);
  return row?.found !== true || (await runner.dataSource.showMigrations());
}

async function bringUpToDate(runner: QueryRunner): Promise<string[]> {
  const [row] = await runner.manager.query<{ may: boolean }[]>(`SELECT has_schema_privilege(current_schema(), 'CREATE') AS may`);
  if (row?.may !== true)
    throw new ConfigError(
      'DATABASE_URL',
      'its role may not change the schema, which is not up to date; run `npm run migrate` with DATABASE_OWNER_URL',
    );
  return (await runner.dataSource.runMigrations()).map(({ name }) => name);
}

async function connected<T>(options: PostgresDataSourceOptions, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  const source = await withBytea(new DataSource(options)).initialize();
  const runner = source.createQueryRunner();
  try {
    return await work(runner);
  } finally {
    await runner.release();
    await source.destroy();
  }
}
