import { KeyObject, createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { HASH_BYTES, ID_BYTES, hkdf, hmac, label, requireBytes, sha256, u32be, u64be, uuidToBytes } from './bytes';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';
const COMMIT_LABEL = label('com');
const AAD_LABEL = label('aad');

/** Where a content belongs. All of it is authenticated, so a ciphertext moved to another record, version or patient does not open. */
export interface ContentPlace {
  /** 32 random bytes per record. */
  readonly recordKey: Uint8Array;
  readonly ledgerId: Uint8Array;
  readonly chainId: Uint8Array;
  /** UUID as text, lower case. */
  readonly recordId: string;
  /** Version of the record, u32. */
  readonly version: number;
}

/** The key of the commitment. Handing it to somebody lets them check the payload they hold, and decrypt nothing. */
export function opening(recordKey: Uint8Array): Buffer {
  return derive(recordKey, 'bjwt-ehr/open/v1');
}

/**
 * HMAC-SHA-256(opening, label || u64 length || payload). Keyed, because the bare hash of one known patient's diagnosis code is guessed in
 * no time; hiding ends when the opening is disclosed, binding does not.
 */
export function contentCommit(openingKey: Uint8Array | KeyObject, payload: Uint8Array): Buffer {
  if (!(openingKey instanceof KeyObject)) requireBytes('opening', openingKey, HASH_BYTES);
  return hmac(openingKey, COMMIT_LABEL, u64be(payload.length), payload);
}

/**
 * nonce[12] || AES-256-GCM || tag[16] (NIST SP 800-38D). The nonce is random; one record key meets a handful of versions, far from the
 * 2^32 messages at which random nonces become unsafe.
 * @param input `nonce` is for test vectors only: a nonce used twice under one key discloses both payloads
 * @throws RangeError on wrong sizes, FormatError on a record id that is no UUID
 */
export function encryptContent(input: ContentPlace & { readonly payload: Uint8Array; readonly nonce?: Uint8Array }): Buffer {
  return sealGcm(dek(input.recordKey), input.nonce ?? randomBytes(NONCE_BYTES), aad(input), input.payload);
}

/**
 * The payload, or null when `ciphertext` is not what {@link encryptContent} made for this very place: too short, altered, or moved.
 * Does not check the commitment of the block.
 * @throws RangeError on wrong sizes, FormatError on a record id that is no UUID
 */
export function decryptContent(input: ContentPlace & { readonly ciphertext: Uint8Array }): Buffer | null {
  return openGcm(dek(input.recordKey), aad(input), input.ciphertext);
}

/** SHA-256 of nonce, ciphertext and tag: lets an auditor check the database without any decryption key. */
export function ciphertextHash(ciphertext: Uint8Array): Buffer {
  return sha256(ciphertext);
}

/** AES-256-GCM with the nonce in front and the 16-byte tag behind. @throws RangeError on a nonce of another size than 12 */
export function sealGcm(key: KeyObject, nonce: Uint8Array, additional: Uint8Array, plaintext: Uint8Array): Buffer {
  requireBytes('nonce', nonce, NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additional);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Inverse of {@link sealGcm}; null when the tag does not fit. Nothing of an unauthenticated plaintext is ever returned. */
export function openGcm(key: KeyObject, additional: Uint8Array, sealed: Uint8Array): Buffer | null {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return null;
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(additional);
  decipher.setAuthTag(sealed.subarray(end));
  const plaintext = decipher.update(sealed.subarray(NONCE_BYTES, end));
  try {
    decipher.final(); // GCM leaves no remainder: this only compares the tag
    return plaintext;
  } catch {
    plaintext.fill(0);
    return null;
  }
}

function dek(recordKey: Uint8Array): KeyObject {
  const bytes = derive(recordKey, 'bjwt-ehr/dek/v1');
  const key = createSecretKey(bytes); // copies
  bytes.fill(0);
  return key;
}

function derive(recordKey: Uint8Array, info: string): Buffer {
  requireBytes('recordKey', recordKey, HASH_BYTES);
  return hkdf(recordKey, '', info, HASH_BYTES);
}

function aad(place: ContentPlace): Buffer {
  requireBytes('ledgerId', place.ledgerId, HASH_BYTES);
  requireBytes('chainId', place.chainId, ID_BYTES);
  return Buffer.concat([AAD_LABEL, place.ledgerId, place.chainId, uuidToBytes(place.recordId, 'recordId'), u32be(place.version)]);
}
