import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import type { Actor } from '../common/actor';
import { ApiError } from '../common/errors';
import { ProofsService } from '../ledger/proofs.service';
import type { RecordEntity } from './record.entity';
import { FoundRecord, RecordsService } from './records.service';

/** Receipts and bundles of sealed records, for those who may read them. */
@Injectable()
export class RecordProofsService {
  constructor(
    private readonly access: AccessService,
    private readonly records: RecordsService,
    private readonly proofs: ProofsService,
  ) {}

  /** @throws ApiError `conflict` for a draft, `erased`, `integrity_error` when it does not fit its seal, `unavailable` while the block is not logged */
  receipt(actor: Actor, id: string): Promise<string> {
    const record = new FoundRecord(id);
    return this.access.read(actor, 'record.receipt', record.target, async (manager, grant) => {
      await this.assertSealed(manager, grant, record.row);
      return this.proofs.receipt(manager, grant, id);
    });
  }

  /** The bundle as JSON in UTF-8. @throws ApiError as `receipt` */
  bundle(actor: Actor, id: string): Promise<Buffer> {
    const record = new FoundRecord(id);
    return this.access.read(actor, 'record.bundle', record.target, async (manager, grant) => {
      await this.assertSealed(manager, grant, record.row);
      return Buffer.from(await this.proofs.bundle(manager, grant, id), 'utf8');
    });
  }

  private async assertSealed(manager: EntityManager, grant: Grant, row: RecordEntity): Promise<void> {
    grant.note({ kind: row.kind });
    if (row.status === 'draft') throw new ApiError('conflict', 'A draft is not in the ledger; seal it first');
    await this.records.sealedContent(manager, grant, row); // `erased` by the chain's word, and nothing is proven of a row that its block contradicts
  }
}
