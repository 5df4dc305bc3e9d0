import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { CryptoError } from '../crypto/crypto-error';
import { KeyRing } from '../crypto/key-ring.service';
import { Sealed } from '../crypto/sealed';
import type { Vault } from '../crypto/vault';
import { createChainVerifier, type StoredBlock } from './core/chain';
import { ledgerId } from './core/header';
import type { PublicJwk } from './core/jwk';
import type { ChainReport } from './core/verdict';
import { BlockEntity, ChainEntity, ContentEntity } from './ledger.entity';

const PAGE = 500;

/** What a verification needs beside the rows. Without `keyRing` the contents stay closed: hashes and signatures are checked all the same. */
export interface VerificationContext {
  readonly originOf: (hospitalId: string) => Promise<string>;
  readonly keyOf: (kid: string) => PublicJwk | undefined;
  readonly keyRing: KeyRing | null;
}

interface Row {
  height: number;
  blockHash: Buffer;
  prevHash: Buffer;
  header: Buffer;
  recordId: string;
  version: number;
  attestation: string | null;
  ciphertext: Buffer | null;
  recordKey: Buffer | null;
}

/** Walks one chain from block 0 to its head in bounded memory, without stopping the server for others. Never throws for what it finds in the rows. */
export async function verifyStoredChain(manager: EntityManager, chain: ChainEntity, context: VerificationContext): Promise<ChainReport> {
  const verifier = createChainVerifier({
    ledgerId: ledgerId(await context.originOf(chain.hospitalId)),
    chainId: chain.chainId,
    keyOf: context.keyOf,
  });
  const vault = await patientVault(manager, chain, context.keyRing);
  for (let from = -1; ;) {
    const rows = await page(manager, chain.chainId, from);
    for (const row of rows) verifier.push(toStoredBlock(row, vault));
    const last = rows.at(-1);
    if (!last || rows.length < PAGE) break;
    from = last.height;
    await nextTurn();
  }
  return verifier.finish({ height: chain.height, hash: chain.headHash });
}

function page(manager: EntityManager, chainId: Buffer, from: number): Promise<Row[]> {
  const builder = manager
    .createQueryBuilder(BlockEntity, 'b')
    .leftJoin(ContentEntity, 'c', 'c.recordId = b.recordId AND c.version = b.version')
    .select('b.height', 'height');
  for (const column of ['blockHash', 'prevHash', 'header', 'recordId', 'version', 'attestation']) builder.addSelect(`b.${column}`, column);
  return builder
    .addSelect('c.ciphertext', 'ciphertext')
    .addSelect('c.recordKey', 'recordKey')
    .where('b.chainId = :chainId AND b.height > :from', { chainId, from })
    .orderBy('b.height')
    .limit(PAGE)
    .getRawMany<Row>();
}

async function patientVault(manager: EntityManager, chain: ChainEntity, keyRing: KeyRing | null): Promise<Vault | null> {
  if (!keyRing) return null;
  const vaults = await keyRing.existingVaults(manager, [{ subjectId: chain.patientId, tenantId: chain.hospitalId }]);
  return vaults.values().next().value ?? null;
}

function toStoredBlock(row: Row, vault: Vault | null): StoredBlock {
  const { recordKey, ...block } = row;
  if (!vault || !recordKey) return block;
  return { ...block, recordKey: unwrap(vault, row.recordId, recordKey) };
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
