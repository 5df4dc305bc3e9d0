import type { DataSource, EntityManager, EntityMetadata } from 'typeorm';
import { TrailBatchEntity } from '../ledger/trail-batch.entity';
import { RateCountEntity } from '../auth/rate-count.entity';
import { PendingProofEntity } from '../auth/second-factor.entity';
import { RefreshTokenEntity, SessionEntity } from '../auth/session.entity';
import { dialectOf, queryRows } from '../database/dialect';
import type { BackupTable, StoredCell, StoredRow } from './backup-format';

/** Of a moment only. Sign-ins that ended after a backup must not come back with it, so everybody signs in again. */
const LEFT_OUT: readonly unknown[] = [SessionEntity, RefreshTokenEntity, PendingProofEntity, RateCountEntity];
/** Triggers keep rows out of a trail that is sealed: its seals come after it. */
const LAST: readonly unknown[] = [TrailBatchEntity];

/** What is read at once, in bytes and rows, as far as the rows before foretell it. */
const PAGE_BYTES = 2 << 20;
const PAGE_ROWS = 1_000;
/** Values in one statement: both databases take 30,000. */
const MAX_VALUES = 10_000;

/** The tables of a backup, in the order in which they are restored; by the name of the table. */
export function backedUpTables(source: DataSource): Map<string, EntityMetadata> {
  const all = source.entityMetadatas.filter(({ target }) => !LEFT_OUT.includes(target));
  const isLast = ({ target }: EntityMetadata): boolean => LAST.includes(target);
  return new Map([...all.filter((table) => !isLast(table)), ...all.filter(isLast)].map((table) => [table.tableName, table]));
}

export function tableOf(metadata: EntityMetadata): BackupTable {
  return { name: metadata.tableName, columns: metadata.columns.map(({ databaseName }) => databaseName) };
}

/** All rows of a table as they are stored, in the order of their keys. */
export async function* pagesOf(manager: EntityManager, metadata: EntityMetadata): AsyncGenerator<StoredRow[]> {
  const { name, columns } = tableOf(metadata);
  const keys = metadata.primaryColumns.map(({ databaseName }) => columns.indexOf(databaseName));
  const keyNames = list(keys.map((place) => columns[place] ?? ''));
  const select = `SELECT ${list(columns)} FROM "${name}"`;
  const beyond = `WHERE (${keyNames}) > (${keys.map(() => '?').join(', ')})`;
  let [limit, last] = [16, undefined as StoredRow | undefined];
  for (;;) {
    const text = `${select} ${last ? beyond : ''} ORDER BY ${keyNames} LIMIT ${limit}`;
    const found = await queryRows<Record<string, StoredCell>>(manager, text, last ? keys.map((place) => last?.[place]) : []);
    const rows = found.map((row) => columns.map((column) => row[column] ?? null));
    if (rows.length > 0) yield rows;
    if (rows.length < limit) return;
    last = rows.at(-1);
    const size = rows.reduce((sum, row) => sum + row.reduce<number>((bytes, cell) => bytes + sizeOf(cell), 0), 0);
    limit = Math.max(1, Math.min(PAGE_ROWS, Math.floor(PAGE_BYTES / Math.ceil(size / rows.length))));
  }
}

/** Stores rows as they are, with the tags that they bring. */
export async function storeRows(tx: EntityManager, { name, columns }: BackupTable, rows: readonly StoredRow[]): Promise<void> {
  const atOnce = Math.max(1, Math.floor(MAX_VALUES / columns.length));
  const places = `(${columns.map(() => '?').join(', ')})`;
  for (let at = 0; at < rows.length; at += atOnce) {
    const some = rows.slice(at, at + atOnce);
    await queryRows(tx, `INSERT INTO "${name}" (${list(columns)}) VALUES ${some.map(() => places).join(', ')}`, some.flat());
  }
}

/** Lets the columns that the database counts up go on behind what was stored. SQLite does so by itself. */
export async function moveCounters(tx: EntityManager): Promise<void> {
  if (dialectOf(tx) === 'sqlite') return;
  for (const { tableName, generatedColumns } of tx.dataSource.entityMetadatas)
    for (const { databaseName } of generatedColumns)
      await tx.query(
        `SELECT setval(pg_get_serial_sequence('"${tableName}"', '${databaseName}'), (SELECT COALESCE(MAX("${databaseName}"), 0) + 1 FROM "${tableName}"), false)`,
      );
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

function sizeOf(cell: StoredCell): number {
  return typeof cell === 'string' || Buffer.isBuffer(cell) ? cell.length : 8;
}
