import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import { ApiError } from '../common/errors';
import { HASH_BYTES } from '../ledger/core/bytes';
import { nodeInTile, nodePlace, TILE_WIDTH } from '../ledger/core/tiles';
import { type NodeId, planConsistency, planInclusion, planRoot, type ProofPlan } from '../ledger/core/tree';
import { partialTile } from './log-store';
import { TileEntity } from './tlog.entity';

/** Full tiles, 8 KiB each. They never change, so they are remembered. */
type TileCache = LRUCache<string, Buffer>;
const newTileCache = (): TileCache => new LRUCache({ max: 512 });

/** Roots and proofs of one stored log; each costs O(log n) rows. Sizes must not exceed the log's own. */
export class TreeReader {
  constructor(
    private readonly manager: EntityManager,
    private readonly logId: number,
    private readonly cache: TileCache = newTileCache(),
  ) {}

  /** RFC 6962 section 2.1: hash of the tree of the first `size` leaves. */
  async root(size: bigint): Promise<Buffer> {
    const [root] = await this.proof(planRoot(size));
    if (!root) throw new ApiError('integrity_error', 'The root of the log cannot be computed');
    return root;
  }

  /** RFC 6962 section 2.1.1. */
  inclusion(index: bigint, size: bigint): Promise<Buffer[]> {
    return this.proof(planInclusion(index, size));
  }

  /** The same for many indexes. The partial tiles at the right edge, which every proof needs, are read once. */
  async *inclusions(indexes: readonly bigint[], size: bigint): AsyncGenerator<Buffer[]> {
    const tiles = new Map<string, Buffer>();
    for (const index of indexes) {
      yield await this.proof(planInclusion(index, size), tiles);
      for (const [key, hashes] of tiles) if (hashes.length >= TILE_WIDTH * HASH_BYTES) tiles.delete(key); // those are in the cache
    }
  }

  /** RFC 6962 section 2.1.2. */
  consistency(from: bigint, to: bigint): Promise<Buffer[]> {
    return this.proof(planConsistency(from, to));
  }

  /** The hashes of a tile, as many as there are now. */
  async tile(level: number, index: number): Promise<Buffer> {
    const key = `${this.logId}/${level}/${index}`;
    const known = this.cache.get(key);
    if (known) return known;
    const row = await this.manager.getRepository(TileEntity).findOneBy({ logId: this.logId, level, tileIndex: index });
    if (!row) return Buffer.concat(await partialTile(this.manager, this.logId, level, index));
    this.cache.set(key, row.hashes);
    return row.hashes;
  }

  private async proof(plan: ProofPlan, tiles = new Map<string, Buffer>()): Promise<Buffer[]> {
    const hashes: Buffer[] = [];
    for (const node of plan.nodes) hashes.push(await this.node(node, tiles));
    return plan.build(hashes);
  }

  private async node(node: NodeId, tiles: Map<string, Buffer>): Promise<Buffer> {
    const { level, index, height, offset } = nodePlace(node);
    const key = `${level}/${index}`;
    const hashes = tiles.get(key) ?? (await this.tile(level, Number(index)));
    tiles.set(key, hashes);
    if (hashes.length > TILE_WIDTH * HASH_BYTES || (offset + 1) * 2 ** height * HASH_BYTES > hashes.length)
      throw new ApiError('integrity_error', 'Leaves of the log are missing');
    return nodeInTile(hashes, height, offset);
  }
}

/** Readers of the server's logs that share the tiles which they remember. */
@Injectable()
export class Trees {
  private readonly cache = newTileCache();

  of(manager: EntityManager, logId: number): TreeReader {
    return new TreeReader(manager, logId, this.cache);
  }
}
