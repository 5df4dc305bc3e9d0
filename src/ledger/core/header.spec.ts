import { createHash } from 'node:crypto';
import { FormatError, ZERO_HASH } from './bytes';
import {
  BlockHeader,
  BlockKind,
  blockHash,
  decodeHeader,
  encodeHeader,
  genesisHash,
  isBlockKind,
  isOrigin,
  isZero,
  ledgerId,
} from './header';

const fill = (byte: string): Buffer => Buffer.from(byte.repeat(32), 'hex');
const header: BlockHeader = {
  kind: BlockKind.amendment,
  ledgerId: fill('1a'),
  chainId: Buffer.from('2b'.repeat(16), 'hex'),
  height: 7,
  sealedAt: 1_760_000_000_123,
  prevHash: fill('3c'),
  contentCommit: fill('4d'),
  ciphertextHash: fill('5e'),
  attestationHash: fill('6f'),
  authorKeyId: fill('70'),
  refHash: fill('81'),
};
/** Written by hand from the format, field by field. */
const hex = [
  '626a77742d6568722f626c6b2f76310a', // "bjwt-ehr/blk/v1\n"
  '03', // kind: amendment
  '00', // flags
  '1a'.repeat(32), // ledgerId
  '2b'.repeat(16), // chainId
  '0000000000000007', // height
  '00000199c82cc07b', // sealedAt
  '3c'.repeat(32), // prevHash
  '4d'.repeat(32), // contentCommit
  '5e'.repeat(32), // ciphertextHash
  '6f'.repeat(32), // attestationHash
  '70'.repeat(32), // authorKeyId
  '81'.repeat(32), // refHash
].join('');

const patched = (offset: number, patch: string): Buffer => {
  const bytes = Buffer.from(hex, 'hex');
  bytes.set(Buffer.from(patch, 'hex'), offset);
  return bytes;
};
const fieldOf = (bytes: Buffer): string => {
  try {
    decodeHeader(bytes);
    return 'accepted';
  } catch (error) {
    return error instanceof FormatError ? error.field : 'another error';
  }
};

describe('header', () => {
  it('is 274 bytes, field by field', () => {
    expect(encodeHeader(header).toString('hex')).toBe(hex);
    expect(encodeHeader(header)).toHaveLength(274);
  });

  it('reads back what was written', () => expect(decodeHeader(Buffer.from(hex, 'hex'))).toEqual(header));

  it('block hash is the SHA-256 of the bytes', () => {
    const bytes = Buffer.from(hex, 'hex');
    expect(blockHash(bytes)).toEqual(createHash('sha256').update(bytes).digest());
  });

  it('kinds have the numbers of the format', () => {
    expect(BlockKind).toEqual({
      'open-chain': 1,
      record: 2,
      amendment: 3,
      erase: 4,
      consent: 5,
      'link-to-foreign-chain': 6,
      reseal: 7,
      profile: 8,
      answer: 9,
    });
    expect([0, 1, 9, 10, 1.5, '2', null].map(isBlockKind)).toEqual([false, true, true, false, false, false, false]);
  });

  it.each([
    ['one byte short', Buffer.from(hex.slice(2), 'hex'), 'header'],
    ['one byte long', Buffer.from(`${hex}00`, 'hex'), 'header'],
    ['empty', Buffer.alloc(0), 'header'],
    ['another label', patched(9, '656e74'), 'header.label'],
    ['label without newline', patched(15, '20'), 'header.label'],
    ['kind 0', patched(16, '00'), 'header.kind'],
    ['kind 10', patched(16, '0a'), 'header.kind'],
    ['flags', patched(17, '01'), 'header.flags'],
    ['height 2^53', patched(66, '0020000000000000'), 'header.height'],
    ['height 2^64-1', patched(66, 'ffffffffffffffff'), 'header.height'],
    ['time 2^53', patched(74, '0020000000000000'), 'header.sealedAt'],
    ['height 2^53-1', patched(66, '001fffffffffffff'), 'accepted'],
  ])('refuses %s', (_, bytes, field) => expect(fieldOf(bytes)).toBe(field));

  it('reads the largest height exactly', () => {
    expect(decodeHeader(patched(66, '001fffffffffffff')).height).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([
    ['kind', 0],
    ['ledgerId', Buffer.alloc(31)],
    ['chainId', Buffer.alloc(32)],
    ['height', -1],
    ['height', 2 ** 53],
    ['sealedAt', 0.5],
    ['prevHash', Buffer.alloc(33)],
    ['contentCommit', Buffer.alloc(0)],
    ['refHash', Buffer.alloc(31)],
  ])('does not write %s = %p', (field, value) => expect(() => encodeHeader({ ...header, [field]: value })).toThrow(RangeError));

  it('ledger id and genesis by hand', () => {
    const origin = 'ledger.hospital-a.example/ehr1';
    const id = createHash('sha256').update(origin, 'ascii').digest();
    expect(ledgerId(origin)).toEqual(id);
    const chainId = Buffer.alloc(16, 0x22);
    const input = Buffer.concat([Buffer.from('bjwt-ehr/gen/v1\n', 'ascii'), id, chainId]);
    expect(genesisHash(id, chainId)).toEqual(createHash('sha256').update(input).digest());
    expect(() => genesisHash(id, Buffer.alloc(15))).toThrow(RangeError);
    expect(() => genesisHash(chainId, chainId)).toThrow(RangeError);
  });

  it.each(['', 'a b', 'a+b', 'a\nb', 'a"b', 'a\\b', 'é.example', 'x'.repeat(256)])('refuses the origin %p', (origin) => {
    expect(isOrigin(origin)).toBe(false);
    expect(() => ledgerId(origin)).toThrow(RangeError);
  });

  it('zeros mean "does not apply"', () => {
    expect(isZero(ZERO_HASH)).toBe(true);
    expect(isZero(fill('01'))).toBe(false);
  });
});
