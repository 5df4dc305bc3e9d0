import type { EntityManager } from 'typeorm';
import { selectRows, storedRows } from '../database/rows';
import { EntryKind, type EntryKindName } from '../ledger/core/entry';
import { waitingEntries } from './log-store';
import { LeafEntity, LogEntity } from './tlog.entity';

/** Where an entry stands in the logs of a hospital. */
export interface LogPlace {
  /** Rises in the order of the logs: a later incarnation after an earlier one, what waits for its place after all that has one. */
  readonly order: number;
  /** Null while it waits. */
  readonly leafIndex: number | null;
}

/** Room for the leaves of one incarnation; half of it is for what waits. */
const INCARNATION = 2 ** 40;
const WAITING = 2 ** 39;

/** {@link LogPlace.order} of a leaf. */
export function leafOrder(incarnation: number, leafIndex: number): number {
  return incarnation * INCARNATION + leafIndex;
}

/** {@link LogPlace.order} of an entry that waits. @param id its number in the queue */
export function waitingOrder(incarnation: number, id: number): number {
  return incarnation * INCARNATION + WAITING + id;
}

/**
 * The places of entries of one kind, by hash in hex; what is in no log of this hospital is absent. An entry that several incarnations hold stands at
 * the first. All places are of one moment: what waits is read before the leaves, so that nothing which gets its leaf in between is missed or put
 * behind what came after it.
 */
export async function placesOf(
  manager: EntityManager,
  hospitalId: string,
  kind: EntryKindName,
  hashes: readonly Buffer[],
): Promise<Map<string, LogPlace>> {
  const found = new Map<string, LogPlace>();
  const asked = new Set(hashes.map((hash) => hash.toString('hex')));
  if (hashes.length === 0) return found;
  const logs = new Map((await storedRows(manager, LogEntity, 'hospitalId', [hospitalId])).map((log) => [log.id, log.incarnation]));
  const note = (
    entry: { logId: number; kind: number; hash: Buffer },
    orderIn: (incarnation: number) => number,
    leafIndex: number | null,
  ): void => {
    const incarnation = logs.get(entry.logId);
    if (incarnation === undefined || entry.kind !== EntryKind[kind]) return;
    const order = orderIn(incarnation);
    const key = entry.hash.toString('hex');
    if (asked.has(key) && (found.get(key)?.order ?? Infinity) > order) found.set(key, { order, leafIndex });
  };
  for (const row of await waitingEntries(manager, 'logId', [...logs.keys()]))
    note(row, (incarnation) => waitingOrder(incarnation, row.id), null);
  for (const row of await selectRows(manager, LeafEntity, 'hash', hashes))
    note(row, (incarnation) => leafOrder(incarnation, row.leafIndex), row.leafIndex);
  return found;
}

/** What the leaves of a hospital say about keys: the hashes of the events, in no order. */
export async function keyLeaves(manager: EntityManager, hospitalId: string): Promise<Buffer[]> {
  const rows = await manager
    .createQueryBuilder(LeafEntity, 'l')
    .innerJoin(LogEntity, 'g', 'g.id = l.logId')
    .select('l.hash', 'hash')
    .where(`g.hospitalId = :hospitalId AND l.kind = ${EntryKind['key-event']}`, { hospitalId })
    .getRawMany<{ hash: Buffer }>();
  return rows.map((row) => row.hash);
}
