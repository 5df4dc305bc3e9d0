import { Column, Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from './column-types';

/** A key-encryption key: one per hospital and version. Rotation adds a version and rewraps data keys; it never touches the data. */
@Entity('kek')
export class KekRow {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  tenantId!: string;

  /** From 1; the highest one wraps new data keys. */
  @PrimaryColumn({ type: 'integer' })
  version!: number;

  /** Envelope v1 of the 32 key bytes under the root key; AAD LP("ehr/kek/v1"), header, tenantId, version. */
  @Column({ type: BINARY_COLUMN })
  wrapped!: Buffer;

  /** Milliseconds since 1970. */
  @InstantColumn()
  createdAt!: number;
}
