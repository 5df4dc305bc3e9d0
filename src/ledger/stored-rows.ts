import type { EntityManager } from 'typeorm';
import type { Grant } from '../access/access.service';
import { selectRows } from '../database/rows';
import { type BlockEntity, ChainEntity, ContentEntity } from './ledger.entity';

/** The patient's chain at one hospital; null before its first block. */
export async function chainAt(
  manager: EntityManager,
  { patientId, hospitalId }: Pick<Grant, 'patientId' | 'hospitalId'>,
): Promise<ChainEntity | null> {
  const chains = await selectRows(manager, ChainEntity, 'patientId', [patientId]);
  return chains.find((chain) => chain.hospitalId === hospitalId) ?? null;
}

const chainIds = new WeakMap<Grant, Buffer>();

/** The id of the same chain; asked for once in a request, for it never changes. */
export async function chainIdAt(manager: EntityManager, grant: Grant): Promise<Buffer | null> {
  const chainId = chainIds.get(grant) ?? (await chainAt(manager, grant))?.chainId;
  if (!chainId) return null;
  chainIds.set(grant, chainId);
  return chainId;
}

/** The contents of these records, to be looked up by block: the row of the block's record id and version, null when there is none. */
export async function contentsOf(
  manager: EntityManager,
  recordIds: readonly string[],
): Promise<(block: Pick<BlockEntity, 'recordId' | 'version'>) => ContentEntity | null> {
  const nameOf = ({ recordId, version }: Pick<BlockEntity, 'recordId' | 'version'>): string => `${recordId}/${version}`;
  const rows = await selectRows(manager, ContentEntity, 'recordId', recordIds);
  const contents = new Map(rows.map((row) => [nameOf(row), row]));
  return (block) => contents.get(nameOf(block)) ?? null;
}
