import type { EntityManager } from 'typeorm';
import { ApiError } from '../common/errors';
import { CryptoError } from '../crypto/crypto-error';
import type { Vault } from '../crypto/vault';
import { selectRows } from '../database/rows';
import { FormatError } from './core/bytes';
import { erasureRef, parseErasure } from './core/erasure';
import { blockHash, type BlockHeader, BlockKind, decodeHeader, genesisHash, HEADER_BYTES } from './core/header';
import { BlockEntity, type ContentEntity } from './ledger.entity';
import { openContent } from './open-block';
import { contentsOf } from './stored-rows';

/** One place in a chain. */
export interface Place {
  readonly height: number;
  readonly blockHash: Buffer;
}

/** The header as it is stored, or null when it is none: a database is hostile input. */
export function storedHeader(bytes: Buffer): BlockHeader | null {
  if (!Buffer.isBuffer(bytes) || bytes.length !== HEADER_BYTES) return null;
  try {
    return decodeHeader(bytes);
  } catch {
    return null;
  }
}

/** Whether a stored block erases: its header is of that kind and is the one that was hashed. */
export function isErasure(block: Pick<BlockEntity, 'header' | 'blockHash'>): boolean {
  return storedHeader(block.header)?.kind === BlockKind.erase && blockHash(block.header).equals(block.blockHash);
}

/**
 * Heights of the blocks among `places` that an ERASE block above them speaks of, in a chain with this genesis hash. Whether these ERASE blocks are signed,
 * the walk over the chain says.
 */
export async function erasedAmong(
  manager: EntityManager,
  chainId: Buffer,
  genesis: Buffer,
  places: readonly Place[],
): Promise<Set<number>> {
  return coveredBy(await erasuresOf(manager, chainId, genesis, places), genesis, places);
}

/** Height of the newest block that erases the whole chain below it; -1 when there is none. */
export async function erasedBelow(manager: EntityManager, chainId: Buffer, genesis: Buffer): Promise<number> {
  return wholeChain(await erasuresOf(manager, chainId, genesis, []), genesis);
}

/**
 * The same as {@link erasedAmong} for a single read, without a walk: only ERASE blocks count whose own content opens and names what the header refers to. Who
 * has the database and no keys can forge a header, but no content that opens under the patient's key. `blocks` are of this chain.
 */
export async function provenErasures(
  manager: EntityManager,
  vault: Vault,
  chainId: Buffer,
  blocks: readonly BlockEntity[],
): Promise<Set<number>> {
  const first = blocks[0] && storedHeader(blocks[0].header);
  if (!first) return new Set();
  const genesis = genesisHash(first.ledgerId, chainId);
  const found = await erasuresOf(manager, chainId, genesis, blocks);
  if (found.length === 0) return new Set();
  const contentOf = await contentsOf(
    manager,
    found.map((block) => block.recordId),
  );
  const proven = found.filter((block) => {
    const content = contentOf(block);
    return content !== null && saysSo(vault, block, content);
  });
  return coveredBy(proven, genesis, blocks);
}

function saysSo(vault: Vault, block: BlockEntity, content: ContentEntity): boolean {
  const header = decodeHeader(block.header);
  try {
    const statement = parseErasure(openContent(vault, block, content, header));
    return erasureRef(statement, header.ledgerId, header.chainId).equals(header.refHash);
  } catch (error) {
    if (error instanceof FormatError || error instanceof CryptoError || error instanceof ApiError) return false;
    throw error;
  }
}

async function erasuresOf(manager: EntityManager, chainId: Buffer, genesis: Buffer, places: readonly Place[]): Promise<BlockEntity[]> {
  const rows = await selectRows(manager, BlockEntity, 'refHash', [genesis, ...places.map((place) => place.blockHash)]);
  // By what the header says: the column is a copy.
  return rows.filter((row) => row.chainId.equals(chainId) && isErasure(row));
}

function coveredBy(erasures: readonly BlockEntity[], genesis: Buffer, places: readonly Place[]): Set<number> {
  const whole = wholeChain(erasures, genesis);
  const byHeight = [...erasures].sort((a, b) => a.height - b.height);
  const single = new Map(byHeight.map((block) => [refOf(block).toString('hex'), block.height]));
  const isErased = ({ height, blockHash: hash }: Place): boolean => height < whole || height < (single.get(hash.toString('hex')) ?? -1);
  return new Set(places.filter(isErased).map(({ height }) => height));
}

function wholeChain(erasures: readonly BlockEntity[], genesis: Buffer): number {
  return Math.max(-1, ...erasures.filter((block) => refOf(block).equals(genesis)).map((block) => block.height));
}

function refOf(block: BlockEntity): Buffer {
  return decodeHeader(block.header).refHash;
}
