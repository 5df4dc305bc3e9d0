import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';
import { RowTagColumn } from '../database/row-tags';

export const FACTOR_KINDS = ['totp', 'webauthn'] as const;
export type FactorKind = (typeof FACTOR_KINDS)[number];

/** What somebody can prove beside the password: an app that shows codes, or a passkey or security key. */
@Entity('second_factor')
export class SecondFactorEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Index() @IdColumn() accountId!: string;
  @Column({ type: 'varchar', length: 8 }) kind!: FactorKind;
  /** The seed of TOTP, or the public key of WebAuthn: sealed, so that who can write the database cannot put an own one here. */
  @SealedColumn() secret!: Sealed;
  /** What never comes again: the last time step that was used, or the key's signature counter. */
  @InstantColumn() counter!: number;
  @Index({ unique: true })
  @Column({ type: BINARY_COLUMN, nullable: true })
  credentialId!: Buffer | null;
  @InstantColumn() createdAt!: number;
  /** Null until the first code was shown: it does not count before. */
  @InstantColumn({ nullable: true }) confirmedAt!: number | null;
  @InstantColumn({ nullable: true }) lastUsedAt!: number | null;
}

/** A code on paper for who lost the factor: gone when it was used. Its hash is keyed and bound to the account, so that nobody writes an own one here. */
@Entity('recovery_code')
export class RecoveryCodeEntity {
  @PrimaryColumn({ type: BINARY_COLUMN }) hash!: Buffer;
  @Index() @IdColumn() accountId!: string;
}

/** A proof that the server waits for, once: the second step of a sign-in, or of adding a key. In the database, for any instance may get it. */
@Entity('pending_proof')
export class PendingProofEntity {
  /** SHA-256 of the MFA token or, when a key is added, of the challenge. */
  @PrimaryColumn({ type: BINARY_COLUMN }) hash!: Buffer;
  @Column({ type: 'varchar', length: 8 }) purpose!: 'login' | 'register';
  @Index() @IdColumn() accountId!: string;
  /** The session that the sign-in replaces, or that adds the key. */
  @IdColumn({ nullable: true }) sessionId!: string | null;
  /** Of WebAuthn. */
  @Column({ type: BINARY_COLUMN }) challenge!: Buffer;
  @Column({ type: 'integer' }) failures!: number;
  @Index() @InstantColumn() expiresAt!: number;
  @RowTagColumn({ counted: false }) rowTag?: Buffer | null;
}
