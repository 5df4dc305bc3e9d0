import type { EntityManager } from 'typeorm';
import { ApiError } from '../common/errors';
import { queryRows } from '../database/dialect';
import { genuineRows, insertRow, selectRows, storedRows, updateRow } from '../database/rows';
import { HASH_BYTES, isBytes } from '../ledger/core/bytes';
import { entryHash, type EntryKind, isEntryKind, type LogEntry } from '../ledger/core/entry';
import { TILE_HEIGHT, TILE_WIDTH } from '../ledger/core/tiles';
import { CompactRange, type NodeId } from '../ledger/core/tree';
import { LeafEntity, LogEntity, PendingEntity, TileEntity } from './tlog.entity';

/** Entries that get their place in one transaction. */
export const BATCH = 256;

/** The log to which a hospital appends now; null before its first entry. */
export async function currentLog(manager: EntityManager, hospitalId: string): Promise<LogEntity | null> {
  const [newest] = await manager.getRepository(LogEntity).find({ where: { hospitalId }, order: { incarnation: 'DESC' }, take: 1 });
  return newest ?? null;
}

/** All logs of a hospital, the newest first. */
export function logsOf(manager: EntityManager, hospitalId: string): Promise<LogEntity[]> {
  return manager.getRepository(LogEntity).find({ where: { hospitalId }, order: { incarnation: 'DESC' } });
}

/** Begins an empty log. */
export async function beginLog(tx: EntityManager, log: Pick<LogEntity, 'hospitalId' | 'incarnation' | 'origin'>): Promise<LogEntity> {
  const last = await tx.getRepository(LogEntity).maximum('id', {});
  const row: LogEntity = { ...log, id: (last ?? 0) + 1, size: 0, edge: Buffer.alloc(0) };
  await insertRow(tx, LogEntity, row);
  return row;
}

/** The log with this id, as this server wrote it. @throws CryptoError `row_rejected`: nothing may be signed of a size and an edge of somebody's making */
export async function logOf(manager: EntityManager, id: number): Promise<LogEntity> {
  const [log] = await selectRows(manager, LogEntity, 'id', [id]);
  if (!log) throw new ApiError('integrity_error', 'A log is gone');
  return log;
}

/** Whether the row of this log is as this server wrote it. */
export async function isLogGenuine(manager: EntityManager, id: number): Promise<boolean> {
  return genuineRows(manager, LogEntity, await storedRows(manager, LogEntity, 'id', [id])).length === 1;
}

/** Entries that wait for their place and were queued by this server. */
export async function waitingEntries<K extends 'logId' | 'hash'>(
  manager: EntityManager,
  column: K,
  values: readonly PendingEntity[K][],
): Promise<PendingEntity[]> {
  return genuineRows(manager, PendingEntity, await storedRows(manager, PendingEntity, column, values));
}

/** Lets an entry wait for its place. */
export function queueEntry(tx: EntityManager, logId: number, { kind, hash }: LogEntry): Promise<void> {
  return insertRow<PendingEntity, 'id'>(tx, PendingEntity, { logId, kind, hash });
}

/**
 * Gives the entries that have waited longest their indexes, dense from the log's size: leaves, the tiles that become full and the new right edge, all in
 * the caller's transaction. Whoever else does the same at this moment fails at the compare-and-set.
 * @param refused told of rows that this server never writes (no tag or a wrong one, unknown kind, no hash, a leaf that is there already): they are dropped,
 *   for they would stop the log. If one of ours was altered into such a row, its block has no leaf, and every verification says so
 * @returns how many rows were taken; at most {@link BATCH}
 * @throws CryptoError `row_rejected` when the log's own row was altered
 */
