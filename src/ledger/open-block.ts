import { ApiError } from '../common/errors';
import type { Vault } from '../crypto/vault';
import { contentCommit, decryptContent, opening } from './core/content';
import { blockHash, type BlockHeader, type BlockKind, decodeHeader, isZero } from './core/header';
import type { BlockEntity, ContentEntity } from './ledger.entity';

/** A sealed record, opened and found to fit its block. */
export interface OpenedBlock {
  /** Null when it was erased lawfully. */
  readonly payload: Buffer | null;
  readonly kind: BlockKind;
  readonly version: number;
  readonly height: number;
  /** Lower-case hex. */
  readonly blockHash: string;
  readonly refHash: string | null;
  /** Milliseconds since the epoch. */
  readonly sealedAt: number;
  /** The account whose key attests it; null when no such key is registered. */
  readonly authorId: string | null;
}

/**
 * Opens a block with its content, or without one that was erased.
 * @param authorOf the account of the key that a header names
 * @throws ApiError `integrity_error` when anything does not fit
 */
export function openBlock(
  vault: Vault,
  block: BlockEntity,
  content: ContentEntity | null,
  authorOf: (header: Buffer) => string | null,
): OpenedBlock {
  if (!blockHash(block.header).equals(block.blockHash)) throw new ApiError('integrity_error');
  const header = decodeHeader(block.header);
  const { kind, height, sealedAt, chainId, refHash } = header;
  if (height !== block.height || !chainId.equals(block.chainId)) throw new ApiError('integrity_error');
  return {
    payload: content && openContent(vault, block, content, header),
    kind,
    version: block.version,
    height,
    blockHash: block.blockHash.toString('hex'),
    refHash: isZero(refHash) ? null : refHash.toString('hex'),
    sealedAt,
    authorId: authorOf(block.header),
  };
}

/** The payload of a block, held against its commitment. @throws ApiError `integrity_error`, CryptoError when the record key does not open */
export function openContent(vault: Vault, block: BlockEntity, content: ContentEntity, header: BlockHeader): Buffer {
  const recordKey = vault.openBytes('content.record_key', block.recordId, content.recordKey);
  const { ledgerId, chainId } = header;
  const { recordId, version } = block;
  const payload = decryptContent({ recordKey, ledgerId, chainId, recordId, version, ciphertext: content.ciphertext });
  if (!payload || !contentCommit(opening(recordKey), payload).equals(header.contentCommit)) throw new ApiError('integrity_error');
  return payload;
}
