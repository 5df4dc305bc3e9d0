import { createHash, randomBytes } from 'node:crypto';

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
