import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { CryptoError } from '../crypto/crypto-error';
import { KeyRing } from '../crypto/key-ring.service';
import { Sealed } from '../crypto/sealed';
import type { Vault } from '../crypto/vault';
import { isMarkedErased } from '../hospital/enrolments.service';
import { ChainLeaves, type HeadLeaf, type LeafChecks } from './chain-leaves';
import { createChainVerifier, type StoredBlock } from './core/chain';
import { type BlockHeader, genesisHash, ledgerId } from './core/header';
import { type ChainReport, type Finding, MAX_FINDINGS } from './core/verdict';
import { erasedBelow } from './erasures';
import { PageKeys } from './page-keys';
import { blockPage, type WalkedRow } from './block-pages';
import { BlockEntity, ChainEntity } from './ledger.entity';
import { compareRows } from './row-comparison';
import type { RowKeeper } from './row-keeper';

const PAGE = 500;
/** Blocks, each with a signature to check, after which others get their turn. */
const BREATH = 50;

/** What a verification needs beside the rows. Without `keyRing` the contents stay closed: hashes and signatures are checked all the same. */
export interface VerificationContext {
  readonly originOf: (hospitalId: string) => Promise<string>;
  /** Whether a hospital's log has an event about a key whose row is gone or altered (`hiddenEventsOf`). */
  readonly hiddenEvents: (hospitalId: string) => Promise<boolean>;
  readonly keyRing: KeyRing | null;
  /** Whose rows are compared with the blocks. */
  readonly keepers: readonly RowKeeper[];
  /** What else is done with the leaves of the blocks. */
  readonly leaves?: LeafChecks;
  /** False leaves the signatures of authors out: for checks between full ones. */
  readonly signatures?: boolean;
  /** Blocks that are read at once; 500 when left out. */
  readonly page?: number;
  /** Told after each page, with the number of its blocks; may wait. */
  readonly pace?: (blocks: number) => Promise<void>;
}

/** What a walk over a stored chain shows. */
export interface StoredChainReport extends ChainReport {
  /** Where the newest block stands in its hospital's log; null while it waits for its place, or when it has no leaf. */
  readonly leaf: HeadLeaf | null;
}

interface Tip {
  readonly height: number;
  readonly headHash: Buffer;
  readonly lastHeight: number;
}

type Chain = Pick<ChainEntity, 'chainId' | 'patientId' | 'hospitalId'>;

/** Walks one chain from block 0 to its head in bounded memory, without stopping the server for others. Never throws for what it finds in the rows. */
export async function verifyStoredChain(manager: EntityManager, chain: Chain, context: VerificationContext): Promise<StoredChainReport> {
  // Counted before the tip is read: each of these rows has its block at or below the tip, whatever others seal meanwhile.
  const counted: { keeper: RowKeeper; count: number }[] = [];
  for (const keeper of context.keepers) counted.push({ keeper, count: await keeper.count(manager, chain.patientId) });
  const tip = await tipOf(manager, chain.chainId);
  const origin = await context.originOf(chain.hospitalId);
  const ledger = ledgerId(origin);
  const leaves = new ChainLeaves(manager, chain, context.leaves);
  const keys = new PageKeys(manager, chain.hospitalId, origin, leaves);
  const { keyOf, keyOrder } = keys;
  const signatures = context.signatures ?? true;
  const verifier = createChainVerifier({ ledgerId: ledger, chainId: chain.chainId, keyOf, keyOrder, signatures });
  const genesis = genesisHash(ledger, chain.chainId);
  const erasedTo = await erasedBelow(manager, chain.chainId, genesis);
  const vault = await patientVault(manager, chain, context.keyRing, erasedTo >= 0);
  const limit = context.page ?? PAGE;
  const rowsFindings: Finding[] = [];
  if ((await isMarkedErased(manager, chain.patientId)) !== erasedTo >= 0)
    rowsFindings.push({ code: 'CONTENT_MISMATCH', height: tip.height, field: 'enrolment.erasedAt' });
  const kept = new Map<RowKeeper, number>();
  for (let from = -1; ;) {
    const rows = await blockPage(manager, { chainId: chain.chainId, from, to: tip.lastHeight, limit }, vault !== null);
    // Places of keys and of blocks are compared, so they must be of one moment: no event of a key may get its place between the two looks.
    do {
      rowsFindings.push(...(await keys.turn(rows)));
      await leaves.turn(from, rows);
    } while (await keys.moved());
    const headers: (BlockHeader | null)[] = [];
    for (const [index, row] of rows.entries()) {
      headers.push(verifier.push(toStoredBlock(row, vault)));
      if (index % BREATH === BREATH - 1) await nextTurn();
    }
    const chainAt = { ...chain, genesis, keyRing: context.keyRing };
    rowsFindings.push(...(await compareRows(manager, chainAt, rows, headers, context.keepers, kept)));
    const last = rows.at(-1);
    rowsFindings.push(...(await leaves.findings(rows)));
    await context.pace?.(rows.length);
    if (!last || rows.length < limit) break;
    from = last.height;
    await nextTurn();
  }
  for (const { keeper, count } of counted) {
    if (count > (kept.get(keeper) ?? 0))
      rowsFindings.push({ code: 'HEAD_MISMATCH', height: tip.height, field: 'a sealed row without a block' });
  }
  if (await context.hiddenEvents(chain.hospitalId)) rowsFindings.push({ code: 'LEAF_MISMATCH', height: tip.height, field: 'key_event' });
  const report = { ...verifier.finish({ height: tip.height, hash: tip.headHash }), leaf: leaves.head };
  if (rowsFindings.length === 0) return report;
  return { ...report, verdict: 'TAMPERED', findings: [...report.findings, ...rowsFindings].slice(0, MAX_FINDINGS) };
}

