import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import type { Actor } from '../common/actor';
import { ApiError } from '../common/errors';
import { ProofsService } from '../ledger/proofs.service';
import { RecordsService, recordTarget } from './records.service';

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
    return this.access.read(actor, 'record.receipt', recordTarget(id), async (manager, grant) => {
      await this.sealed(manager, grant, id);
      return this.proofs.receipt(manager, grant, id);
    });
  }

  /** The bundle as JSON in UTF-8. @throws ApiError as `receipt` */
  bundle(actor: Actor, id: string): Promise<Buffer> {
    return this.access.read(actor, 'record.bundle', recordTarget(id), async (manager, grant) => {
      await this.sealed(manager, grant, id);
      return Buffer.from(await this.proofs.bundle(manager, grant, id), 'utf8');
    });
  }

  private async sealed(manager: EntityManager, grant: Grant, id: string): Promise<void> {
    const row = await this.records.find(manager, id);
    grant.note({ kind: row.kind });
    if (row.status === 'draft') throw new ApiError('conflict', 'A draft is not in the ledger; seal it first');
    await this.records.sealedContent(manager, grant, row); // `erased` by the chain's word, and nothing is proven of a row that its block contradicts
  }
}
