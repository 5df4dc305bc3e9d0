import type { KeyObject } from 'node:crypto';

/** A key pair that signs access tokens: ES256, i.e. ECDSA on P-256. */
export interface TokenKey {
  /** RFC 7638 SHA-256 thumbprint of the public key, base64url. */
  readonly kid: string;
  readonly privateKey: KeyObject;
}

/**
 * The keys that never stand in the database. A provider makes them (`loadKeyFiles`; a KMS later); everything else is derived from them or
 * wrapped by them. The four secret keys have 256 bits and differ from each other.
 */
export interface RootKeys {
  /** Wraps the key-encryption keys. */
  readonly wrapKey: KeyObject;
  /** Root of the blind-index keys. */
  readonly indexKey: KeyObject;
  /** Seals password hashes. */
  readonly pepperKey: KeyObject;
  /** Root of the keys that sign checkpoints and cosignatures. */
  readonly ledgerKey: KeyObject;
  /** At least one; the first one signs, all of them verify. */
  readonly tokenKeys: readonly TokenKey[];
}

/** Injection token of `RootKeys`. */
export const ROOT_KEYS = Symbol('ROOT_KEYS');
