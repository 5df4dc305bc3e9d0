import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import { ApiError } from '../common/errors';
import { HASH_BYTES } from '../ledger/core/bytes';
import { encodeEntry, type LogEntry } from '../ledger/core/entry';
import type { Policy } from '../ledger/core/policy';
import { TILE_WIDTH, tileWidthAt } from '../ledger/core/tiles';
import { CompactRange, leafHash, verifyInclusion } from '../ledger/core/tree';
import { cosignedNote, newestCheckpoint, witnessedCheckpoints } from './checkpoint-store';
import { readCheckpoint } from './log-checkpoints';
import { splitHashes } from './log-store';
import type { LogEntity } from './tlog.entity';
import { TreeReader } from './tree-reader';

/** A checkpoint that something was proven under. */
export interface ProvenUnder {
  readonly origin: string;
  /** Leaves of its tree. */
  readonly size: number;
  /** It satisfies the policy, and somebody cosigned it. */
  readonly witnessed: boolean;
}

/**
 * Proves leaves of one stored log under its newest signed checkpoint (RFC 6962 section 2.1.1), many at little cost: the 256 hashes of a tile are proven
 * once, and every leaf in it is then a comparison.
 */
export class LeafProver {
  private readonly tiles = new LRUCache<number, Buffer>({ max: 64 });

  private constructor(
    private readonly manager: EntityManager,
    private readonly log: Pick<LogEntity, 'id' | 'origin'>,
    private readonly policy: Policy,
    private readonly tree: TreeReader,
    private readonly newest: ProvenUnder & { readonly root: Buffer },
  ) {}

  /**
   * @param policy with the key of this log alone
   * @returns null before the first checkpoint; `invalid` names what in the newest one cannot be believed
   */
  static async open(
    manager: EntityManager,
    log: Pick<LogEntity, 'id' | 'origin'>,
    policy: Policy,
  ): Promise<LeafProver | { readonly invalid: string } | null> {
    const stored = await newestCheckpoint(manager, log.id);
    if (!stored) return null;
    const read = readCheckpoint(await cosignedNote(manager, stored), log.origin, stored.size, policy);
    if ('invalid' in read) return read;
    return new LeafProver(manager, log, policy, new TreeReader(manager, log.id), { origin: log.origin, ...read });
  }

  /** Whether this entry stands at this index of the tree; undefined when the tree ends before it. */
  async holds(leafIndex: number, entry: LogEntry): Promise<boolean | undefined> {
    if (leafIndex >= this.newest.size) return undefined;
    const index = Math.floor(leafIndex / TILE_WIDTH);
    const tile = this.tiles.get(index) ?? (await this.proveTile(index));
    this.tiles.set(index, tile);
    const at = (leafIndex % TILE_WIDTH) * HASH_BYTES;
    return leafHash(encodeEntry(entry)).equals(tile.subarray(at, at + HASH_BYTES));
  }

  /** The newest checkpoint over this leaf that satisfies the policy, else the newest one; null when none is over it yet. */
  async checkpointOver(leafIndex: number): Promise<ProvenUnder | null> {
    const { origin, size, witnessed } = this.newest;
    if (leafIndex >= size) return null;
    if (!witnessed) {
      for await (const over of witnessedCheckpoints(this.manager, this.log.id, leafIndex, this.policy)) {
        if (over.checkpoint.size > BigInt(size)) continue;
        const root = await this.tree.root(over.checkpoint.size);
        if (root.equals(over.checkpoint.root)) return { origin, size: over.size, witnessed: true };
      }
    }
    return { origin, size, witnessed };
  }

  /**
   * The hashes of a tile of level 0, if they are those of the signed tree; nothing when they are not. Above level 8 a tree is one over the roots of its
   * tiles, of which the last may be partial; a path to the root is that of the tile's first leaf without the part inside the tile.
   */
  private async proveTile(index: number): Promise<Buffer> {
    const { size, root } = this.newest;
    const width = tileWidthAt(0, BigInt(index), BigInt(size));
    try {
      const hashes = (await this.tree.tile(0, index)).subarray(0, width * HASH_BYTES);
      const range = CompactRange.empty();
      for (const hash of splitHashes(hashes)) range.append(hash);
      const path = await this.tree.inclusion(BigInt(index * TILE_WIDTH), BigInt(size));
      const above = path.slice(Math.ceil(Math.log2(width)));
      const tiles = BigInt(Math.ceil(size / TILE_WIDTH));
      const fits = range.size === BigInt(width) && verifyInclusion(BigInt(index), tiles, range.root(), above, root);
      return fits ? hashes : Buffer.alloc(0);
    } catch (error) {
      // Rows that are missing or of another form prove nothing.
      if (error instanceof ApiError || error instanceof RangeError) return Buffer.alloc(0);
      throw error;
    }
  }
}
