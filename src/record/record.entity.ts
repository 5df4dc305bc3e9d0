import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';

export const AMENDMENTS = ['addendum', 'correction', 'late-entry', 'retraction'] as const;
/** The four corrections of health-information practice. */
export type Amendment = (typeof AMENDMENTS)[number];

/**
 * One clinical record. While a draft, its text is in `content`; sealing moves the text to the ledger, so it is never in both. A sealed row is not
 * changed again: triggers refuse it. Only an erasure makes it `erased`, with its content and files gone.
 */
@Entity('record')
@Index(['patientId', 'id'])
@Index(['hospitalId', 'id'])
@Index(['authorId', 'id'])
export class RecordEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @IdColumn() patientId!: string;
  @IdColumn() hospitalId!: string;
  /** The account that answers for it. */
  @IdColumn() authorId!: string;
  /** FHIR resource type. */
  @Column({ type: 'varchar', length: 40 }) kind!: string;
  @Column({ type: 'varchar', length: 6 }) status!: 'draft' | 'sealed' | 'erased';
  @SealedColumn({ nullable: true }) content!: Sealed | null;
  @Column({ type: 'integer' }) version!: number;
  /** The sealed record that this one speaks of. */
  @Index() @IdColumn({ nullable: true }) amends!: string | null;
  @Column({ type: 'varchar', length: 10, nullable: true }) amendment!: Amendment | null;
  @InstantColumn() createdAt!: number;
  @InstantColumn() updatedAt!: number;
  @InstantColumn({ nullable: true }) sealedAt!: number | null;
  @Column({ type: 'integer', nullable: true }) height!: number | null;
  /** Lower-case hex. */
  @Column({ type: 'varchar', length: 64, nullable: true }) blockHash!: string | null;
}

/** A file that belongs to a record. Its SHA-256 goes into the sealed content (R30). */
@Entity('attachment')
export class AttachmentEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Index() @IdColumn() recordId!: string;
  @IdColumn() patientId!: string;
  @IdColumn() hospitalId!: string;
  @SealedColumn() name!: Sealed;
  @Column({ type: 'varchar', length: 100 }) contentType!: string;
  @Column({ type: 'integer' }) size!: number;
  @Column({ type: BINARY_COLUMN, nullable: true }) sha256!: Buffer | null;
  @InstantColumn() createdAt!: number;
  /** Null while the upload goes on. */
  @InstantColumn({ nullable: true }) completedAt!: number | null;
}

/** A piece of a file, sealed under the patient's key and bound to its place. */
@Entity('attachment_chunk')
export class AttachmentChunkEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) attachmentId!: string;
  @PrimaryColumn({ type: 'integer' }) position!: number;
  @SealedColumn() bytes!: Sealed;
}
