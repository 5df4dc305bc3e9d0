import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Role } from '../common/actor';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';
import { RowTagColumn } from '../database/row-tags';

export const ACCOUNT_STATUSES = ['PENDING', 'ISSUED', 'ACTIVE', 'LOCKED', 'REJECTED', 'CLOSED'] as const;
/** PENDING waits for approval; ISSUED waits for its one-time code; only ACTIVE signs in, and LOCKED by guesses from known devices. */
export type AccountStatus = (typeof ACCOUNT_STATUSES)[number];

/** Who may undo a lock: a hospital undoes those of guesses and its own, the founder all. From weak to strong. */
export const LOCKERS = ['guesses', 'hospital', 'founder'] as const;
export type Locker = (typeof LOCKERS)[number];

/** The id that no account has: work for an account that does not exist is done for this one. */
export const NOBODY = '00000000-0000-0000-0000-000000000000';

/** A login. Its id is also the id of the hospital, doctor or patient whose login it is. */
@Entity('account')
@Index(['hospitalId', 'status', 'id'])
export class AccountEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Column({ type: 'varchar', length: 8 }) role!: Role;
  @Column({ type: 'varchar', length: 8 }) status!: AccountStatus;
  @IdColumn({ nullable: true }) hospitalId!: string | null;
  /** Blind index of the user name; null until the holder has chosen one. */
  @Index({ unique: true })
  @Column({ type: BINARY_COLUMN, nullable: true })
  usernameIndex!: Buffer | null;
  @SealedColumn({ nullable: true }) username!: Sealed | null;
  @SealedColumn() name!: Sealed;
  @SealedColumn({ nullable: true }) password!: Sealed | null;
  /** Set while the account is LOCKED. */
  @Column({ type: 'varchar', length: 8, nullable: true }) lockedBy!: Locker | null;
  /** The founder who asked for this founder's account: another one has to approve it. */
  @IdColumn({ nullable: true }) proposedBy!: string | null;
  /** How many second factors it has: who can write the database must not take one away unseen. */
  @Column({ type: 'integer', default: 0 }) factors!: number;
  /** SHA-256 of the one-time code with which an issued account gets its first password. */
  @Index({ unique: true })
  @Column({ type: BINARY_COLUMN, nullable: true })
  codeHash!: Buffer | null;
  @InstantColumn({ nullable: true }) codeExpiresAt!: number | null;
  @InstantColumn() createdAt!: number;
  @RowTagColumn({ counted: true }) rowTag?: Buffer | null;
}

/** Strangers have locked it: its holder still signs in from a known device (SEC-35), and sessions opened there go on. */
export function isLockedByGuesses({ status, lockedBy }: Pick<AccountEntity, 'status' | 'lockedBy'>): boolean {
  return status === 'LOCKED' && lockedBy === 'guesses';
}
