import type { QueryRunner } from 'typeorm';

/**
 * SQLite: `secure_delete` has overwritten deleted cells in the pages of the write-ahead log, but older versions of these pages are still in the log, and
 * the main file has the old ones. The TRUNCATE checkpoint writes the new pages over the old ones and cuts the log to nothing.
 *
 * PostgreSQL, once it is supported, goes here: dead rows leave the table with VACUUM and the log with its segments; a plain VACUUM of the
 * tables that erasure touches, outside a transaction, is what can be asked for.
 *
 * @returns whether all of it is done; a reader of an older state makes SQLite leave the log as it is
 */
export async function purgeDeleted(runner: QueryRunner): Promise<boolean> {
  if (runner.dataSource.options.type !== 'better-sqlite3') throw new Error('purging is known for SQLite only');
  const [row] = await runner.manager.query<{ busy: number }[]>('PRAGMA wal_checkpoint(TRUNCATE)');
  return row?.busy === 0;
}
