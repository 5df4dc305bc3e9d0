import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { hkdfSha256, lengthPrefixed, sameBytes } from './bytes';
import { CryptoError } from './crypto-error';
import { DataKey, KEY_BYTES } from './data-key';
import { type Binding, openBound, sealBound } from './envelope';
import type { RootKeys } from './root-keys';

/** A cell as the driver stores it. */
export type CellValue = string | number | bigint | boolean | Uint8Array | null;
/** Name of the column and what stands in it. */
export type Cell = readonly [column: string, value: CellValue];

/** For each table with a counted set: the sum over its rows, modulo 2^256. */
export type RowSums = Map<string, bigint>;

const MODULUS = 1n << 256n;
const SUMS: Binding = { label: 'ehr/row-set/v1', parts: ['all tables'] };

/**
 * Tags of whole rows: who can write the database file but holds no key can neither make a row nor change a cell of one.
 *
 *   tag = HMAC-SHA-256(K_row, LP("ehr/row/v1") LP(table) LP(column) LP(type value) …)   in the order of the columns' names
 *
 * K_row = HKDF-SHA-256(ledger key, info LP("ehr/row-tag/v1")). The primary key is among the columns; of a sealed column it is the envelope that counts.
 * A cell that is null adds nothing: a column that a later migration adds leaves the tags of old rows valid, and no value can stand for null, for each
 * value comes with its column's name and type.
 *
 * A tag does not show that a whole row was put back as it once was, nor that one is gone. For that there is a sum over the rows of a table of
 * HMAC-SHA-256(K_set, tag) modulo 2^256, in the manner of MSet-Add-Hash (Clarke et al., ASIACRYPT 2003), which needs its sum kept secret: whoever sees
 * sums before and after changes learns the summands, and a lattice finds other rows with the same sum. So the sums are stored encrypted.
 */
export class RowTagger {
  readonly #row: KeyObject;
  readonly #set: KeyObject;
  readonly #sums: DataKey;

  constructor({ ledgerKey }: Pick<RootKeys, 'ledgerKey'>) {
    const derive = (name: string): Buffer => hkdfSha256(ledgerKey, new Uint8Array(), lengthPrefixed([name]), KEY_BYTES);
    this.#row = createSecretKey(derive('ehr/row-tag/v1'));
    this.#set = createSecretKey(derive('ehr/row-set/v1'));
    this.#sums = DataKey.take(derive('ehr/row-sums/v1'));
  }

  /** @param cells every column of the row but the tag, in any order */
  tag(table: string, cells: readonly Cell[]): Buffer {
    const parts: (string | Uint8Array)[] = ['ehr/row/v1', table];
    for (const [column, value] of [...cells].sort(([a], [b]) => (a < b ? -1 : 1))) if (value !== null) parts.push(column, typed(value));
    return createHmac('sha256', this.#row).update(lengthPrefixed(parts)).digest();
  }

  /** What a row with this tag adds to the sum of its table. */
  summand(tag: Uint8Array): bigint {
    return BigInt(`0x${createHmac('sha256', this.#set).update(tag).digest('hex')}`);
  }

  sealSums(sums: RowSums): Buffer {
    return sealBound(this.#sums, SUMS, JSON.stringify([...sums].map(([table, sum]) => [table, sum.toString(16)])));
  }

  /** @throws CryptoError `row_set_rejected` */
  openSums(sealed: Uint8Array): RowSums {
    try {
      const text = openBound(this.#sums, SUMS, sealed);
      const pairs = JSON.parse(typeof text === 'string' ? text : '') as [string, string][];
      return new Map(pairs.map(([table, sum]) => [table, BigInt(`0x${sum}`)]));
    } catch {
      throw new CryptoError('row_set_rejected');
    }
  }
}

/** Adds to the sum of a table; `value` may be negative. */
export function addToSum(sums: RowSums, table: string, value: bigint): void {
  const sum = ((sums.get(table) ?? 0n) + value) % MODULUS;
  sums.set(table, sum < 0n ? sum + MODULUS : sum);
}

export function isSameTag(stored: unknown, expected: Buffer): boolean {
  return stored instanceof Uint8Array && sameBytes(stored, expected);
}

/** The first byte says which type it is, so that 5 and '5' differ. */
function typed(value: Exclude<CellValue, null>): string | Uint8Array {
  if (value instanceof Uint8Array) return Buffer.concat([Buffer.from('b'), value]);
  return typeof value === 'string' ? `s${value}` : `n${typeof value === 'boolean' ? Number(value) : value}`;
}
