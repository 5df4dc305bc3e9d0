import { createHmac, hash, KeyObject } from 'node:crypto';

/** Size in bytes of a SHA-256 digest, of every commitment and of every key in the format. */
export const HASH_BYTES = 32;
/** Size in bytes of a chain id and of a record id. */
export const ID_BYTES = 16;
/** 32 zero bytes: the written form of "this header field does not apply". */
export const ZERO_HASH: Buffer = Buffer.alloc(HASH_BYTES);

const EMPTY = Buffer.alloc(0);

/** Input that is not in the format of the ledger. `field` names the element at fault, e.g. `header.kind`. */
export class FormatError extends Error {
  constructor(
    readonly field: string,
    reason: string,
  ) {
    super(`${field} ${reason}`);
    this.name = 'FormatError';
  }
}

/** The hash inputs of this format; distinct first bytes keep an input of one from ever being read as another. */
export type LabelName = 'gen' | 'com' | 'aad' | 'blk';

/** The 16 ASCII bytes that open a hash input: `bjwt-ehr/<name>/v1` and a newline. */
export function label(name: LabelName): Buffer {
  return Buffer.from(`bjwt-ehr/${name}/v1\n`, 'ascii');
}

/** `value` as 8 bytes, big-endian. @throws RangeError unless it is a safe integer from 0 */
export function u64be(value: number): Buffer {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned safe integer: ${value}`);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** Whether `value` fits four unsigned bytes. */
export function isU32(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff_ffff;
}

/** `value` as 4 bytes, big-endian. @throws RangeError unless it is an integer from 0 to 2^32-1 */
export function u32be(value: number): Buffer {
  if (!isU32(value)) throw new RangeError(`not an unsigned 32-bit integer: ${String(value)}`);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** SHA-256 (FIPS 180-4) of bytes, or of the UTF-8 form of a text. The result is a fresh 32-byte buffer. */
export function sha256(data: Uint8Array | string): Buffer {
  return hash('sha256', data, 'buffer');
}

/** HMAC-SHA-256 (RFC 2104) over the concatenation of `parts`. */
export function hmac(key: Uint8Array | KeyObject, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/**
 * HKDF-SHA-256 (RFC 5869), extract and expand, `size` bytes. By two HMACs: node's own `hkdfSync` makes a job of each call, which costs four times as much.
 * @throws RangeError when `size` exceeds 255 digests
 */
export function hkdf(ikm: Uint8Array | KeyObject, salt: Uint8Array | string, info: Uint8Array | string, size: number): Buffer {
  if (size > 255 * HASH_BYTES) throw new RangeError(`${size} bytes are more than 255 digests`);
  const extracted = hmac(Buffer.from(salt), ikm instanceof KeyObject ? ikm.export() : ikm);
  const parts: Buffer[] = [];
  for (let count = 1; parts.length * HASH_BYTES < size; count += 1)
    parts.push(hmac(extracted, parts.at(-1) ?? EMPTY, Buffer.from(info), Buffer.from([count])));
  return Buffer.concat(parts, size);
}

/** Whether `value` is a buffer of exactly `size` bytes. */
export function isBytes(value: unknown, size: number): value is Buffer {
  return Buffer.isBuffer(value) && value.length === size;
}

/** @throws RangeError unless `value` has exactly `size` bytes; for arguments of our own code, not for stored data */
export function requireBytes(name: string, value: Uint8Array, size: number): void {
  if (value.length !== size) throw new RangeError(`${name} must have ${size} bytes, not ${value.length}`);
}

/** Base64url without padding (RFC 4648 section 5). */
export function b64u(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/**
 * Strict inverse of {@link b64u}: the text must print back to itself. Node alone also accepts padding, the other alphabet, white space and
 * non-zero spare bits, and two texts for one value would be two hashes for one attestation.
 * @param size required number of bytes; any when left out
 * @throws FormatError naming `field`
 */
export function b64uDecode(text: string, field: string, size?: number): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new FormatError(field, 'is not canonical base64url');
  if (size !== undefined && bytes.length !== size) throw new FormatError(field, `must have ${size} bytes`);
  return bytes;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether `value` is a UUID as text in the one accepted form: lower case, with hyphens (RFC 9562 section 4); any version. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

/** The 16 bytes of a UUID. @throws FormatError naming `field` unless {@link isUuid} */
export function uuidToBytes(text: string, field = 'uuid'): Buffer {
  if (!isUuid(text)) throw new FormatError(field, 'is not a lower-case UUID');
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

/** The text of a UUID of 16 bytes. @throws RangeError on another size */
export function uuidFromBytes(bytes: Uint8Array): string {
  requireBytes('uuid', bytes, ID_BYTES);
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
