import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import type { QueryRunner } from 'typeorm';
import { errorCode } from './busy';

/** Tables of keys: small, and written anew at each purge, for what they held opens everything else. */
const KEYS = ['"data_key"', '"kek"'];
/** Other tables whose rows an erasure deletes or empties. */
const ERASED = [
  '"account"',
  '"attachment"',
  '"attachment_chunk"',
  '"idempotency"',
  '"ledger_content"',
  '"patient"',
  '"question"',
  '"record"',
];

const TRIES = 20;
const PAUSE_MS = 50;

/** Asks until the answer is yes, for about a second. */
async function patiently(done: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 1; !(await done()); tries += 1) {
    if (tries === TRIES) return false;
    await sleep(PAUSE_MS);
  }
  return true;
}

/**
 * SQLite: `secure_delete` has overwritten deleted cells in the pages of the write-ahead log, but older versions of these pages are still in the log, and
 * the main file has the old ones. The TRUNCATE checkpoint writes the new pages over the old ones and cuts the log to nothing.
 * @param between runs work while no transaction is open
 * @returns false when a reader of an older state keeps the log as it is
 */
export function purgeSqlite(between: (work: (runner: QueryRunner) => Promise<boolean>) => Promise<boolean>): Promise<boolean> {
  return patiently(() =>
    between(async ({ manager }) => {
      const [row] = await manager.query<{ busy: number }[]>('PRAGMA wal_checkpoint(TRUNCATE)');
      return row?.busy === 0;
    }),
  );
}

/** Whoever keeps rows from before this transaction id: snapshots, transactions that write (between two statements they have no snapshot), prepared ones, replicas. */
const OLDER_READERS = `
  SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND GREATEST(age(backend_xmin), age(backend_xid)) > age($1::xid) AND COALESCE(datname, current_database()) = current_database()
  UNION ALL SELECT 1 FROM pg_prepared_xacts WHERE age(transaction) > age($1::xid)
  UNION ALL SELECT 1 FROM pg_replication_slots WHERE age(xmin) > age($1::xid)`;
/** Others wait behind who waits for a table alone: not longer than this, in ms. */
const LOCK_MS = 200;
const LOCK_NOT_AVAILABLE = '55P03';
/** A VACUUM that was under way at the time of the erasure is over by then. */
const VACUUM_MS = 3_600_000;

/**
 * PostgreSQL: the tables of keys are written anew; dead rows of the others leave their tables with VACUUM. Their bytes stay in the files until the room is
 * used again, and so does the log with its segments, which is the operator's matter (`max_wal_size`, archives). What was sealed under a destroyed key
 * opens no more; the content of a single erased record, whose patient's key lives on, would (SECURITY.md). It has a connection of its own: nobody waits
 * for it, and it takes its time.
 * @param since when the last of the rows was deleted, ms
 * @returns false when somebody reads an older state or a table of keys, or, before PostgreSQL 17, a role that does not own the tables has to wait until
 *   somebody else has vacuumed them
 */
export async function purgePostgres(config: ClientConfig, since: number): Promise<boolean> {
  const client = new Client(config);
  client.on('error', () => undefined); // what is asked for then fails
  await client.connect();
  try {
    return (await mayVacuum(client)) ? await vacuum(client) : await wasVacuumed(client, since);
  } finally {
    await client.end();
  }
}

async function vacuum(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ now: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text AS now');
  const isFree = () => client.query(OLDER_READERS, [rows[0]?.now]).then(({ rowCount }) => rowCount === 0);
  // To write a table anew for one of them would copy what was erased.
  if (!(await patiently(isFree))) return false;
  await client.query(`SET lock_timeout = ${LOCK_MS}`);
  try {
    for (const table of KEYS) await client.query(`VACUUM FULL ${table}`);
    for (const table of ERASED) await client.query(`VACUUM ${table}`);
    return true;
  } catch (error) {
    if (errorCode(error) === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}

async function mayVacuum(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean | null }>(
    `SELECT bool_and(CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(c.oid, 'MAINTAIN')
       ELSE pg_has_role(c.relowner, 'USAGE') END) AS may FROM pg_class c WHERE c.oid = ANY($1::regclass[])`,
    [[...KEYS, ...ERASED]],
  );
  return rows[0]?.may === true;
}

async function wasVacuumed(client: Client, since: number): Promise<boolean> {
  const { rows } = await client.query<{ done: boolean | null }>(
    `SELECT bool_and(GREATEST(last_vacuum, last_autovacuum) > to_timestamp($2 / 1000.0)) AS done FROM pg_stat_user_tables WHERE relid = ANY($1::regclass[])`,
    [[...KEYS, ...ERASED], since + VACUUM_MS],
  );
  return rows[0]?.done === true;
}
