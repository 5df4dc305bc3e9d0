import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Grant } from '../access/access.service';
import { ApiError } from '../common/errors';
import { KeyRing } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { selectRows } from '../database/rows';
import { HospitalsService } from '../hospital/hospitals.service';
import { LogProofs, type ProvenEntry, receiptOf } from '../tlog/log-proofs.service';
import { type Proven, TlogService } from '../tlog/tlog.service';
import { formatBundle } from './core/bundle';
import { b64u } from './core/bytes';
import { opening } from './core/content';
import { decodeHeader } from './core/header';
import { BlockEntity, ChainEntity } from './ledger.entity';
import { LedgerService } from './ledger.service';
import { carriedKeys } from './logged-keys';
import { chainAt, contentsOf } from './stored-rows';

/** Proof that a block is in a log. */
export interface LoggedBlock {
  readonly state: ProvenEntry['state'];
  readonly leafIndex: number;
  /** C2SP tlog-proof, as text; it carries the block's header. */
  readonly receipt: string;
}

/** Connects blocks with the log: receipts, bundles, and waiting for them. */
@Injectable()
export class ProofsService {
  constructor(
    private readonly database: Database,
    private readonly tlog: TlogService,
    private readonly proofs: LogProofs,
    private readonly ledger: LedgerService,
    private readonly hospitals: HospitalsService,
    private readonly keyRing: KeyRing,
  ) {}

  /** @throws ApiError `invalid_request` when nothing could ever be proven that far: said before something is sealed */
  assertOffered(wait: Proven): void {
    this.tlog.assertOffered(wait);
  }

  /** Waits until a block is proven as far as asked; null when time was up before it was logged. The block stays sealed in any case. */
  async settle(recordId: string, blockHash: string, wait: Proven): Promise<LoggedBlock | null> {
    if (wait === 'sealed') return null;
    const { reader } = this.database;
    const hash = Buffer.from(blockHash, 'hex');
    const block = (await selectRows(reader, BlockEntity, 'recordId', [recordId])).find((row) => row.blockHash.equals(hash));
    const [chain] = block ? await selectRows(reader, ChainEntity, 'chainId', [block.chainId]) : [];
    const proven = block && chain ? await this.tlog.settle(chain.hospitalId, hash, wait) : null;
    return proven && { state: proven.state, leafIndex: proven.leafIndex, receipt: receiptOf(proven, block?.header) };
  }

  /** The receipt of a sealed record of the grant's patient (C2SP tlog-proof). @throws ApiError `unavailable` while it is not logged */
  async receipt(manager: EntityManager, grant: Grant, recordId: string): Promise<string> {
    return this.receiptOf(manager, grant, await this.block(manager, grant, recordId));
  }

  /** The receipt of the newest block, as far as there is one: for prints, which must not fail for want of it. */
  async headReceipt(manager: EntityManager, grant: Grant): Promise<string | null> {
    const chain = await chainAt(manager, grant);
    const block = chain && (await manager.getRepository(BlockEntity).findOneBy({ chainId: chain.chainId, height: chain.height }));
    return block && this.receiptIfLogged(manager, grant, block);
  }

  /**
   * A sealed record of the grant's patient with all that proves it, as JSON (docs/ledger-format.md, bundles).
   * @throws ApiError `erased`, `unavailable` while it is not logged, `integrity_error` when it does not fit its seal
   */
  async bundle(manager: EntityManager, grant: Grant, recordId: string): Promise<string> {
    const { payload } = await this.ledger.open(manager, grant, recordId);
    if (payload === null) throw new ApiError('erased');
    const block = await this.block(manager, grant, recordId);
    const { version, header, attestation } = block;
    const content = (await contentsOf(manager, [recordId]))(block);
    const kid = b64u(decodeHeader(header).authorKeyId);
    const origin = await this.hospitals.ledgerOrigin(grant.hospitalId);
    // As the log has it: the server's own row could call a key of this server the author's own.
    const [author] = await carriedKeys(manager, grant.hospitalId, origin, [kid]);
    if (!content || !author || attestation === null) throw new ApiError('integrity_error');
    const vault = await this.keyRing.vault(manager, grant.subject);
    const recordKey = vault.openBytes('content.record_key', recordId, content.recordKey);
    return formatBundle({
      origin,
      recordId,
      version,
      payload,
      opening: opening(recordKey),
      header,
      attestation,
      author,
      receipt: await this.receiptOf(manager, grant, block),
    });
  }

  private async receiptOf(manager: EntityManager, grant: Grant, block: BlockEntity): Promise<string> {
    const receipt = await this.receiptIfLogged(manager, grant, block);
    if (receipt === null) throw notLogged();
    return receipt;
  }

  private async receiptIfLogged(manager: EntityManager, grant: Grant, { blockHash, header }: BlockEntity): Promise<string | null> {
    const proven = await this.proofs.one(manager, grant.hospitalId, blockHash);
    return proven && receiptOf(proven, header);
  }

  private async block(manager: EntityManager, grant: Grant, recordId: string): Promise<BlockEntity> {
    const chain = await chainAt(manager, grant);
    const blocks = await selectRows(manager, BlockEntity, 'recordId', [recordId]);
    const block = blocks.find((row) => chain?.chainId.equals(row.chainId) === true);
    if (!block) throw new ApiError('integrity_error', 'The block of a sealed record is missing');
    return block;
  }
}

/** The log catches up by itself, within about a second. */
export function notLogged(): ApiError {
  return new ApiError('unavailable', 'It is sealed, but not under a published checkpoint yet; try again', {
    headers: { 'retry-after': '1' },
  });
}
