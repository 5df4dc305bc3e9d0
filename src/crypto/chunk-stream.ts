import { CryptoError } from './crypto-error';
import { gcmOpen, gcmSeal, TAG_BYTES } from './xaes';

/** Bytes of plaintext in each chunk but the last. */
export const CHUNK_BYTES = 64 * 1024;
const SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES;
const NOTHING = new Uint8Array();

/*
 * The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015) as age uses it, with AES-256-GCM: chunk number i is sealed with the nonce
 *
 *   uint88be i | 0x01 for the last chunk, else 0x00
 *
 * so a chunk opens in its own place only, and a stream that was cut, continued or joined with another does not end as its writer ended it. Every chunk is
 * full but the last, which is empty only where the whole is.
 */
function nonceOf(index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** Seals a stream. @param key 32 bytes, used for this stream alone */
export async function* sealChunks(key: Uint8Array, parts: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const { piece, index, last } of pieces(parts, CHUNK_BYTES)) yield gcmSeal(key, nonceOf(index, last), piece, NOTHING);
}

/**
 * Opens what `sealChunks` made; gives nothing of a chunk before all of it was authenticated. That the stream is whole is known only when the generator ends.
 * @throws CryptoError `backup_rejected`
 */
export async function* openChunks(key: Uint8Array, parts: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const { piece, index, last } of pieces(parts, SEALED_CHUNK)) {
    if (last && index > 0 && piece.length <= TAG_BYTES) throw new CryptoError('backup_rejected');
    yield open(key, nonceOf(index, last), piece);
  }
}

function open(key: Uint8Array, nonce: Buffer, piece: Buffer): Buffer {
  try {
    return gcmOpen(key, nonce, piece, NOTHING);
  } catch {
    throw new CryptoError('backup_rejected');
  }
}

/** Cuts a stream into pieces of one size; the last is what is left, and is told as such. */
async function* pieces(parts: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<{ piece: Buffer; index: number; last: boolean }> {
  let [held, length, index] = [[] as Uint8Array[], 0, 0];
  for await (const part of parts) {
    held.push(part);
    length += part.length;
    if (length <= size) continue;
    const all = Buffer.concat(held);
    let at = 0;
    for (; all.length - at > size; at += size, index += 1) yield { piece: all.subarray(at, at + size), index, last: false };
    held = [all.subarray(at)];
    length = all.length - at;
  }
  yield { piece: Buffer.concat(held), index, last: true };
}
