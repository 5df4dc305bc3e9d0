import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { foldCase } from '../common/fold-case';
import { assertContext, hkdfSha256, isWellFormed, lengthPrefixed } from './bytes';
import { CryptoError } from './crypto-error';
import { KEY_BYTES } from './data-key';
import { type Field, fields } from './fields';
import { ROOT_KEYS, type RootKeys } from './root-keys';

/** Fields with a unique index. Nothing of few values (gender, diagnosis) may ever be added: its frequencies would show it. */
export type IndexedField = Extract<
  Field,
  'account.username' | 'patient.national_id' | 'directory.content' | 'rate_count.client' | 'recovery_code.hash'
>;

/** Fields that are searched by words, each of which may have many holders. */
export type SearchedField = Extract<Field, 'patient.name'>;

export const BLIND_INDEX_BYTES = 16;
/** Of a truncated index. */
export const MAX_INDEX_BITS = 16;

/** Two values with the same result are one identifier: NFKC, trimmed, case folded, NFKC again. */
export function normaliseIdentifier(value: string): string {
  return foldCase(value.normalize('NFKC').trim()).normalize('NFKC');
}

/**
 * Equality search over encrypted identifiers. Each (hospital, field) has its own key, HKDF-SHA-256(index key, info = LP("ehr/blind-index/v1")
 * LP(tenantScope) LP(table) LP(column)), so that equal values in two hospitals or columns do not show as equal. A national id has few enough
 * values to be tried out, so the index key must never stand in the database.
 */
@Injectable()
export class BlindIndex {
  readonly #keys = new LRUCache<string, KeyObject>({ max: 1000 });

  constructor(@Inject(ROOT_KEYS) private readonly roots: RootKeys) {}

  /**
   * HMAC-SHA-256 of the normalised value, first 16 bytes: for a column with a unique constraint.
   * @param tenantScope the hospital's id, or a fixed name where the identifier is unique across hospitals
   * @throws CryptoError `bad_context`, `bad_value` (nothing left after normalisation, or a lone surrogate)
   */
  unique(tenantScope: string, field: IndexedField, value: string): Buffer {
    const normalised = normaliseIdentifier(value);
    if (normalised === '' || !isWellFormed(normalised)) throw new CryptoError('bad_value');
    return createHmac('sha256', this.#key(tenantScope, field)).update(normalised).digest().subarray(0, BLIND_INDEX_BYTES);
  }

  /**
   * The first `bits` bits of HMAC-SHA-256 of the word, for an index that is not unique: so few that many different words share a value, and equal
   * values say little. The caller opens what it finds and looks whether it fits.
   * @param bits 0 to {@link MAX_INDEX_BITS}
   * @returns bits (1 byte) | value, left-aligned (2 bytes): values of different lengths never meet
   */
  truncated(tenantScope: string, field: SearchedField, word: string, bits: number): Buffer {
    if (word === '' || !isWellFormed(word) || !(bits >= 0 && bits <= MAX_INDEX_BITS)) throw new CryptoError('bad_value');
    const token = Buffer.alloc(3);
    token.writeUInt8(bits, 0);
    const value = createHmac('sha256', this.#key(tenantScope, field)).update(word).digest().readUInt16BE(0);
    token.writeUInt16BE(value & (0xffff << (MAX_INDEX_BITS - bits)) & 0xffff, 1);
    return token;
  }

  #key(tenantScope: string, field: IndexedField | SearchedField): KeyObject {
    assertContext([tenantScope]);
    const name = `${field}/${tenantScope}`;
    const cached = this.#keys.get(name);
    if (cached) return cached;
    const { table, column } = fields[field];
    const info = lengthPrefixed(['ehr/blind-index/v1', tenantScope, table, column]);
    const key = createSecretKey(hkdfSha256(this.roots.indexKey, new Uint8Array(), info, KEY_BYTES));
    this.#keys.set(name, key);
    return key;
  }
}
