import { randomFillSync } from 'node:crypto';
import { assertContext, isWellFormed, lengthPrefixed } from './bytes';
import { CryptoError } from './crypto-error';
import { type DataKey, KEY_ID_BYTES } from './data-key';
import { TAG_BYTES, XAES_NONCE_BYTES } from './xaes';

/*
 * Envelope v1, the only form in which this server writes personal data, keys and password hashes:
 *
 *   0    1  0xE1             magic and version
 *   1    1  suite            0x01 = XAES-256-GCM; 0x02 reserved for AES-256-GCM-SIV; others are refused
 *   2   16  dekId            DataKey.id of the sealing key
 *   18  24  nonce            from the CSPRNG, new for each envelope
 *   42   n  ciphertext of:   type (0x01 text as UTF-8, 0x02 bytes) | uint32be length | value | zeros up to a multiple of 64
 *   42+n 16 tag
 *
 *   AAD = LP(label) LP(bytes 0..18) LP(part) LP(part) …      LP(x) = uint32be length | x
 *
 * For a field the label is "ehr/field/v1" and the parts are table, column, rowId, subjectId, tenantId.
 */
const MAGIC = 0xe1;
const SUITE_XAES_256_GCM = 0x01;
const NONCE_AT = 2 + KEY_ID_BYTES;
const BODY_AT = NONCE_AT + XAES_NONCE_BYTES;
const OVERHEAD = BODY_AT + TAG_BYTES;
const INNER_HEADER = 5;
const BUCKET = 64;
const TYPE_TEXT = 0x01;
const TYPE_BYTES = 0x02;

/** Where a field value belongs. `table` and `column` are the logical names of `fields.ts`, not those of the database. */
export interface FieldContext {
  readonly table: string;
  readonly column: string;
  readonly rowId: string;
  readonly subjectId: string;
  readonly tenantId: string;
}

/** What an envelope is bound to: a label that says what kind of thing it is, and parts that say which one. */
export interface Binding {
  readonly label:
    'ehr/field/v1' | 'ehr/dek/v1' | 'ehr/kek/v1' | 'ehr/password/v1' | 'ehr/key-file/v1' | 'ehr/key-check/v1' | 'ehr/row-set/v1';
  readonly parts: readonly string[];
}

const fieldBinding = (c: FieldContext): Binding => ({
  label: 'ehr/field/v1',
  parts: [c.table, c.column, c.rowId, c.subjectId, c.tenantId],
});

function additionalData(envelope: Buffer, binding: Binding): Buffer {
  assertContext(binding.parts);
  return lengthPrefixed([binding.label, envelope.subarray(0, NONCE_AT), ...binding.parts]);
}

/** @returns type | length | value | zeros; a buffer the caller wipes */
function pad(value: string | Uint8Array): Buffer {
  const isText = typeof value === 'string';
  if (isText && !isWellFormed(value)) throw new CryptoError('bad_value');
  const length = isText ? Buffer.byteLength(value) : value.length;
  const inner = Buffer.alloc(Math.ceil((INNER_HEADER + length) / BUCKET) * BUCKET);
  inner[0] = isText ? TYPE_TEXT : TYPE_BYTES;
  inner.writeUInt32BE(length, 1);
  if (isText) inner.write(value, INNER_HEADER);
  else inner.set(value, INNER_HEADER);
  return inner;
}

/** The strict reverse of `pad`: minimal padding, all of it zero, a known type. Only authenticated bytes come here. */
function unpad(inner: Buffer): string | Buffer {
  const type = inner[0];
  const end = INNER_HEADER + inner.readUInt32BE(1);
  const isPadded = end <= inner.length && inner.length - end < BUCKET && inner.subarray(end).every((byte) => byte === 0);
  if (!isPadded || (type !== TYPE_TEXT && type !== TYPE_BYTES)) throw new CryptoError('envelope_malformed');
  const value = inner.subarray(INNER_HEADER, end);
  return type === TYPE_TEXT ? value.toString('utf8') : Buffer.from(value);
}

/**
 * Seals a text or bytes under `key`, bound to `binding`. The length is hidden up to the next multiple of 64 bytes.
 * @throws CryptoError `bad_context`, `bad_value` (a text with a lone surrogate)
 */
export function sealBound(key: DataKey, binding: Binding, value: string | Uint8Array): Buffer {
  const inner = pad(value);
  const envelope = Buffer.allocUnsafe(OVERHEAD + inner.length);
  envelope[0] = MAGIC;
  envelope[1] = SUITE_XAES_256_GCM;
  envelope.set(key.id, 2);
  const nonce = randomFillSync(envelope.subarray(NONCE_AT, BODY_AT));
  envelope.set(key.xaes.seal(nonce, inner, additionalData(envelope, binding)), BODY_AT);
  inner.fill(0);
  return envelope;
}

/**
 * Opens what `sealBound` made with the same key and binding; a text comes back as string, bytes as Buffer.
 * @throws CryptoError `envelope_malformed`, `envelope_unknown_suite`, `envelope_wrong_key`, `envelope_rejected`, `bad_context`
 */
export function openBound(key: DataKey, binding: Binding, bytes: Uint8Array): string | Buffer {
  const envelope = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (envelope.length < OVERHEAD + BUCKET || (envelope.length - OVERHEAD) % BUCKET !== 0 || envelope[0] !== MAGIC)
    throw new CryptoError('envelope_malformed');
  if (envelope[1] !== SUITE_XAES_256_GCM) throw new CryptoError('envelope_unknown_suite');
  if (envelope.compare(key.id, 0, KEY_ID_BYTES, 2, NONCE_AT) !== 0) throw new CryptoError('envelope_wrong_key'); // public value: no timing to hide
  const inner = key.xaes.open(envelope.subarray(NONCE_AT, BODY_AT), envelope.subarray(BODY_AT), additionalData(envelope, binding));
  try {
    return unpad(inner);
  } finally {
    inner.fill(0);
  }
}

/** Seals the value of one field of one row: see `sealBound`. */
export function sealEnvelope(key: DataKey, context: FieldContext, value: string | Uint8Array): Buffer {
  return sealBound(key, fieldBinding(context), value);
}

/** Opens the value of one field of one row: see `openBound`. */
export function openEnvelope(key: DataKey, context: FieldContext, envelope: Uint8Array): string | Buffer {
  return openBound(key, fieldBinding(context), envelope);
}
