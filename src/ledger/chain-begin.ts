import { randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { Grant } from '../access/access.service';
import { ApiError } from '../common/errors';
import { ZERO_HASH } from './core/bytes';
import { blockHash, BlockKind, encodeHeader, genesisHash } from './core/header';
import { BlockEntity, ChainEntity } from './ledger.entity';

const EMPTY = {
  contentCommit: ZERO_HASH,
  ciphertextHash: ZERO_HASH,
  attestationHash: ZERO_HASH,
  authorKeyId: ZERO_HASH,
  refHash: ZERO_HASH,
};

/**
 * Writes block 0: says that the chain begins, carries no content and no author. A chain whose head row is gone is not begun anew: that would hide it.
 * @param now ms since the epoch
 */
export async function beginChain(tx: EntityManager, grant: Grant, ledgerId: Buffer, now: number): Promise<ChainEntity> {
  const begun = await tx.getRepository(BlockEntity).existsBy({ recordId: grant.patientId });
  if (begun) throw new ApiError('integrity_error', 'The head of this chain is missing');
  const chainId = randomBytes(16);
  const prevHash = genesisHash(ledgerId, chainId);
  const header = encodeHeader({ kind: BlockKind['open-chain'], ledgerId, chainId, height: 0, sealedAt: now, prevHash, ...EMPTY });
  const hash = blockHash(header);
  const row = { recordId: grant.patientId, version: 0, refHash: null, attestation: null };
  await tx.getRepository(BlockEntity).insert({ chainId, height: 0, blockHash: hash, prevHash, header, ...row });
  const chain = { chainId, patientId: grant.patientId, hospitalId: grant.hospitalId, height: 0, headHash: hash };
  await tx.getRepository(ChainEntity).insert(chain);
  return chain;
}
