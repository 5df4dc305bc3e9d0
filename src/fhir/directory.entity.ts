import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';

/** An imported Organization, Practitioner, PractitionerRole or Location: what clinical resources refer to. The same text is kept once per hospital. */
@Entity('directory')
@Index(['hospitalId', 'digest'], { unique: true })
export class DirectoryEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @IdColumn() hospitalId!: string;
  @Column({ type: 'varchar', length: 40 }) kind!: string;
  /** Keyed hash of the text: names of people stand in it, so a plain hash would let them be guessed. */
  @Column({ type: BINARY_COLUMN }) digest!: Buffer;
  @SealedColumn() content!: Sealed;
  @InstantColumn() createdAt!: number;
}
