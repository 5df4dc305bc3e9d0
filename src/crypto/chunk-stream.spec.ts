import { randomBytes } from 'node:crypto';
import { CHUNK_BYTES, openChunks, sealChunks } from './chunk-stream';
import { gcmSeal, TAG_BYTES } from './xaes';

const KEY = randomBytes(32);
const SEALED = CHUNK_BYTES + TAG_BYTES;

/** The bytes in parts of uneven sizes, as a stream brings them. */
async function* parts(bytes: Buffer, size = 50_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}
async function all(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const found: Buffer[] = [];
  for await (const part of stream) found.push(part);
  return Buffer.concat(found);
}
const seal = (bytes: Buffer, size?: number) => all(sealChunks(KEY, parts(bytes, size)));
const open = (bytes: Buffer, size?: number) => all(openChunks(KEY, parts(bytes, size)));
const REJECTED = { code: 'backup_rejected' };

describe.each([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 17])(
  'a stream of %d bytes',
  (length) => {
    const bytes = randomBytes(length);
    let sealed: Buffer;
    beforeAll(async () => (sealed = await seal(bytes)));

    it('opens to itself, however it is cut on its way', async () => {
      expect(sealed.length).toBe(length + TAG_BYTES * Math.max(1, Math.ceil(length / CHUNK_BYTES)));
      for (const size of [1_000_000, SEALED, SEALED - 1, 4_097]) expect((await open(sealed, size)).equals(bytes)).toBe(true);
      expect((await seal(bytes, 4_099)).equals(sealed)).toBe(true); // of one key and one stream there is one ciphertext
    });

    it('ATTACK a changed byte, at the borders of every chunk and between: refused', async () => {
      const borders = Array.from({ length: Math.ceil(sealed.length / SEALED) }, (_none, index) => index * SEALED);
      const places = borders.flatMap((border) => [border, border + 1, border + 20, border + SEALED - 1, border + SEALED - TAG_BYTES]);
      for (const at of places.filter((place) => place < sealed.length)) {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ 1;
        await expect(open(changed)).rejects.toMatchObject(REJECTED);
      }
    });

    it('ATTACK cut anywhere near a border, or to nothing: refused', async () => {
      const cuts = new Set([0, 1, 15, 16, sealed.length - 1]);
      for (let border = SEALED; border <= sealed.length; border += SEALED)
        for (const by of [-1, 0, 1, 15, 16]) cuts.add(border + by - (border === sealed.length ? 1 : 0));
      for (const cut of [...cuts].filter((length) => length >= 0 && length < sealed.length))
        await expect(open(sealed.subarray(0, cut))).rejects.toMatchObject(REJECTED);
    });

    it('ATTACK continued by a byte, a tag, an empty last chunk, itself: refused', async () => {
      for (const more of [Buffer.alloc(1), Buffer.alloc(TAG_BYTES), await seal(Buffer.alloc(0)), sealed])
        await expect(open(Buffer.concat([sealed, more]))).rejects.toMatchObject(REJECTED);
    });
  },
);

it('ATTACK chunks in another order, twice, left out, or of another stream: refused', async () => {
  const sealed = await seal(randomBytes(4 * CHUNK_BYTES));
  const chunks = [0, 1, 2, 3].map((index) => sealed.subarray(index * SEALED, (index + 1) * SEALED));
  const other = await all(sealChunks(randomBytes(32), parts(randomBytes(4 * CHUNK_BYTES))));
  const [a, b, c, d] = chunks as [Buffer, Buffer, Buffer, Buffer];
  for (const order of [
    [b, a, c, d],
    [a, b, b, c, d],
    [a, c, d],
    [a, b, d],
    [d],
    [a, b, other.subarray(2 * SEALED, 3 * SEALED), d],
    [a, b, c, d, d],
  ])
    await expect(open(Buffer.concat(order))).rejects.toMatchObject(REJECTED);
});

it('an empty last chunk is refused where more stands before it, though it is sealed well', async () => {
  const nonce = (index: number, last: number) => Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, index, last]);
  const full = gcmSeal(KEY, nonce(0, 0), Buffer.alloc(CHUNK_BYTES), Buffer.alloc(0));
  const empty = gcmSeal(KEY, nonce(1, 1), Buffer.alloc(0), Buffer.alloc(0));
  await expect(open(Buffer.concat([full, empty]))).rejects.toMatchObject(REJECTED);
});
