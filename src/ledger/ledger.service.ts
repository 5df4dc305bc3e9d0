import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Grant } from '../access/access.service';
import { Clock } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { KeyRing } from '../crypto/key-ring.service';
import { insertRow, selectRows, updateRows } from '../database/rows';
import { HospitalsService } from '../hospital/hospitals.service';
import { TlogService } from '../tlog/tlog.service';
import { AttestationsService, type NextBlock, type ToBeSigned } from './attestations.service';
import { AuthorKeysService } from './author-keys.service';
import { beginChain } from './chain-begin';
import { nextTime, noteSealed } from './chain-time';
import { b64u, sha256, ZERO_HASH } from './core/bytes';
import { ciphertextHash, encryptContent } from './core/content';
import { blockHash, BlockKind, type BlockKindName, decodeHeader, encodeHeader, genesisHash, ledgerId } from './core/header';
import { isErasure, provenErasures } from './erasures';
import { BlockEntity, ChainEntity, ContentEntity } from './ledger.entity';
import { openBlock, type OpenedBlock } from './open-block';
import { chainAt, chainIdAt, contentsOf } from './stored-rows';

/** What is to be sealed. `payload` is hashed, encrypted and kept byte for byte. */
export interface SealInput {
  readonly kind: Exclude<BlockKindName, 'open-chain'>;
  readonly recordId: string;
  readonly version: number;
  readonly payload: Buffer;
  /** The block that an amendment or an erasure speaks of; `whole-chain` for everything below the new block. */
  readonly refHash?: Buffer | 'whole-chain';
  /** Compact JWS of an author who signs elsewhere, for what was prepared; without it the server signs with a key in its custody. */
  readonly attestation?: string;
}

/** Where something was sealed; hashes as lower-case hex, the chain id as base64url, the instant in ms. */
export interface SealedBlock {
  readonly recordId: string;
  readonly chainId: string;
  readonly height: number;
  readonly blockHash: string;
  readonly sealedAt: number;
}

