import { CryptoError } from './crypto-error';
import type { DataKey } from './data-key';
import { type FieldContext, openEnvelope, sealEnvelope } from './envelope';
import { type Field, fields } from './fields';
import { Sealed } from './sealed';

/** Whose data a key protects: a patient or an account (`subjectId`) within one hospital (`tenantId`). The unit of erasure. */
export interface Subject {
  readonly subjectId: string;
  readonly tenantId: string;
}

/**
 * Seals and opens the fields of one subject. Everything is synchronous and takes about 10 us per field, so open lazily in lists.
 * A `Vault` got inside a transaction must not outlive it.
 */
export class Vault {
  readonly #key: DataKey;
  readonly #subject: Subject;

  constructor(key: DataKey, subject: Subject) {
    this.#key = key;
    this.#subject = { subjectId: subject.subjectId, tenantId: subject.tenantId };
  }

  /**
   * @param rowId id of the row that will hold the value: made by the application before the insert
   * @throws CryptoError `bad_context`, `bad_value`
   */
  seal(field: Field, rowId: string, value: string | Uint8Array): Sealed {
    return new Sealed(sealEnvelope(this.#key, this.#context(field, rowId), value));
  }

  /**
   * Opens a field that was sealed from a text.
   * @throws CryptoError `envelope_*`: altered, moved from another row, column, subject or tenant, or sealed from bytes
   */
  open(field: Field, rowId: string, sealed: Sealed): string {
    const value = openEnvelope(this.#key, this.#context(field, rowId), sealed.bytes);
    if (typeof value !== 'string') throw new CryptoError('envelope_wrong_type');
    return value;
  }

  /** Opens a field that was sealed from bytes; errors as `open`. */
  openBytes(field: Field, rowId: string, sealed: Sealed): Buffer {
    const value = openEnvelope(this.#key, this.#context(field, rowId), sealed.bytes);
    if (typeof value === 'string') throw new CryptoError('envelope_wrong_type');
    return value;
  }

  #context(field: Field, rowId: string): FieldContext {
    const { table, column } = fields[field];
    return { table, column, rowId, subjectId: this.#subject.subjectId, tenantId: this.#subject.tenantId };
  }
}
