import { Injectable } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import type { Actor } from '../common/actor';
import { ApiError, notFound } from '../common/errors';
import { OneAtATime } from '../common/one-at-a-time';
import { CryptoError } from '../crypto/crypto-error';
import { KeyRing } from '../crypto/key-ring.service';
import type { Vault } from '../crypto/vault';
import { HospitalsService } from '../hospital/hospitals.service';
import { LogProofs, type ProvenEntry } from '../tlog/log-proofs.service';
import { TlogService } from '../tlog/tlog.service';
import { b64u } from './core/bytes';
import type { CarriedKey } from './core/bundle';
import { type ExportedBlock, formatChain } from './core/chain-export';
import { decodeHeader, isZero } from './core/header';
import { BlockEntity, type ChainEntity, type ContentEntity } from './ledger.entity';
import { carriedKeys } from './logged-keys';
import { notLogged } from './proofs.service';
import { chainAt, contentsOf } from './stored-rows';

const PAGE = 200;
/** Largest sum of contents, in bytes: what a verifier still reads. A longer chain is audited where it lies. */
const MAX_CONTENT = 128 * 1024 * 1024;
const MAX_BLOCKS = 50_000;

/** Hands a patient's whole chain out, so that it can be verified without this server. */
@Injectable()
export class ChainExportService {
  private readonly turns = new OneAtATime(4);

  constructor(
    private readonly access: AccessService,
    private readonly hospitals: HospitalsService,
    private readonly tlog: TlogService,
    private readonly proofs: LogProofs,
    private readonly keyRing: KeyRing,
  ) {}

  /**
   * The chain as JSON (docs/ledger-format.md, exported chains), up to the head at this moment.
   * @param contents with the record keys, which open every content: for the patient only; others read record by record, and each reading is on the trail
   * @throws ApiError `unavailable` while the head is not logged, `conflict` when the chain is too long for a file
   */
  async export(actor: Actor, patientId: string, contents: boolean): Promise<Buffer> {
    if (contents && actor.role !== 'PATIENT') throw new ApiError('forbidden', 'Only the patient takes the whole chain with its contents');
    return this.access.read(actor, 'chain.export', { patientId }, async (manager, grant) => {
      const chain = await chainAt(manager, grant);
      if (!chain) throw notFound();
      grant.note({ headHeight: chain.height, count: chain.height + 1, kind: contents ? 'contents' : 'proofs' });
      if (chain.height >= MAX_BLOCKS) throw tooLong();
      // Before its turn: a log that stands still must not keep those of other hospitals waiting.
      if (!(await this.tlog.settle(grant.hospitalId, chain.headHash, 'logged'))) throw notLogged();
      return this.turns.run(() => this.exportNow(manager, grant, chain, contents));
    });
  }

  private async exportNow(manager: EntityManager, grant: Grant, chain: ChainEntity, contents: boolean): Promise<Buffer> {
    const vault = contents ? await this.keyRing.vault(manager, grant.subject) : null;
    const blocks = await readBlocks(manager, chain, vault);
    const hashes = blocks.map(({ hash }) => hash);
    const logged = await this.proofs.together(manager, grant.hospitalId, hashes);
    const checkpoint = logged?.[0]?.checkpoint;
    if (!logged || checkpoint === undefined) throw notLogged();
    const origin = await this.hospitals.ledgerOrigin(grant.hospitalId);
    const parts = formatChain({
      origin,
      chainId: b64u(chain.chainId),
      checkpoint,
      blocks: blocks.map(({ block }, index) => ({ ...block, ...placeAt(logged, index) })),
      keys: await keysOf(manager, grant.hospitalId, origin, blocks),
    });
    const bytes: Buffer[] = [];
    for (const part of parts) {
      bytes.push(Buffer.from(part, 'utf8'));
      if (bytes.length % PAGE === 0) await nextTurn();
    }
    return Buffer.concat(bytes);
  }
}

type ReadBlock = { readonly hash: Buffer; readonly block: Omit<ExportedBlock, 'leafIndex' | 'proof'> };

async function readBlocks(manager: EntityManager, chain: ChainEntity, vault: Vault | null): Promise<ReadBlock[]> {
  const found: ReadBlock[] = [];
  let size = 0;
  for (let from = -1; from < chain.height;) {
    const rows = await manager
      .createQueryBuilder(BlockEntity, 'b')
      .where('b.chainId = :chainId AND b.height > :from AND b.height <= :to', { chainId: chain.chainId, from, to: chain.height })
      .orderBy('b.height')
      .limit(PAGE)
      .getMany();
    const last = rows.at(-1);
    if (!last) throw new ApiError('integrity_error', 'Blocks of the chain are missing');
    const contentOf = await contentsOf(
      manager,
      rows.map((row) => row.recordId),
    );
    for (const row of rows) {
      const content = contentOf(row);
      size += content?.ciphertext.length ?? 0;
      found.push({ hash: row.blockHash, block: toBlock(row, content, vault) });
    }
    if (size > MAX_CONTENT) throw tooLong();
    from = last.height;
    await nextTurn();
  }
  return found;
}

function toBlock(row: BlockEntity, content: ContentEntity | null, vault: Vault | null): ReadBlock['block'] {
  const { height, header, recordId, version, attestation } = row;
  const block = { height, header, recordId, version, attestation, ciphertext: content?.ciphertext ?? null };
  return vault && content ? { ...block, recordKey: openKey(vault, content) } : block;
}

function openKey(vault: Vault, { recordId, recordKey }: ContentEntity): Buffer {
  try {
    return vault.openBytes('content.record_key', recordId, recordKey);
  } catch (error) {
    if (error instanceof CryptoError) throw new ApiError('integrity_error');
    throw error;
  }
}

function placeAt(logged: readonly ProvenEntry[], index: number): Pick<ExportedBlock, 'leafIndex' | 'proof'> {
  const entry = logged[index];
  if (!entry) throw new ApiError('integrity_error', 'Leaves of the log are missing');
  return { leafIndex: entry.leafIndex, proof: entry.proof };
}

/** The keys of all authors whom the blocks name, as the log has them, in the order of their thumbprints. One that no log knows is left out. */
async function keysOf(manager: EntityManager, hospitalId: string, origin: string, blocks: readonly ReadBlock[]): Promise<CarriedKey[]> {
  const ids = blocks.map(({ block }) => decodeHeader(block.header).authorKeyId).filter((id) => !isZero(id));
  const kids = [...new Set(ids.map(b64u))].sort();
  const keys: CarriedKey[] = [];
  for (let at = 0; at < kids.length; at += PAGE) {
    keys.push(...(await carriedKeys(manager, hospitalId, origin, kids.slice(at, at + PAGE))));
  }
  return keys.sort((a, b) => (a.kid < b.kid ? -1 : 1));
}

function tooLong(): ApiError {
  return new ApiError('conflict', 'This chain is too long for one file; take it record by record, or have the data folder audited');
}
