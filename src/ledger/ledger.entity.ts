import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { IdColumn, InstantColumn } from '../common/columns';
import { BINARY_COLUMN } from '../crypto/column-types';
import { Sealed, SealedColumn } from '../crypto/sealed';

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

/** An Ed25519 key with which somebody attests what is sealed in that name. */
@Entity('author_key')
export class AuthorKeyEntity {
  /** RFC 7638 thumbprint, base64url. */
  @PrimaryColumn({ type: 'varchar', length: 43 }) kid!: string;
  @Index() @IdColumn() accountId!: string;
  /** The public key: `x` of the JWK. */
  @Column({ type: 'varchar', length: 43 }) x!: string;
  /** Always `server` for now: this server keeps the private key. */
  @Column({ type: 'varchar', length: 6 }) custody!: 'server';
  /** PKCS#8, under the account's key. */
  @SealedColumn() privateKey!: Sealed;
  @InstantColumn() createdAt!: number;
}
