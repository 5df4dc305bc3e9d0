import { Entity, PrimaryColumn } from 'typeorm';
import { InstantColumn } from '../common/columns';
import { RowTagColumn } from '../database/row-tags';

/** The one row says since when a set-up code for the founder is valid; there is none when no code is. The code itself is stored nowhere. */
@Entity('setup_offer')
export class SetupOfferEntity {
  /** Always 1. */
  @PrimaryColumn({ type: 'integer' }) id!: number;
  @InstantColumn() offeredAt!: number;
  @RowTagColumn({ counted: false }) rowTag?: Buffer | null;
}
