import { Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { RowTagColumn } from '../database/row-tags';

/** One transparency log: what a hospital appends to. After a restore from an old copy the hospital begins a new one (its next incarnation). */
@Entity('log')
@Index(['hospitalId', 'incarnation'], { unique: true })
export class LogEntity {
  @PrimaryColumn({ type: 'integer' }) id!: number;
  @IdColumn() hospitalId!: string;
  /** 1, 2, … */
  @Column({ type: 'integer' }) incarnation!: number;
  /** First line of its checkpoints (C2SP tlog-checkpoint). */
  @Index({ unique: true }) @Column({ type: 'varchar', length: 255 }) origin!: string;
  /** Leaves so far. Moves by compare-and-set only. */
  @Column({ type: 'integer' }) size!: number;
  /** Roots of the perfect subtrees of the tree's right edge, from left to right, 32 bytes each. */
  @Column({ type: BINARY_COLUMN }) edge!: Buffer;
  @RowTagColumn({ counted: false }) rowTag?: Buffer | null;
}

/** An entry that waits for its place; written in the transaction of what it stands for. Taken in the order of `id`. */
@Entity('log_pending')
export class PendingEntity {
  @PrimaryGeneratedColumn() id!: number;
  @Index() @Column({ type: 'integer' }) logId!: number;
  /** `EntryKind` of docs/ledger-format.md. */
  @Column({ type: 'integer' }) kind!: number;
  @Column({ type: BINARY_COLUMN }) hash!: Buffer;
  @RowTagColumn({ counted: false }) rowTag?: Buffer | null;
}

/** A leaf: what stands at this index, for ever. One thing has at most one leaf. Triggers refuse UPDATE and DELETE. */
@Entity('log_leaf')
@Index(['hash', 'logId'], { unique: true })
@Index(['logId', 'leafIndex'], { where: '"kind" = 3' }) // events of keys: few among many, and none may be hidden
export class LeafEntity {
  @PrimaryColumn({ type: 'integer' }) logId!: number;
  @PrimaryColumn({ type: 'integer' }) leafIndex!: number;
  @Column({ type: 'integer' }) kind!: number;
  @Column({ type: BINARY_COLUMN }) hash!: Buffer;
}

/** A full tile of 256 hashes (C2SP tlog-tiles). Triggers refuse UPDATE and DELETE. */
@Entity('log_tile')
export class TileEntity {
  @PrimaryColumn({ type: 'integer' }) logId!: number;
  @PrimaryColumn({ type: 'integer' }) level!: number;
  @PrimaryColumn({ type: 'integer' }) tileIndex!: number;
  @Column({ type: BINARY_COLUMN }) hashes!: Buffer;
  /** Hash of the tree over the 256: what the tile of the level above holds. */
  @Column({ type: BINARY_COLUMN }) root!: Buffer;
}

/** A checkpoint that this server signed: at most one for a size. Triggers refuse UPDATE and DELETE. */
@Entity('log_checkpoint')
export class CheckpointEntity {
  @PrimaryColumn({ type: 'integer' }) logId!: number;
  @PrimaryColumn({ type: 'integer' }) size!: number;
  @InstantColumn() signedAt!: number;
  /** The signed note, to the byte. */
  @Column({ type: 'text' }) note!: string;
}

/** A witness' statement about a checkpoint. Triggers refuse UPDATE and DELETE. */
@Entity('log_cosignature')
export class CosignatureEntity {
  @PrimaryColumn({ type: 'integer' }) logId!: number;
  @PrimaryColumn({ type: 'integer' }) size!: number;
  /** Name and id of the witness' key, as in its verifier key: names alone may be shared by witnesses, and stay when a key is replaced. */
  @PrimaryColumn({ type: 'varchar', length: 264 }) witness!: string;
  /** The signature line of the note, with its newline. */
  @Column({ type: 'text' }) line!: string;
}

/** Why a log began after a former one of its hospital. Triggers refuse UPDATE and DELETE. */
@Entity('log_incarnation')
export class IncarnationEntity {
  @PrimaryColumn({ type: 'integer' }) logId!: number;
  /** The text whose SHA-256 is the log's first entry (docs/ledger-format.md). */
  @Column({ type: 'text' }) statement!: string;
}
