import { Column, Entity, PrimaryColumn } from 'typeorm';
import { BINARY_COLUMN } from '../crypto/column-types';
import { RowTagColumn } from '../database/row-tags';

/** The checkpoint of another's log that this server cosigned last. A trigger refuses a smaller size, another root for the same size, and DELETE. */
@Entity('witness_checkpoint')
export class WitnessCheckpointEntity {
  /** Name of the log: first line of its checkpoints. */
  @PrimaryColumn({ type: 'varchar', length: 255 }) origin!: string;
  /** Leaves, in decimal: a stranger's log may have more than a JavaScript number can count (at most 2^63-1). */
  @Column({ type: 'varchar', length: 19 }) size!: string;
  /** RFC 6962 root at that size, 32 bytes. */
  @Column({ type: BINARY_COLUMN }) root!: Buffer;
  /** The signed note: the log's signatures that we verified, and our cosignature. */
  @Column({ type: 'text' }) note!: string;
  @RowTagColumn({ counted: false }) rowTag?: Buffer | null;
}
