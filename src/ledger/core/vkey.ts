import { verify } from 'node:crypto';
import { FormatError, HASH_BYTES, b64u, sha256, u32be } from './bytes';
import { authorKey, checkPublicJwk } from './jwk';

/** Signature types of C2SP signed-note that this project uses: 1 an Ed25519 note signature, 4 a timestamped Ed25519 cosignature. */
export type NoteKeyType = 1 | 4;

/** A key that signs notes. Made by {@link noteKey} or {@link parseVkey}, which check it. */
export interface NoteKey {
  /** Name in the signature lines; a log's is its origin. */
  readonly name: string;
  /** u32: an identifier, not a commitment. Anybody can find another key with the same one. */
  readonly id: number;
  readonly type: NoteKeyType;
  /** 32 bytes of RFC 8032. */
  readonly publicKey: Buffer;
}

/** Longest name of a key that we use, in bytes of UTF-8: what the newer cosignatures of tlog-cosignature can carry. */
const MAX_NAME_BYTES = 255;
/** Longest accepted verifier key, in characters: the name, two pluses, 8 digits of the id, 33 bytes in base64. */
const MAX_VKEY = MAX_NAME_BYTES + 1 + 8 + 1 + 44;
const VKEY = /^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/;
const NAME = /^[^\p{White_Space}+]+$/u;
const NOT_NOTE_TEXT = /[\u0000-\u0009\u000b-\u001f\p{Surrogate}]/u;

/** Base64 of the standard alphabet with padding (RFC 4648 section 4), as all C2SP formats use. */
export function b64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/**
 * Strict inverse of {@link b64}: the text must print back to itself, so no value has two texts.
 * @param size required number of bytes; any when left out
 * @throws FormatError naming `field`
 */
export function b64Decode(text: string, field: string, size?: number): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new FormatError(field, 'is not canonical base64');
  if (size !== undefined && bytes.length !== size) throw new FormatError(field, `must have ${size} bytes`);
  return bytes;
}

/** Whether `text` may stand in a note: it has a UTF-8 form (no lone surrogate) and no control character but newlines (signed-note). */
export function isNoteText(text: string): boolean {
  return !NOT_NOTE_TEXT.test(text);
}

/** Whether `name` may name a key: not empty, no Unicode space, no plus, and fit for a note (signed-note, Format). */
export function isKeyName(name: string): boolean {
  return NAME.test(name) && isNoteText(name);
}

/**
 * The key of a name and 32 bytes. Its id is the first four bytes of SHA-256(name || newline || type || public key).
 * @throws FormatError `vkey.name` (at most 255 bytes of UTF-8) or `vkey.publicKey`: not 32 bytes, not canonical, not on the curve or of small order
 */
export function noteKey(name: string, type: NoteKeyType, publicKey: Buffer): NoteKey {
  if (!isKeyName(name)) throw new FormatError('vkey.name', 'is empty or has a space, a plus or a control character');
  if (Buffer.byteLength(name, 'utf8') > MAX_NAME_BYTES) throw new FormatError('vkey.name', `has more than ${MAX_NAME_BYTES} bytes`);
  checkPublicKey(publicKey);
  const id = sha256(Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), Buffer.of(type), publicKey])).readUInt32BE(0);
  return { name, id, type, publicKey: Buffer.from(publicKey) };
}

/**
 * Reads a verifier key, `<name>+<id in hex>+<base64 of type and public key>` (signed-note, Verifier keys). Other types than 1 and 4 are
 * refused: this verifier could not check their signatures. @throws FormatError `vkey` or `vkey.<part>`
 */
export function parseVkey(text: string): NoteKey {
  if (text.length > MAX_VKEY) throw new FormatError('vkey', `has more than ${MAX_VKEY} characters`);
  const [, name, id, material] = VKEY.exec(text) ?? [];
  if (name === undefined || id === undefined || material === undefined) throw new FormatError('vkey', 'is not name+id+key');
  const bytes = b64Decode(material, 'vkey.publicKey');
  const type = bytes.at(0);
  if (type !== 1 && type !== 4) throw new FormatError('vkey.type', 'is none of 1 and 4');
  const key = noteKey(name, type, bytes.subarray(1));
  if (u32be(key.id).toString('hex') !== id) throw new FormatError('vkey.id', 'is not that of the name and the key');
  return key;
}

/** The text of a key, as {@link parseVkey} reads it. */
export function formatVkey(key: NoteKey): string {
  return `${key.name}+${u32be(key.id).toString('hex')}+${b64(Buffer.concat([Buffer.of(key.type), key.publicKey]))}`;
}

/**
 * Whether an Ed25519 signature (RFC 8032, cofactorless, S below the group order) of any length fits.
 * @throws FormatError `jwk.x` for a key that neither {@link noteKey} nor {@link parseVkey} made and that they would refuse
 */
export function signatureOfKey(key: NoteKey, message: Buffer, signature: Buffer): boolean {
  const { key: imported } = authorKey({ kty: 'OKP', crv: 'Ed25519', x: b64u(key.publicKey) });
  return verify(null, message, imported, signature);
}

function checkPublicKey(publicKey: Buffer): void {
  if (publicKey.length !== HASH_BYTES) throw new FormatError('vkey.publicKey', `must have ${HASH_BYTES} bytes`);
  try {
    checkPublicJwk({ kty: 'OKP', crv: 'Ed25519', x: b64u(publicKey) });
  } catch (error) {
    // The same check under the name that the reader of a policy knows.
    if (error instanceof FormatError) throw new FormatError('vkey.publicKey', error.message.slice(error.field.length + 1));
    throw error;
  }
}
