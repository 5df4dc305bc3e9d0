import { createHash, randomBytes } from 'node:crypto';
import { isoTime } from '../common/clock';
import type { Config } from '../config/config';

const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'; // 32 letters that are not mistaken for each other on paper
/** Letters of a code, each from one byte. */
export const CODE_BYTES = 26;

/** A one-time code for paper: `XXXXX-XXXXX-…`, 130 bits. @param bytes as many as `CODE_BYTES`, which nobody can guess */
export function codeFrom(bytes: Uint8Array): string {
  const letters = [...bytes].map((byte) => ALPHABET[byte & 31]);
  return letters.join('').replace(/(.{5})(?=.)/g, '$1-');
}

/** A random one. */
export function newCode(): string {
  return codeFrom(randomBytes(CODE_BYTES));
}

/** What is stored of a code: SHA-256 of its letters. A code of 130 random bits needs no salt. Case and separators do not count. */
export function codeHash(code: string): Buffer {
  return createHash('sha256')
    .update(code.toUpperCase().replace(/[^A-Z0-9]/g, ''))
    .digest();
}

/** A code for an account: what its answer shows, and what its row keeps. */
export function freshCode(
  now: number,
  { login }: Config,
): { code: { code: string; expiresAt: string }; row: { codeHash: Buffer; codeExpiresAt: number } } {
  const code = newCode();
  const codeExpiresAt = now + login.codeSeconds * 1000;
  return { code: { code, expiresAt: isoTime(codeExpiresAt) }, row: { codeHash: codeHash(code), codeExpiresAt } };
}
