import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';

/** The answer to a POST that carried an `Idempotency-Key`, kept for a day so that a retry gets the same answer and has no second effect. */
@Entity('idempotency')
@Index(['accountId', 'key'], { unique: true })
export class IdempotencyEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Column({ type: 'varchar', length: 36 }) accountId!: string;
  /** SHA-256 of the client's key, base64url. */
  @Column({ type: 'varchar', length: 128 }) key!: string;
  /** SHA-256 of method, path and body. */
  @Column({ type: BINARY_COLUMN }) digest!: Buffer;
  @SealedColumn() response!: Sealed;
  @Index() @InstantColumn() createdAt!: number;
}
