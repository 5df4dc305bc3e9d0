import type { EntityManager } from 'typeorm';
import { type Policy, verifyCheckpoint } from '../ledger/core/policy';
import { newestCheckpoint } from './checkpoint-store';
import type { TreeReader } from './tree-reader';
import type { Halt } from './witnessing.service';

interface SignedTree {
  readonly size: number;
  readonly root: Buffer;
}

/**
 * What this process knows to be signed, by log. Whoever can write the database has no keys, but could write another tree and let the server sign it, or
 * delete a checkpoint and have another root signed for its size. So a tree is signed only when it continues the newest checkpoint that is stored, and
 * the newest that was ever seen here; the second is kept in memory, where no SQL reaches it.
 */
export class SignedTrees {
  private readonly newest = new Map<number, SignedTree>();

  /** Takes the newest stored checkpoint of a log, when it is signed. @param policy with the key of this log alone */
  async learn(manager: EntityManager, logId: number, policy: Policy): Promise<void> {
    const stored = await readNewest(manager, logId, policy);
    if (stored && stored !== 'invalid') this.remember(logId, stored);
  }

  /** Why the tree that is stored now must not be signed; null when it may be. The signatures of witnesses are not looked at. */
  async contradiction(tx: EntityManager, logId: number, tree: TreeReader, policy: Policy): Promise<Halt | null> {
    const stored = await readNewest(tx, logId, policy);
    if (stored === 'invalid') return 'CHECKPOINT_INVALID';
    const known = this.newest.get(logId);
    if (known && (stored?.size ?? -1) < known.size) return 'ROLLBACK';
    // Most often both are the same, and one look at the tree serves them.
    const same = stored?.size === known?.size && known?.root.equals(stored?.root ?? Buffer.alloc(0));
    for (const signed of same ? [known] : [stored, known])
      if (signed && !(await tree.root(BigInt(signed.size))).equals(signed.root)) return 'CONSISTENCY_INVALID';
    return null;
  }

  private remember(logId: number, tree: SignedTree): void {
    if ((this.newest.get(logId)?.size ?? -1) < tree.size) this.newest.set(logId, tree);
  }
}

async function readNewest(manager: EntityManager, logId: number, policy: Policy): Promise<SignedTree | 'invalid' | null> {
  const row = await newestCheckpoint(manager, logId);
  if (!row) return null;
  const verdict = verifyCheckpoint(row.note, { ...policy, witnesses: [] });
  if ('invalid' in verdict || verdict.checkpoint.size !== BigInt(row.size)) return 'invalid';
  return { size: row.size, root: verdict.checkpoint.root };
}
