import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';

/** Rows of the trail that are sealed together. Triggers refuse UPDATE and DELETE, and refuse rows of the trail at or below the last `until`. */
@Entity('trail_batch')
export class TrailBatchEntity {
  /** 1, 2, … */
  @PrimaryColumn({ type: 'integer' }) number!: number;
  /** Id of its last row, as in the body. */
  @Index({ unique: true }) @IdColumn() until!: string;
  /** SHA-256 of the body: what stands in the logs. */
  @Index({ unique: true }) @Column({ type: BINARY_COLUMN }) hash!: Buffer;
  /** What is hashed (docs/ledger-format.md), as text. */
  @Column({ type: 'text' }) body!: string;
  /** When it was made, by this server's clock: a hint, covered by nothing. */
  @InstantColumn() madeAt!: number;
  /** Leaf hashes of its rows in their order, 32 bytes each: they name the row that was changed. The body's root covers them. Last, for it is large. */
  @Column({ type: BINARY_COLUMN }) leaves!: Buffer;
}
