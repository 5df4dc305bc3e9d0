import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { Sealed, SealedColumn } from '../crypto/sealed';

/** A version of a patient's consent contract; the highest one is active. Its text is what the block of kind 5 commits to. */
@Entity('consent')
@Index(['patientId', 'version'], { unique: true })
export class ConsentEntity {
  /** Also the record id of its block. */
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @IdColumn() patientId!: string;
  @IdColumn() hospitalId!: string;
  @Column({ type: 'integer' }) version!: number;
  @SealedColumn() contract!: Sealed;
  @Column({ type: 'integer' }) height!: number;
  @Column({ type: 'varchar', length: 64 }) blockHash!: string;
  @InstantColumn() createdAt!: number;
}

/** The rules of active contracts by whom they name: finds the charts that are shared with somebody. The contract itself decides. */
@Entity('consent_rule')
@Index(['grantee', 'validUntil'])
export class ConsentRuleEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Index() @IdColumn() patientId!: string;
  /** A hospital's or a doctor's id. */
  @IdColumn() grantee!: string;
  @InstantColumn() validFrom!: number;
  @InstantColumn() validUntil!: number;
}
