import { createHash, randomBytes } from 'node:crypto';
import { isoTime } from '../common/clock';
import type { Config } from '../config/config';

const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'; // 32 letters that are not mistaken for each other on paper
const LENGTH = 26; // 130 bits

/** A one-time code for paper: `XXXXX-XXXXX-…`, 130 random bits. */
export function newCode(): string {
  const letters = [...randomBytes(LENGTH)].map((byte) => ALPHABET[byte & 31]);
  return letters.join('').replace(/(.{5})(?=.)/g, '$1-');
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
