import type { KeyObject } from 'node:crypto';
import type { Wrapper } from './key-wrap';
import type { TokenKeys } from './token-keys';

/** The root of all keys, wherever it is: in a file (`FileRoot`) or in a token that does not give it away (`Pkcs11Root`). */
export interface Root extends Wrapper {
  /** A value to be stored, by which `matches` knows this root again. It says nothing about the key. */
  checkValue(): Buffer;
  matches(checkValue: Buffer): boolean;
}

/**
 * The keys that never stand in the database (`openRootKeys`); everything else is derived from them or wrapped by them. The secret keys have 256 bits
 * and differ from each other.
 */
export interface RootKeys {
  /** Wraps the key-encryption keys. */
  readonly root: Root;
  /** Root of the blind-index keys. */
  readonly indexKey: KeyObject;
  /** Seals password hashes. */
  readonly pepperKey: KeyObject;
  /** Root of the keys that sign checkpoints and cosignatures. */
  readonly ledgerKey: KeyObject;
  readonly tokenKeys: TokenKeys;
}

/** What protects data; `tokenKeys` protect sign-ins. */
export type DataRoots = Omit<RootKeys, 'tokenKeys'>;

/** Injection token of `RootKeys`. */
export const ROOT_KEYS = Symbol('ROOT_KEYS');
