import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';

/** A client on which the holder has signed in before. Only the SHA-256 of its token is stored. */
@Entity('known_device')
export class KnownDeviceEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Index() @IdColumn() accountId!: string;
  @Index({ unique: true })
  @Column({ type: BINARY_COLUMN })
  hash!: Buffer;
  @InstantColumn() createdAt!: number;
  @InstantColumn() lastUsedAt!: number;
  @InstantColumn() expiresAt!: number;
}
