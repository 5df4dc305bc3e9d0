import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { RowTagColumn } from '../database/row-tags';
import type { ErasureReason } from '../ledger/core/erasure';

export const ERASURE_STATES = ['requested', 'executed', 'refused', 'superseded'] as const;
/** `superseded`: an erasure of the whole patient came first. */
export type ErasureState = (typeof ERASURE_STATES)[number];

/**
 * One wish to erase, and what became of it. It names nobody and holds no clinical data, so it outlives what it erased. Once decided it is not changed again
 * (triggers refuse it); the certificate binds an executed one to its block.
 */
@Entity('erasure')
@Index(['patientId', 'id'])
@Index(['hospitalId', 'state', 'id'])
@Index(['decidedAt'])
@Check('erasure_state', `state IN ('requested', 'executed', 'refused', 'superseded')`)
@Check(
  'erasure_two_people',
  `state <> 'executed' OR ("firstApprovedBy" IS NOT NULL AND "secondApprovedBy" IS NOT NULL AND "firstApprovedBy" <> "secondApprovedBy" AND "certificate" IS NOT NULL)`,
)
export class ErasureEntity {
  /** Also the record id of the ERASE block. */
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @IdColumn() hospitalId!: string;
  @IdColumn() patientId!: string;
  /** Null for the whole patient. */
  @IdColumn({ nullable: true }) recordId!: string | null;
  @Column({ type: 'varchar', length: 24 }) reason!: ErasureReason;
  @Column({ type: 'varchar', length: 10 }) state!: ErasureState;
  @IdColumn() requestedBy!: string;
  @InstantColumn() requestedAt!: number;
  @IdColumn({ nullable: true }) firstApprovedBy!: string | null;
  @IdColumn({ nullable: true }) secondApprovedBy!: string | null;
  /** Who refused it; null in every other state. */
  @IdColumn({ nullable: true }) refusedBy!: string | null;
  /** When it was executed, refused or superseded. */
  @InstantColumn({ nullable: true }) decidedAt!: number | null;
  /** When the bytes had left the files of the database; null until then. */
  @InstantColumn({ nullable: true }) purgedAt!: number | null;
  /** JSON of an `ErasureCertificate` (docs/ledger-format.md section 8). */
  @Column({ type: 'text', nullable: true }) certificate!: string | null;
  @RowTagColumn({ counted: true }) rowTag?: Buffer | null;
}
