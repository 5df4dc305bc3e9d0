import type { QueryRunner } from 'typeorm';

/** Tables whose rows an erasure, or the end of a key, deletes or empties. */
const ERASED = [
  'account',
  'attachment',
  'attachment_chunk',
  'data_key',
  'idempotency',
  'kek',
  'ledger_content',
  'patient',
  'question',
  'record',
];

const NAMES = ERASED.map((table) => `"${table}"`);

/** A VACUUM that was under way at the time of the erasure is over by then. */
const VACUUM_MS = 3_600_000;

/**
 * SQLite: `secure_delete` has overwritten deleted cells in the pages of the write-ahead log, but older versions of these pages are still in the log, and
 * the main file has the old ones. The TRUNCATE checkpoint writes the new pages over the old ones and cuts the log to nothing.
 *
 * PostgreSQL: dead rows leave their table with VACUUM, as far as nobody reads an older state, and the log with its segments, which is the
 * operator's matter (`max_wal_size`, archives). Their bytes stay in the files until the room is used again: of values whose key is in no file any more.
 *
 * @param since when the last of the rows was deleted, ms
 * @returns whether all of it is done; a reader of an older state makes SQLite leave the log as it is, and on PostgreSQL before 17 a role that does not
 *   own the tables must wait until somebody else has vacuumed them
 */
export async function purgeDeleted(runner: QueryRunner, since: number): Promise<boolean> {
  if (runner.dataSource.options.type === 'postgres') return vacuum(runner, since);
  const [row] = await runner.manager.query<{ busy: number }[]>('PRAGMA wal_checkpoint(TRUNCATE)');
  return row?.busy === 0;
}

async function vacuum({ manager }: QueryRunner, since: number): Promise<boolean> {
  const [may] = await manager.query<{ vacuum: boolean }[]>(
    `SELECT bool_and(CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(c.oid, 'MAINTAIN')
       ELSE pg_has_role(c.relowner, 'USAGE') END) AS vacuum FROM pg_class c WHERE c.oid = ANY($1::regclass[])`,
    [NAMES],
  );
  if (may?.vacuum === true) {
    await manager.query(`VACUUM ${NAMES.join(', ')}`);
    // VACUUM frees the room of dead rows and leaves their bytes there. Keys must be gone: these tables are small, and are written anew.
    await manager.query('VACUUM FULL "data_key", "kek"');
    return true;
  }
  const [last] = await manager.query<{ done: boolean | null }[]>(
    `SELECT bool_and(GREATEST(last_vacuum, last_autovacuum) > to_timestamp($2 / 1000.0)) AS done FROM pg_stat_user_tables WHERE relid = ANY($1::regclass[])`,
    [NAMES, since + VACUUM_MS],
  );
  return last?.done === true;
}
