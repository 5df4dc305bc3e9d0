import { Column, Entity, PrimaryColumn } from 'typeorm';
import { BINARY_COLUMN } from './column-types';

/** What the key files are compared with at start-up: HMACs of a constant, which say nothing about a 256-bit key. */
@Entity('key_check')
export class KeyCheckRow {
  @PrimaryColumn({ type: 'varchar', length: 16 })
  name!: 'root' | 'index' | 'pepper' | 'ledger';

  @Column({ type: BINARY_COLUMN })
  value!: Buffer;
}
