import { Check, Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from './column-types';

/** The data key of one patient or account within one hospital: destroying it makes everything sealed under it unreadable. */
@Entity('data_key')
@Unique('data_key_subject', ['tenantId', 'subjectId'])
@Check('data_key_state', `state IN ('active', 'destroyed')`)
export class DataKeyRow {
  /** `DataKey.id` in hex: what stands in the header of every envelope. */
  @PrimaryColumn({ type: 'varchar', length: 32 })
  dekId!: string;

  @Column({ type: 'varchar', length: 36 })
  subjectId!: string;

  @Column({ type: 'varchar', length: 36 })
  tenantId!: string;

  @Column({ type: 'integer' })
  kekVersion!: number;

  /** Envelope v1 of the 32 key bytes under the KEK; AAD LP("ehr/dek/v1"), header, dekId, subjectId, tenantId, kekVersion. Zeros once destroyed. */
  @Column({ type: BINARY_COLUMN })
  wrapped!: Buffer;

  @Column({ type: 'varchar', length: 16 })
  state!: 'active' | 'destroyed';

  /** Milliseconds since 1970. */
  @InstantColumn()
  createdAt!: number;
}
