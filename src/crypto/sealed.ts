import { inspect } from 'node:util';
import { Column, type ColumnOptions, type ValueTransformer } from 'typeorm';
import { BINARY_COLUMN } from './column-types';
import { CryptoError } from './crypto-error';

const MASK = '***';

/**
 * An encrypted value: an envelope and nothing else. Every way JavaScript has to turn it into text gives `***`: that is the paper's masking,
 * and it makes a forgotten `toResponse()` or a log line harmless. The bytes are in a private field, which no serialiser or deep copy can see;
 * compare two with `equals` (`toEqual` of Jest cannot tell them apart).
 */
export class Sealed {
  /** What erasure leaves in a cell that may not be null: no bytes, which open nowhere. */
  static readonly nothing: Sealed = new Sealed(Buffer.alloc(0));

  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The envelope as it is stored. Do not write into it. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Whether its value was erased. */
  get isNothing(): boolean {
    return this.#bytes.length === 0;
  }

  equals(other: Sealed): boolean {
    return this.#bytes.equals(other.#bytes);
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.toPrimitive](): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/**
 * TypeORM transformer of an encrypted column. `to` refuses anything but `Sealed`, null and undefined, so plaintext cannot reach the column by
 * accident. It does no cryptography: it sees no row, so it could bind a value to nothing, and a new nonce at each save would make every
 * loaded entity look changed. A cell that someone replaced by text or a number becomes an empty `Sealed`: the row still loads, and opening
 * that one field fails with `envelope_malformed`.
 */
export const sealedColumn: ValueTransformer = {
  to(value: unknown): Buffer | null | undefined {
    if (value === null || value === undefined) return value;
    if (value instanceof Sealed) return value.bytes;
    throw new CryptoError('not_sealed');
  },
  from(value: unknown): Sealed | null {
    if (value === null || value === undefined) return null;
    return new Sealed(value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.length) : Buffer.alloc(0));
  },
};

/** Declares an encrypted column: `@SealedColumn() name!: Sealed` or `@SealedColumn({ nullable: true }) name!: Sealed | null`. */
export function SealedColumn(options: Pick<ColumnOptions, 'name' | 'nullable' | 'select' | 'update'> = {}): PropertyDecorator {
  return Column({ ...options, type: BINARY_COLUMN, transformer: sealedColumn });
}