/**
 * The head as it is stored and the height of the last block, read by one statement: both are of one moment. The walk ends at that block, so that what
 * others seal meanwhile is not taken for a forged tail; a block beyond the head at that moment is.
 */
async function tipOf(manager: EntityManager, chainId: Buffer): Promise<Tip> {
  const builder = manager.createQueryBuilder(ChainEntity, 'c').select('c.height', 'height').addSelect('c.headHash', 'headHash');
  builder.addSelect((last) => last.select('MAX(b.height)').from(BlockEntity, 'b').where('b.chainId = c.chainId'), 'lastHeight');
  const tip = await builder.where('c.chainId = :chainId', { chainId }).getRawOne<Omit<Tip, 'lastHeight'> & { lastHeight: number | null }>();
  return { height: tip?.height ?? 0, headHash: tip?.headHash ?? Buffer.alloc(0), lastHeight: tip?.lastHeight ?? -1 };
}

/**
 * Null without keys or after the erasure of the patient; `rejected` when the patient's key was altered in the database, deleted or destroyed without an
 * ERASE block: then no content opens.
 */
async function patientVault(
  manager: EntityManager,
  chain: Chain,
  keyRing: KeyRing | null,
  erased: boolean,
): Promise<Vault | 'rejected' | null> {
  if (!keyRing) return null;
  try {
    const vaults = await keyRing.existingVaults(manager, [{ subjectId: chain.patientId, tenantId: chain.hospitalId }]);
    return vaults.values().next().value ?? (erased ? null : 'rejected');
  } catch (error) {
    if (error instanceof CryptoError) return 'rejected';
    throw error;
  }
}

function toStoredBlock(row: WalkedRow, vault: Vault | 'rejected' | null): StoredBlock {
  const { height, blockHash, prevHash, header, recordId, version, attestation, ciphertext, recordKey } = row;
  const block = { height, blockHash, prevHash, header, recordId, version, attestation, ciphertext };
  if (!vault || !recordKey) return block;
  return { ...block, recordKey: vault === 'rejected' ? Buffer.alloc(32) : unwrap(vault, row.recordId, recordKey) };
}

/** A record key that does not open (altered or moved) opens no content: an all-zero key makes the verifier say so. */
function unwrap(vault: Vault, recordId: string, wrapped: Buffer): Buffer {
  try {
    return vault.openBytes('content.record_key', recordId, new Sealed(wrapped));
  } catch (error) {
    if (error instanceof CryptoError) return Buffer.alloc(32);
    throw error;
  }
}
