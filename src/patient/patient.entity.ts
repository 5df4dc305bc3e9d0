import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';
import { RowTagColumn } from '../database/row-tags';

/** A patient's administrative data; every personal value is sealed under the patient's own key. */
@Entity('patient')
@Index(['hospitalId', 'nationalIdIndex'], { unique: true })
export class PatientEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @IdColumn() hospitalId!: string;
  @SealedColumn() name!: Sealed;
  @SealedColumn() birthDate!: Sealed;
  @SealedColumn() gender!: Sealed;
  @SealedColumn({ nullable: true }) nationalId!: Sealed | null;
  /** Blind index of the national identifier; unique within a hospital. */
  @Column({ type: BINARY_COLUMN, nullable: true }) nationalIdIndex!: Buffer | null;
  /** JSON of `PatientContact`. */
  @SealedColumn() contact!: Sealed;
  @Column({ type: 'integer' }) version!: number;
  @InstantColumn() createdAt!: number;
  @RowTagColumn({ counted: true }) rowTag?: Buffer | null;
}
