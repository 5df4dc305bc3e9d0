import { createCipheriv, createDecipheriv, type Cipher, type KeyObject } from 'node:crypto';
import { CryptoError } from './crypto-error';

export const XAES_NONCE_BYTES = 24;
export const TAG_BYTES = 16;

/**
 * AES-256-GCM (NIST SP 800-38D) with a 96-bit nonce and a full 128-bit tag.
 * @returns ciphertext | tag (16 bytes)
 */
export function gcmSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const body = cipher.update(plaintext);
  cipher.final(); // GCM is a stream: final() computes the tag and returns nothing
  const out = Buffer.allocUnsafe(body.length + TAG_BYTES);
  out.set(body, 0);
  out.set(cipher.getAuthTag(), body.length);
  return out;
}

/**
 * The reverse of `gcmSeal`. Nothing of the plaintext is returned unless the whole of it was authenticated.
 * @throws CryptoError `envelope_rejected`
 */
export function gcmOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Buffer {
  if (sealed.length < TAG_BYTES) throw new CryptoError('envelope_rejected');
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(end));
  const plaintext = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw new CryptoError('envelope_rejected');
  }
  return plaintext;
}

/**
 * XAES-256-GCM (https://c2sp.org/XAES-256-GCM) under one 256-bit key: 192-bit nonces, so random ones are safe for 2^80 messages.
 * It is not key-committing by itself; `DataKey.id` adds that.
 *
 * The key's AES schedule and K1 (steps 1 and 2 of the specification) are made once and kept. One ECB cipher that is never finalised serves as
 * the raw AES-256 block function of steps 1 and 5: ECB keeps no state between blocks, and making a cipher costs three times the encryption.
 */
export class Xaes256Gcm {
  readonly #aes: Cipher;
  readonly #k1: Buffer;

  /** @param key 32 bytes; node:crypto throws a RangeError on any other length */
  constructor(key: KeyObject) {
    this.#aes = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    const l = this.#aes.update(Buffer.alloc(16));
    const k1 = Buffer.alloc(16);
    for (let i = 0; i < 16; i++) k1[i] = ((l[i] ?? 0) << 1) | ((l[i + 1] ?? 0) >>> 7);
    if ((l[0] ?? 0) & 0x80) k1[15] = (k1[15] ?? 0) ^ 0b10000111;
    this.#k1 = k1;
  }

  /**
   * @param nonce 24 bytes, never used twice with this key
   * @returns ciphertext | tag (16 bytes)
   */
  seal(nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
    const key = this.#deriveKey(nonce);
    const sealed = gcmSeal(key, nonce.subarray(12), plaintext, aad);
    key.fill(0);
    return sealed;
  }

  /** @throws CryptoError `envelope_rejected` when anything (nonce, ciphertext, tag, AAD, key) differs from what was sealed */
  open(nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Buffer {
    const key = this.#deriveKey(nonce);
    try {
      return gcmOpen(key, nonce.subarray(12), sealed, aad);
    } finally {
      key.fill(0);
    }
  }

  /** Kx = AES(M1 ^ K1) | AES(M2 ^ K1) with Mi = 0x00 | i | 'X' | 0x00 | N[:12]: steps 3 to 5. */
  #deriveKey(nonce: Uint8Array): Buffer {
    if (nonce.length !== XAES_NONCE_BYTES) throw new CryptoError('envelope_malformed');
    const blocks = Buffer.allocUnsafe(32);
    for (let half = 0; half < 32; half += 16) {
      blocks[half] = 0;
      blocks[half + 1] = half === 0 ? 1 : 2;
      blocks[half + 2] = 0x58;
      blocks[half + 3] = 0;
      blocks.set(nonce.subarray(0, 12), half + 4);
      for (let i = 0; i < 16; i++) blocks[half + i] = (blocks[half + i] ?? 0) ^ (this.#k1[i] ?? 0);
    }
    return this.#aes.update(blocks);
  }
}
