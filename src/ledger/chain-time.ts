import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import { ApiError } from '../common/errors';
import { CLOCK_LEEWAY_MS } from './core/block';
import { decodeHeader } from './core/header';
import { BlockEntity, type ChainEntity } from './ledger.entity';

/** Times of sealing by block hash: facts, whoever sealed the block, so they are remembered even when a transaction is rolled back. */
const known = new LRUCache<string, number>({ max: 10_000 });

/** Remembers when a block was sealed. */
export function noteSealed(blockHash: Buffer, sealedAt: number): void {
  known.set(blockHash.toString('hex'), sealedAt);
}

/**
 * The time of the block that comes next on a chain: now, but never before its head, so that times only rise. A clock that stepped back a little thus
 * stands still; one that is further behind is wrong, and nothing is sealed by it.
 * @throws ApiError `unavailable` when the clock is more than the leeway behind the head
 */
export async function nextTime(tx: EntityManager, head: ChainEntity, now: number): Promise<number> {
  const last = known.get(head.headHash.toString('hex')) ?? (await timeOf(tx, head));
  if (now + CLOCK_LEEWAY_MS < last) throw new ApiError('unavailable', 'The server’s clock is behind this chain; its operator must set it');
  return Math.max(now, last);
}

async function timeOf(tx: EntityManager, { chainId, height, headHash }: ChainEntity): Promise<number> {
  const block = await tx.getRepository(BlockEntity).findOneBy({ chainId, height });
  if (!block?.blockHash.equals(headHash)) throw new ApiError('integrity_error', 'The newest block of this chain is missing');
  const { sealedAt } = decodeHeader(block.header);
  noteSealed(headHash, sealedAt);
  return sealedAt;
}