export async function sequence(tx: EntityManager, logId: number, refused: (count: number) => void = () => undefined): Promise<number> {
  const log = await logOf(tx, logId);
  const waiting = await tx.getRepository(PendingEntity).find({ where: { logId }, order: { id: 'ASC' }, take: BATCH });
  const last = waiting.at(-1);
  if (!last) return 0;
  const entries = await placeable(tx, logId, genuineRows(tx, PendingEntity, waiting));
  if (entries.length < waiting.length) refused(waiting.length - entries.length);
  const range = CompactRange.of(BigInt(log.size), splitHashes(log.edge));
  const full: { node: NodeId; root: Buffer }[] = [];
  for (const [offset, entry] of entries.entries()) {
    await insertRow(tx, LeafEntity, { logId, leafIndex: log.size + offset, ...entry });
    range.append(entryHash(entry), (node, root) => {
      if (node.level > 0 && node.level % TILE_HEIGHT === 0) full.push({ node, root });
    });
  }
  for (const { node, root } of full) await storeTile(tx, logId, node, root);
  const moved = { size: Number(range.size), edge: Buffer.concat(range.hashes) };
  await updateRow(tx, LogEntity, log, moved);
  await tx.createQueryBuilder().delete().from(PendingEntity).where('logId = :logId AND id <= :last', { logId, last: last.id }).execute();
  return waiting.length;
}

/** The entries among waiting rows that can have a leaf, each once. */
async function placeable(tx: EntityManager, logId: number, waiting: readonly PendingEntity[]): Promise<LogEntry[]> {
  const entries = waiting.flatMap(({ kind, hash }): LogEntry[] => (isEntryKind(kind) && isBytes(hash, HASH_BYTES) ? [{ kind, hash }] : []));
  const hashes = entries.map(({ hash }) => hash);
  const there = await selectRows(tx, LeafEntity, 'hash', hashes);
  const taken = new Set(there.filter((leaf) => leaf.logId === logId).map((leaf) => leaf.hash.toString('hex')));
  return entries.filter(({ hash }) => {
    const name = hash.toString('hex');
    return !taken.has(name) && taken.add(name);
  });
}

/** A perfect subtree of height 8, 16, … is what a full tile spans. Lower tiles are stored before those above them. */
async function storeTile(tx: EntityManager, logId: number, { level: height, index }: NodeId, root: Buffer): Promise<void> {
  const level = height / TILE_HEIGHT - 1;
  const tileIndex = Number(index);
  const hashes = Buffer.concat(await partialTile(tx, logId, level, tileIndex));
  if (hashes.length !== TILE_WIDTH * HASH_BYTES) throw new ApiError('integrity_error', 'Leaves of the log are missing');
  await insertRow(tx, TileEntity, { logId, level, tileIndex, hashes, root });
}

/** Only the roots of the tiles below: their hashes would be 2 MiB. */
const ROOTS = `SELECT "root" FROM "log_tile" WHERE "logId" = ? AND "level" = ? AND "tileIndex" >= ? AND "tileIndex" < ? ORDER BY "tileIndex"`;

/** The hashes of a tile from the rows that they are made of: leaves, or the roots of the tiles below. As many as there are, at most 256. */
export async function partialTile(manager: EntityManager, logId: number, level: number, tileIndex: number): Promise<Buffer[]> {
  const [from, to] = [tileIndex * TILE_WIDTH, (tileIndex + 1) * TILE_WIDTH];
  if (level === 0) return (await leavesBetween(manager, logId, from, to)).map(entryHash);
  const rows = await queryRows<Pick<TileEntity, 'root'>>(manager, ROOTS, [logId, level - 1, from, to]);
  return rows.map((row) => row.root);
}

/** The numbers are parameters: a builder writes them into the text, which is then compiled anew each time. */
const ENTRIES = `SELECT "kind", "hash" FROM "log_leaf" WHERE "logId" = ? AND "leafIndex" >= ? AND "leafIndex" < ? ORDER BY "leafIndex"`;

/** The entries at the indexes from `from` to below `to`. */
export async function leavesBetween(manager: EntityManager, logId: number, from: number, to: number): Promise<LogEntry[]> {
  const rows = await queryRows<Pick<LeafEntity, 'kind' | 'hash'>>(manager, ENTRIES, [logId, from, to]);
  return rows.map(({ kind, hash }) => ({ kind: knownKind(kind), hash }));
}

/** Cuts a column of hashes into its hashes. */
export function splitHashes(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / HASH_BYTES }, (_none, index) => bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));
}

function knownKind(kind: number): EntryKind {
  if (!isEntryKind(kind)) throw new ApiError('integrity_error', 'The log holds an entry of an unknown kind');
  return kind;
}
