import { createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { Xaes256Gcm } from './xaes';

export const KEY_BYTES = 32;
export const KEY_ID_BYTES = 16;

/**
 * A 256-bit key that seals envelopes (data key, key-encryption key, root, pepper), ready for use. Nothing of it is enumerable or printed.
 *
 * `id` = HMAC-SHA-256(key, "ehr/dek-id/v1")[0..16]. It is recomputed from the key whenever one is unwrapped and stands in every envelope's
 * header: a ciphertext made to open under two keys (GCM is not key-committing) would have to carry two different ids.
 */
export class DataKey {
  readonly id: Buffer;
  readonly xaes: Xaes256Gcm;

  /** @param key secret KeyObject of 32 bytes */
  constructor(key: KeyObject) {
    this.id = createHmac('sha256', key).update('ehr/dek-id/v1').digest().subarray(0, KEY_ID_BYTES);
    this.xaes = new Xaes256Gcm(key);
  }

  /** Takes over `bytes` (32) and wipes them. */
  static take(bytes: Buffer): DataKey {
    const key = new DataKey(createSecretKey(bytes));
    bytes.fill(0);
    return key;
  }

  /** A fresh random key: `bytes` to be wrapped, then handed to `take`. */
  static randomBytes(): Buffer {
    return randomBytes(KEY_BYTES);
  }
}
