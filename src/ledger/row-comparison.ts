import type { EntityManager } from 'typeorm';
import { HASH_BYTES, isBytes, isU32, isUuid, ZERO_HASH } from './core/bytes';
import type { BlockHeader } from './core/header';
import type { Finding } from './core/verdict';
import { erasedAmong, storedHeader } from './erasures';
import type { BlockEntity } from './ledger.entity';
import type { KeptChain, RowKeeper, SealedFact } from './row-keeper';

/** A block as a walk reads it. */
export type ComparedRow = Pick<BlockEntity, 'height' | 'blockHash' | 'refHash' | 'header' | 'recordId' | 'version'> & {
  readonly ciphertext: Buffer | null;
};

/** The chain at hand. */
export interface ComparedChain extends KeptChain {
  readonly chainId: Buffer;
  readonly patientId: string;
  readonly genesis: Buffer;
}

/**
 * Holds what lies beside the headers of one page against them: the rows of other modules, the block's own copy of `refHash`, and contents that were erased.
 * @param headers of the rows, where they are decoded already
 * @param kept counts the blocks of each keeper
 */
export async function compareRows(
  manager: EntityManager,
  chain: ComparedChain,
  rows: readonly ComparedRow[],
  headers: readonly (BlockHeader | null)[],
  keepers: readonly RowKeeper[],
  kept: Map<RowKeeper, number>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const facts = new Map<RowKeeper, SealedFact[]>();
  // What has not even the form of a block, the walk has named.
  const formed = rows.flatMap((row, index) => (hasForm(row) ? [{ row, header: headers[index] ?? storedHeader(row.header) }] : []));
  const places = formed.map(({ row }) => row);
  const erasedHeights = await erasedAmong(manager, chain.chainId, chain.genesis, places);
  for (const { row, header } of formed) {
    if (!header) continue;
    const { height, recordId, version } = row;
    const erased = erasedHeights.has(height);
    const copied = row.refHash ?? ZERO_HASH;
    if (!isBytes(copied, HASH_BYTES) || !copied.equals(header.refHash))
      findings.push({ code: 'HEADER_MISMATCH', height, field: 'refHash', recordId });
    // This server deletes in the transaction that seals the ERASE block: what is there again was put back.
    if (erased && row.ciphertext !== null) findings.push({ code: 'CONTENT_MISMATCH', height, field: 'an erased content', recordId });
    const keeper = keepers.find((item) => item.kinds.some((kind) => kind === header.kind));
    if (!keeper) continue;
    const fact = { recordId, height, version, blockHash: row.blockHash.toString('hex'), sealedAt: header.sealedAt, erased };
    const page = facts.get(keeper);
    if (page) page.push(fact);
    else facts.set(keeper, [fact]);
  }
  for (const [keeper, page] of facts) {
    kept.set(keeper, (kept.get(keeper) ?? 0) + page.length);
    findings.push(...(await keeper.findings(manager, chain.patientId, page, chain)));
  }
  return findings;
}

function hasForm({ blockHash, recordId, version }: ComparedRow): boolean {
  return isBytes(blockHash, HASH_BYTES) && isUuid(recordId) && isU32(version);
}
