import { Injectable } from '@nestjs/common';
import { type EntityManager, In } from 'typeorm';
import type { Grant } from '../access/access.service';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { selectRows } from '../database/rows';
import { AttachmentChunkEntity, AttachmentEntity, RecordEntity } from './record.entity';
import { RecordsService } from './records.service';

const PAGE = 200;

/**
 * The record's part of an erasure: its row says that it was erased, and its files go. Triggers let the row change only when an ERASE block speaks of it, so
 * that block is sealed first. The contents themselves are the ledger's.
 */
@Injectable()
export class RecordErasureService {
  constructor(
    private readonly records: RecordsService,
    private readonly clock: Clock,
  ) {}

  /** Whether it is not there: never was, or is erased already. */
  async isGone(manager: EntityManager, id: string): Promise<boolean> {
    const [row] = await selectRows(manager, RecordEntity, 'id', [id]);
    return !row || row.status === 'erased';
  }

  /** Whether there is something to erase: a sealed record. @throws ApiError `conflict` for a draft, `erased` for what is gone already */
  async assertErasable(manager: EntityManager, id: string): Promise<void> {
    const { status } = await this.records.find(manager, id);
    if (status === 'draft') throw new ApiError('conflict', 'A draft is deleted, not erased');
    if (status === 'erased') throw new ApiError('erased');
  }

  /** Marks one record of the grant's patient and deletes its files. */
  async eraseRecord(tx: EntityManager, { patientId }: Grant, id: string): Promise<void> {
    const marked = await tx
      .getRepository(RecordEntity)
      .update({ id, patientId, status: 'sealed' }, { status: 'erased', updatedAt: this.clock.now() });
    if (marked.affected !== 1) throw new ApiError('integrity_error', 'The row of a sealed record is missing');
    await this.deleteFiles(tx, { recordId: id });
  }

  /** Marks all sealed records of the patient, deletes the drafts, and the files of both. */
  async eraseAll(tx: EntityManager, { patientId }: Grant): Promise<void> {
    const records = tx.getRepository(RecordEntity);
    await records.update({ patientId, status: 'sealed' }, { status: 'erased', updatedAt: this.clock.now() });
    await this.deleteFiles(tx, { patientId });
    await records.delete({ patientId, status: 'draft' });
  }

  /** In small parts: a file has many pieces, and the parameters of a statement are limited. */
  private async deleteFiles(tx: EntityManager, where: { recordId: string } | { patientId: string }): Promise<void> {
    const files = tx.getRepository(AttachmentEntity);
    for (;;) {
      const found = await files.find({ where, select: { id: true }, take: PAGE });
      if (found.length === 0) return;
      const ids = found.map((file) => file.id);
      await tx.getRepository(AttachmentChunkEntity).delete({ attachmentId: In(ids) });
      await files.delete({ id: In(ids) });
    }
  }
}
