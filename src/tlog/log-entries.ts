import type { EntityManager } from 'typeorm';
import { selectRows } from '../database/rows';
import { EntryKind, type EntryKindName } from '../ledger/core/entry';
import { waitingEntries } from './log-store';
import { LeafEntity, LogEntity, type PendingEntity } from './tlog.entity';

/** An entry that a hospital's log has, or has queued. */
export interface HeldEntry {
  readonly hospitalId: string;
  readonly hash: Buffer;
}

const ENTRIES_A_PAGE = 500;

/** Which hospitals' logs (all their incarnations) hold these entries, as leaves or waiting for their place. At most some hundred hashes. */
export async function heldEntries(manager: EntityManager, kind: EntryKindName, hashes: readonly Buffer[]): Promise<HeldEntry[]> {
  if (hashes.length === 0) return [];
  const held: HeldEntry[] = [];
  const logs = new Map((await manager.getRepository(LogEntity).find()).map(({ id, hospitalId }) => [id, hospitalId]));
  const take = (rows: readonly (LeafEntity | PendingEntity)[]): void => {
    for (const { logId, kind: found, hash } of rows) {
      const hospitalId = logs.get(logId);
      if (hospitalId !== undefined && found === EntryKind[kind]) held.push({ hospitalId, hash });
    }
  };
  // Waiting ones first: an entry only ever moves from there to the leaves, so it cannot be missed on its way.
  take(await waitingEntries(manager, 'hash', hashes));
  take(await selectRows(manager, LeafEntity, 'hash', hashes));
  return held;
}

/** Every entry of a kind in every log, waiting ones too, by pages. One that gets its place meanwhile may come twice. */
export async function* entriesOfKind(manager: EntityManager, kind: EntryKindName): AsyncGenerator<HeldEntry[]> {
  for (const { id: logId, hospitalId } of await manager.getRepository(LogEntity).find({ order: { id: 'ASC' } })) {
    const waiting = (await waitingEntries(manager, 'logId', [logId])).filter((entry) => entry.kind === EntryKind[kind]);
    for (let at = 0; at < waiting.length; at += ENTRIES_A_PAGE)
      yield waiting.slice(at, at + ENTRIES_A_PAGE).map(({ hash }) => ({ hospitalId, hash }));
    for (let after = -1; ;) {
      const page = await manager
        .createQueryBuilder(LeafEntity, 'e')
        .where('e.logId = :logId AND e.leafIndex > :after AND e.kind = :kind', { logId, after, kind: EntryKind[kind] })
        .orderBy('e.leafIndex')
        .limit(ENTRIES_A_PAGE)
        .getMany();
      const last = page.at(-1);
      if (!last) break;
      yield page.map(({ hash }) => ({ hospitalId, hash }));
      after = last.leafIndex;
    }
  }
}
