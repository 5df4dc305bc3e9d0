import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { Sealed, SealedColumn } from '../crypto/sealed';
import { RowTagColumn } from '../database/row-tags';

/** What a doctor asks a patient. The answer is a sealed record of its own. */
@Entity('question')
@Index(['patientId', 'id'])
@Index(['doctorId', 'status', 'id'])
export class QuestionEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @IdColumn() patientId!: string;
  @IdColumn() hospitalId!: string;
  @IdColumn() doctorId!: string;
  @SealedColumn() text!: Sealed;
  @Column({ type: 'varchar', length: 8 }) status!: 'open' | 'answered';
  @InstantColumn() askedAt!: number;
  @InstantColumn({ nullable: true }) answeredAt!: number | null;
  /** The sealed QuestionnaireResponse. */
  @IdColumn({ nullable: true }) answerRecordId!: string | null;
  @SealedColumn({ nullable: true }) answer!: Sealed | null;
  @RowTagColumn({ counted: true }) rowTag?: Buffer | null;
}
