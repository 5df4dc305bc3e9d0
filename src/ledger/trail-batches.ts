import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { countTrailRows, type StoredTrailRow, trailRows, type TrailSpan } from '../audit/trail-rows';
import { isoTime } from '../common/clock';
import { FormatError, HASH_BYTES } from './core/bytes';
import { parseTrailBody, trailLeaf } from './core/trail';
import { TrailBatchEntity } from './trail-batch.entity';

const ROWS_A_PAGE = 500;

/** A batch without the leaf hashes, which are large. */
export type TrailBatchHead = Omit<TrailBatchEntity, 'leaves'>;

/** A row of the trail as a leaf; `hash` is null for a row that no server of ours writes. */
export interface TrailLeaf {
  readonly id: string;
  readonly hash: Buffer | null;
}

/** The newest batch; null before the first. */
export async function newestTrailBatch(manager: EntityManager): Promise<TrailBatchHead | null> {
  const [newest] = await manager.getRepository(TrailBatchEntity).find({
    select: { number: true, until: true, hash: true, body: true, madeAt: true },
    order: { number: 'DESC' },
    take: 1,
  });
  return newest ?? null;
}

/** The batch that has the row of this id if any has; null while the row is newer than the last one. */
export async function trailBatchAt(manager: EntityManager, rowId: string): Promise<TrailBatchEntity | null> {
  return manager.createQueryBuilder(TrailBatchEntity, 'b').where('b.until >= :rowId', { rowId }).orderBy('b.until').limit(1).getOne();
}

/** The rows of a span as leaves, in the order of their ids, at most `limit`. Other work has its turn between two pages. */
export async function* trailLeaves(manager: EntityManager, span: TrailSpan, limit = Infinity): AsyncGenerator<TrailLeaf> {
  let { after } = span;
  for (let left = limit; left > 0; left -= ROWS_A_PAGE) {
    const size = Math.min(left, ROWS_A_PAGE);
    const rows = await trailRows(manager, { after, until: span.until }, size);
    for (const row of rows) {
      const { id } = row;
      yield { id: String(id), hash: leafOrNull(row) };
      if (typeof id !== 'string') return; // it sorts behind every text, and so does what follows
      after = id;
    }
    if (rows.length < size) return;
    await nextTurn();
  }
}

function leafOrNull(row: StoredTrailRow): Buffer | null {
  try {
    return trailLeaf(row);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** Cuts a column of leaf hashes. */
export function splitLeaves(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / HASH_BYTES }, (_none, at) => bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
}

/** How far the trail is sealed. */
export interface TrailStatus {
  readonly batch: number;
  readonly at: string;
  readonly rows: number;
  readonly open: number;
}

/** The newest batch, null before the first, and how many rows are newer than it. */
export async function trailFigures(manager: EntityManager): Promise<{ readonly newest: TrailBatchHead | null; readonly open: number }> {
  const newest = await newestTrailBatch(manager);
  return { newest, open: await countTrailRows(manager, { after: newest?.until ?? null, until: null }) };
}

/** The last batch, and how many rows are newer than it; null before the first. */
export async function trailStatus(manager: EntityManager): Promise<TrailStatus | null> {
  const { newest, open } = await trailFigures(manager);
  return newest && { batch: newest.number, at: isoTime(newest.madeAt), rows: parseTrailBody(newest.body).count, open };
}
