import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { RowTagColumn } from '../database/row-tags';

/** One sign-in: the family of refresh tokens that came from it. */
@Entity('session')
export class SessionEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Index() @IdColumn() accountId!: string;
  @InstantColumn() createdAt!: number;
  @InstantColumn() lastUsedAt!: number;
  @InstantColumn() expiresAt!: number;
  @InstantColumn({ nullable: true }) endedAt!: number | null;
  @RowTagColumn({ counted: false }) rowTag?: Buffer | null;
  /** How the holder proved who it is, as the claim `amr` says it, space separated. */
  @Column({ type: 'varchar', length: 16, default: 'pwd' }) amr!: string;
}

/** A refresh token: only its SHA-256 is stored. `usedAt` is set once; a second use is theft or a lost answer. */
@Entity('refresh_token')
export class RefreshTokenEntity {
  @PrimaryColumn({ type: BINARY_COLUMN }) hash!: Buffer;
  @Index() @IdColumn() sessionId!: string;
  @InstantColumn() createdAt!: number;
  @InstantColumn() expiresAt!: number;
  @InstantColumn({ nullable: true }) usedAt!: number | null;
  /** The token that replaced this one. */
  @Column({ type: BINARY_COLUMN, nullable: true }) successor!: Buffer | null;
  @RowTagColumn({ counted: false }) rowTag?: Buffer | null;
}

/** Access tokens of `subject` (`*`, a hospital, an account or a session) with an epoch below `notBefore` are void. */
@Entity('revocation')
export class RevocationEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) subject!: string;
  @InstantColumn() notBefore!: number;
  @Index() @InstantColumn() updatedAt!: number;
}
