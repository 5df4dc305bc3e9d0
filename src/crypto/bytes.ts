import { hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto';
import { CryptoError } from './crypto-error';

/**
 * LP(x) = uint32be length of x | x, for each part in turn; texts as UTF-8. The prefixes make the result unambiguous: `['a', 'bc']` and
 * `['ab', 'c']` differ, which plain concatenation would not give.
 */
export function lengthPrefixed(parts: readonly (string | Uint8Array)[]): Buffer {
  let total = 0;
  for (const part of parts) total += 4 + (typeof part === 'string' ? Buffer.byteLength(part) : part.length);
  const out = Buffer.allocUnsafe(total);
  let at = 0;
  for (const part of parts) {
    const length = typeof part === 'string' ? out.write(part, at + 4) : part.length;
    if (typeof part !== 'string') out.set(part, at + 4);
    out.writeUInt32BE(length, at);
    at += 4 + length;
  }
  return out;
}

/** False for text with a lone surrogate: UTF-8 would silently replace it by U+FFFD, and two different texts would become one. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Throws `bad_context` unless every part is non-empty, well-formed text: an undefined or empty id would bind a value to nothing. */
export function assertContext(parts: readonly string[]): void {
  for (const part of parts) if (typeof part !== 'string' || part === '' || !isWellFormed(part)) throw new CryptoError('bad_context');
}

/** HKDF-SHA-256 (RFC 5869). `length` in bytes, at most 8160; above that node:crypto throws. */
export function hkdfSha256(key: KeyObject | Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, length));
}

/** In a time that tells nothing of the bytes. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
