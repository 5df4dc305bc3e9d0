import type { QueryRunner } from 'typeorm';

/** Tables whose rows an erasure deletes or empties. */
const ERASED = ['account', 'attachment', 'attachment_chunk', 'data_key', 'idempotency', 'ledger_content', 'patient', 'question', 'record'];

/**
 * SQLite: `secure_delete` has overwritten deleted cells in the pages of the write-ahead log, but older versions of these pages are still in the log, and
 * the main file has the old ones. The TRUNCATE checkpoint writes the new pages over the old ones and cuts the log to nothing.
 *
 * PostgreSQL: dead rows leave their table with VACUUM, as far as nobody reads an older state, and the log with its segments, which is the
 * operator's matter (`max_wal_size`, archives). What is left are bytes of values whose key was overwritten in the same way.
 *
 * @returns whether all of it is done; a reader of an older state makes SQLite leave the log as it is
 */
export async function purgeDeleted(runner: QueryRunner): Promise<boolean> {
  if (runner.dataSource.options.type === 'postgres') {
    await runner.query(`VACUUM ${ERASED.map((table) => `"${table}"`).join(', ')}`);
    return true;
  }
  const [row] = await runner.manager.query<{ busy: number }[]>('PRAGMA wal_checkpoint(TRUNCATE)');
  return row?.busy === 0;
}