/** Seals records into per-patient hash-linked blocks (R16) and opens what was sealed. Both need a grant. */
@Injectable()
export class LedgerService {
  constructor(
    private readonly hospitals: HospitalsService,
    private readonly authorKeys: AuthorKeysService,
    private readonly attestations: AttestationsService,
    private readonly tlog: TlogService,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {}

  /**
   * Appends one block to the patient's chain and queues it for the log, in the caller's transaction: all of it is stored, or none. The cost does not depend on the length of the
   * chain. If the process dies here, nothing is stored, for the caller's commit is the only one; the author's private key then signed a block
   * that nobody ever sees.
   */
  async seal(tx: EntityManager, grant: Grant, input: SealInput): Promise<SealedBlock> {
    const next = await this.nextBlock(tx, grant);
    const { head, sealedAt } = next;
    const { chainId } = head;
    const ledger = ledgerId(next.origin);
    const refHash = input.refHash === 'whole-chain' ? genesisHash(ledger, chainId) : input.refHash;
    const { recordKey, contentCommit: commit, attestation, authorKeyId } = await this.attestations.of(tx, grant, input, next);
    const place = { recordKey, ledgerId: ledger, chainId, recordId: input.recordId, version: input.version };
    const ciphertext = encryptContent({ ...place, payload: input.payload });
    const header = encodeHeader({
      kind: BlockKind[input.kind],
      ledgerId: ledger,
      chainId,
      height: head.height + 1,
      sealedAt,
      prevHash: head.headHash,
      contentCommit: commit,
      ciphertextHash: ciphertextHash(ciphertext),
      attestationHash: sha256(attestation),
      authorKeyId,
      refHash: refHash ?? ZERO_HASH,
    });
    const vault = await this.keyRing.vault(tx, grant.subject);
    const content = {
      recordId: input.recordId,
      version: input.version,
      ciphertext,
      recordKey: vault.seal('content.record_key', input.recordId, recordKey),
    };
    await insertRow(tx, ContentEntity, content);
    return this.append(tx, grant, head, header, {
      recordId: input.recordId,
      version: input.version,
      attestation,
      refHash: refHash ?? null,
    });
  }

  /** What an author who signs elsewhere is to sign for `seal` to accept. Begins the chain where there is none, for the author to have seen something. */
  async prepare(tx: EntityManager, grant: Grant, input: SealInput): Promise<ToBeSigned> {
    return this.attestations.prepare(tx, grant, input, await this.nextBlock(tx, grant));
  }

  /** What was sealed under one record id; throws when it is not in the patient's chain. */
  async open(manager: EntityManager, grant: Grant, recordId: string): Promise<OpenedBlock> {
    const opened = (await this.openMany(manager, grant, [recordId])).get(recordId);
    if (!opened) throw new ApiError('integrity_error', 'The block of a sealed record is missing');
    return opened;
  }

  /**
   * Several records of the grant's patient, by record id; what has no block in the patient's own chain is absent. Contents are held against their
   * blocks first: what does not fit its seal is not shown. A content is absent where a proven ERASE block says so, and nowhere else.
   */
  async openMany(manager: EntityManager, grant: Grant, recordIds: readonly string[]): Promise<Map<string, OpenedBlock>> {
    const chainId = recordIds.length === 0 ? null : await chainIdAt(manager, grant);
    if (!chainId) return new Map();
    // Found by record id alone: with the chain in the condition SQLite would walk the whole chain.
    const found = await selectRows(manager, BlockEntity, 'recordId', recordIds);
    const blocks = found.filter((block) => block.chainId.equals(chainId));
    const contentOf = await contentsOf(manager, recordIds);
    const [vault, authorOf] = [
      await this.keyRing.vault(manager, grant.subject),
      await this.authorKeys.accounts(
        manager,
        grant.hospitalId,
        blocks.map((block) => block.header),
      ),
    ];
    const erased = await provenErasures(manager, vault, chainId, blocks);
    return new Map(
      blocks.map((block) => {
        const content = contentOf(block);
        // Missing without an erasure, or back after one.
        if ((content === null) !== erased.has(block.height))
          throw new ApiError('integrity_error', 'The content of a record is not as it was left');
        return [block.recordId, openBlock(vault, block, content, authorOf)];
      }),
    );
  }

  /**
   * Record ids of the blocks of the patient's chain that speak of these blocks (hashes in hex), in the order of sealing, by the hash they speak of.
   * ERASE blocks are left out: they are no records.
   */
  async speakingOf(manager: EntityManager, grant: Grant, blockHashes: readonly string[]): Promise<Map<string, string[]>> {
    const chainId = blockHashes.length === 0 ? null : await chainIdAt(manager, grant);
    const found = new Map<string, string[]>();
    if (!chainId) return found;
    const hashes = blockHashes.map((hash) => Buffer.from(hash, 'hex'));
    const rows = await selectRows(manager, BlockEntity, 'refHash', hashes);
    const ofChain = rows.filter((row) => row.chainId.equals(chainId) && !isErasure(row)).sort((a, b) => a.height - b.height);
    for (const { refHash, recordId } of ofChain) {
      const hash = refHash?.toString('hex') ?? '';
      found.set(hash, [...(found.get(hash) ?? []), recordId]);
    }
    return found;
  }

  /** Where a record of the grant's patient was sealed. */
  async placeOf(manager: EntityManager, grant: Grant, recordId: string): Promise<SealedBlock> {
    const chainId = await chainIdAt(manager, grant);
    const block = chainId && (await selectRows(manager, BlockEntity, 'recordId', [recordId])).find((item) => item.chainId.equals(chainId));
    if (!block) throw notFound();
    return {
      recordId,
      chainId: b64u(block.chainId),
      height: block.height,
      blockHash: block.blockHash.toString('hex'),
      sealedAt: decodeHeader(block.header).sealedAt,
    };
  }

  /** Head of the patient's chain, for a print: what a later copy can be held against. Null when nothing was sealed yet. */
  async headOf(manager: EntityManager, grant: Grant): Promise<{ chainId: string; height: number; blockHash: string } | null> {
    const head = await chainAt(manager, grant);
    return head && { chainId: b64u(head.chainId), height: head.height, blockHash: head.headHash.toString('hex') };
  }

  private async nextBlock(tx: EntityManager, grant: Grant): Promise<NextBlock> {
    const origin = await this.hospitals.ledgerOrigin(grant.hospitalId);
    const head = (await chainAt(tx, grant)) ?? (await this.openChain(tx, grant, ledgerId(origin)));
    return { origin, head, sealedAt: await nextTime(tx, head, this.clock.now()) };
  }

  private async openChain(tx: EntityManager, grant: Grant, ledger: Buffer): Promise<ChainEntity> {
    const chain = await beginChain(tx, grant, ledger, this.clock.now());
    await this.tlog.queue(tx, grant.hospitalId, 'block', chain.headHash);
    return chain;
  }

  private async append(
    tx: EntityManager,
    grant: Grant,
    head: ChainEntity,
    header: Buffer,
    rest: Pick<BlockEntity, 'recordId' | 'version' | 'attestation' | 'refHash'>,
  ): Promise<SealedBlock> {
    const { chainId } = head;
    const height = head.height + 1;
    const hash = blockHash(header);
    await insertRow(tx, BlockEntity, { chainId, height, blockHash: hash, prevHash: head.headHash, header, ...rest });
    const moved = await updateRows(tx, ChainEntity, { chainId, height: head.height }, { height, headHash: hash });
    if (moved !== 1) throw new ApiError('unavailable', 'The chain moved meanwhile; try again');
    await this.tlog.queue(tx, grant.hospitalId, 'block', hash);
    const { sealedAt } = decodeHeader(header);
    noteSealed(hash, sealedAt);
    grant.note({ headHeight: height });
    return {
      recordId: rest.recordId,
      chainId: b64u(chainId),
      height,
      blockHash: hash.toString('hex'),
      sealedAt,
    };
  }
}
