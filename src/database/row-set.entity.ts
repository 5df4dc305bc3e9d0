import { Entity, PrimaryColumn } from 'typeorm';
import { Sealed, SealedColumn } from '../crypto/sealed';

/** The sums over the rows of all counted tables (`RowTagger`): one row, for who puts an old one back puts back all of them. */
@Entity('row_set')
export class RowSetEntity {
  @PrimaryColumn({ type: 'integer' }) id!: number;
  @SealedColumn() sums!: Sealed;
}
