import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';
import type { Custody, KeyEvent } from './core/key-event';

/** The head of one patient's chain at one hospital. It moves by compare-and-set only. */
@Entity('ledger_chain')
@Index(['patientId', 'hospitalId'], { unique: true })
export class ChainEntity {
  /** 16 random bytes: never a patient number, never derived from one. */
  @PrimaryColumn({ type: BINARY_COLUMN }) chainId!: Buffer;
  @IdColumn() patientId!: string;
  @Index() @IdColumn() hospitalId!: string;
  @Column({ type: 'integer' }) height!: number;
  @Column({ type: BINARY_COLUMN }) headHash!: Buffer;
}

/** One block. `(chainId, height)` and `(chainId, prevHash)` are unique: a chain cannot fork. Triggers refuse UPDATE and DELETE. */
@Entity('ledger_block')
@Index(['chainId', 'prevHash'], { unique: true })
export class BlockEntity {
  @PrimaryColumn({ type: BINARY_COLUMN }) chainId!: Buffer;
  @PrimaryColumn({ type: 'integer' }) height!: number;
  @Column({ type: BINARY_COLUMN }) blockHash!: Buffer;
  @Column({ type: BINARY_COLUMN }) prevHash!: Buffer;
  /** The block that this one speaks of, as in the header; null where the header has zeros. Finds corrections. */
  @Index() @Column({ type: BINARY_COLUMN, nullable: true }) refHash!: Buffer | null;
  /** The 274 bytes that are hashed (docs/ledger-format.md). */
  @Column({ type: BINARY_COLUMN }) header!: Buffer;
  @Index() @IdColumn() recordId!: string;
  @Column({ type: 'integer' }) version!: number;
  /** Compact JWS of the author, as it was signed; null for the block that opens a chain. */
  @Column({ type: 'text', nullable: true }) attestation!: string | null;
}

/** The encrypted content of one sealed record version, apart from its block, so that erasure leaves the chain whole. */
@Entity('ledger_content')
export class ContentEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) recordId!: string;
  @PrimaryColumn({ type: 'integer' }) version!: number;
  @Column({ type: BINARY_COLUMN }) ciphertext!: Buffer;
  /** The record's own key, under the patient's key. */
  @SealedColumn() recordKey!: Sealed;
}

/** An Ed25519 key with which somebody attests what is sealed in that name. Triggers refuse UPDATE and DELETE. */
@Entity('author_key')
export class AuthorKeyEntity {
  /** RFC 7638 thumbprint, base64url. */
  @PrimaryColumn({ type: 'varchar', length: 43 }) kid!: string;
  @Index() @IdColumn() accountId!: string;
  /** The public key: `x` of the JWK. */
  @Column({ type: 'varchar', length: 43 }) x!: string;
  @Column({ type: 'varchar', length: 6 }) custody!: Custody;
  /** PKCS#8, under the account's key; null when the account's own client keeps it. */
  @SealedColumn({ nullable: true }) privateKey!: Sealed | null;
  @InstantColumn() createdAt!: number;
}

/**
 * What a hospital's log says about an author's key: that it counts from there on, or no longer does (docs/ledger-format.md, "Keys of authors"). The
 * body is what is hashed into the log. Triggers refuse UPDATE and DELETE.
 */
@Entity('key_event')
@Index(['kid', 'hospitalId', 'event'], { unique: true })
export class KeyEventEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) id!: string;
  @Column({ type: 'varchar', length: 43 }) kid!: string;
  /** In whose log it stands. */
  @Index() @IdColumn() hospitalId!: string;
  @Column({ type: 'varchar', length: 8 }) event!: KeyEvent['event'];
  @Column({ type: 'text' }) body!: string;
  /** SHA-256 of the body: what the log's entry says. */
  @Index() @Column({ type: BINARY_COLUMN }) hash!: Buffer;
}

/** What an author was given to sign elsewhere, until the signature comes back or its time is over. One for each thing that is to be sealed. */
@Entity('seal_preparation')
export class PreparationEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 }) recordId!: string;
  @Column({ type: 'integer' }) version!: number;
  @IdColumn() patientId!: string;
  /** The account that is to sign. */
  @IdColumn() accountId!: string;
  /** The record's own key, under the patient's key. */
  @SealedColumn() recordKey!: Sealed;
  /** The commitment to what was shown: another one means that it was changed since. */
  @Column({ type: BINARY_COLUMN }) contentCommit!: Buffer;
  @Index() @InstantColumn() expiresAt!: number;
}
