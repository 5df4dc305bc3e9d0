import { Column, Entity, PrimaryColumn } from 'typeorm';
import { BINARY_COLUMN } from '../crypto/column-types';

/** How often something was asked in one minute, summed over all processes. Rows of past minutes are deleted. */
@Entity('rate_count')
export class RateCountEntity {
  @PrimaryColumn({ type: 'integer' }) minute!: number;
  /** Blind index of who asks: an address is personal. */
  @PrimaryColumn({ type: BINARY_COLUMN }) client!: Buffer;
  @Column({ type: 'integer' }) count!: number;
}
