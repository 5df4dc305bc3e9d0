import fc from 'fast-check';
import { FormatError, sha256 } from './bytes';
import { decodeEntry, encodeEntry, ENTRY_BYTES, entryHash, EntryKind, isEntryKind } from './entry';
import { leafHash } from './tree';

const hash = Buffer.from('5e'.repeat(32), 'hex');
/** Written by hand from the format. */
const HEX = `626a77742d6568722f656e742f76310a03${'5e'.repeat(32)}`;

const field = (bytes: Uint8Array): string => {
  try {
    decodeEntry(bytes);
    return 'accepted';
  } catch (error) {
    if (error instanceof FormatError) return error.field;
    throw error;
  }
};

describe('log entry', () => {
  it('is label, kind and hash: 49 bytes', () => {
    expect(encodeEntry({ kind: EntryKind['key-event'], hash }).toString('hex')).toBe(HEX);
    expect(HEX).toHaveLength(2 * ENTRY_BYTES);
    expect(leafHash(Buffer.from(HEX, 'hex'))).toEqual(sha256(Buffer.from(`00${HEX}`, 'hex')));
  });

  it('has the leaf hash of its 49 bytes, whatever was hashed before', () => {
    for (const kind of Object.values(EntryKind)) {
      const entry = { kind, hash: sha256(String(kind)) };
      expect(entryHash(entry)).toEqual(leafHash(encodeEntry(entry)));
    }
    expect(() => entryHash({ kind: EntryKind.block, hash: hash.subarray(1) })).toThrow(RangeError);
    expect(() => entryHash({ kind: 7 as EntryKind, hash })).toThrow(RangeError);
    const text = 'a'.repeat(32) as unknown as Buffer;
    expect(() => entryHash({ kind: EntryKind.block, hash: text })).toThrow(RangeError);
  });

  it('has six kinds, numbered as in the format', () => {
    const names = ['block', 'head-map', 'key-event', 'access-log', 'policy', 'incarnation'];
    expect(Object.entries(EntryKind)).toEqual(names.map((name, index) => [name, index + 1]));
    expect([0, 7, 1.5, '1', null, undefined, NaN].filter(isEntryKind)).toEqual([]);
  });

  it('reads back what it wrote', () => {
    const bytes = (size: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength: size, maxLength: size }).map((array) => Buffer.from(array));
    const entries = fc.record({ kind: fc.constantFrom(...Object.values(EntryKind)), hash: bytes(32) }, { noNullPrototype: true });
    fc.assert(fc.property(entries, (entry) => expect(decodeEntry(encodeEntry(entry))).toEqual(entry)));
  });

  it('reads a plain Uint8Array, and keeps nothing of it', () => {
    const bytes = Uint8Array.from(Buffer.from(HEX, 'hex'));
    const entry = decodeEntry(bytes);
    bytes.fill(0);
    expect(entry).toEqual({ kind: 3, hash });
  });

  it.each([
    ['empty', '', 'entry'],
    ['one byte short', HEX.slice(0, -2), 'entry'],
    ['one byte long', `${HEX}00`, 'entry'],
    ['the label of a block', HEX.replace('656e74', '626c6b'), 'entry'],
    ['another version', HEX.replace('7631', '7632'), 'entry'],
    ['kind 0', HEX.replace('0a03', '0a00'), 'entry.kind'],
    ['kind 7', HEX.replace('0a03', '0a07'), 'entry.kind'],
    ['as it should be', HEX, 'accepted'],
  ])('%s', (_what, hex, expected) => expect(field(Buffer.from(hex, 'hex'))).toBe(expected));

  it('every changed byte of the label is refused', () => {
    for (let position = 0; position < 16; position += 1) {
      const bytes = Buffer.from(HEX, 'hex');
      bytes.writeUInt8(bytes.readUInt8(position) ^ 1, position);
      expect([position, field(bytes)]).toEqual([position, 'entry']);
    }
  });

  it.each([31, 33, 0])('refuses to write a hash of %p bytes', (size) => {
    expect(() => encodeEntry({ kind: 1, hash: Buffer.alloc(size) })).toThrow(RangeError);
  });

  it.each([0, 7, 1.5, '1', undefined])('refuses to write kind %p', (kind) => {
    const write = (): unknown => Reflect.apply(encodeEntry, undefined, [{ kind, hash }]);
    expect(write).toThrow(RangeError);
  });
});
