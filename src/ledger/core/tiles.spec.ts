import fc from 'fast-check';
import { MemoryTree, testEntries } from '../../../test/reference/memory-tree';
import { FormatError } from './bytes';
import {
  decodeEntryBundle,
  encodeEntryBundle,
  nodeInTile,
  nodePlace,
  parseTilePath,
  TILE_WIDTH,
  tilePath,
  type TileId,
  tileWidthAt,
} from './tiles';
import { leafHash, nodeHash } from './tree';

const refusal = (read: () => unknown): string => {
  try {
    read();
    return 'accepted';
  } catch (error) {
    if (error instanceof FormatError) return error.field;
    throw error;
  }
};

describe('tile paths', () => {
  it.each<[string, TileId]>([
    ['0/x001/x234/067', { level: 0, index: 1_234_067n, width: 256 }],
    ['0/x001/067.p/112', { level: 0, index: 1_067n, width: 112 }],
    ['entries/000.p/3', { level: 'entries', index: 0n, width: 3 }],
    ['entries/x001/000', { level: 'entries', index: 1_000n, width: 256 }],
    ['1/999', { level: 1, index: 999n, width: 256 }],
    ['63/000.p/255', { level: 63, index: 0n, width: 255 }],
    ['2/x009/x007/x199/x254/x740/991.p/1', { level: 2, index: 2n ** 53n - 1n, width: 1 }],
  ])('%s', (path, tile) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  it('read back what was printed', () => {
    const tiles = fc.record(
      {
        level: fc.oneof(fc.constant('entries' as const), fc.nat({ max: 63 })),
        index: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
        width: fc.integer({ min: 1, max: 256 }),
      },
      { noNullPrototype: true },
    );
    fc.assert(fc.property(tiles, (tile) => expect(parseTilePath(tilePath(tile))).toEqual(tile)));
  });

  it('ATTACK a second spelling: what is accepted prints back to the same text', () => {
    const part = fc.constantFrom('0', '1', '63', '64', 'entries', '/', 'x', 'x000/', 'x001/', '000', '067', '.p/', '1', '255', '256', '0');
    const texts = fc.array(part, { maxLength: 10 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(texts, fc.string({ unit: fc.constantFrom(...'0123x/.pe') })), (text) => {
        if (refusal(() => parseTilePath(text)) === 'accepted') expect(tilePath(parseTilePath(text))).toBe(text);
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    '',
    '0',
    '0/',
    '0/0',
    '0/00',
    '0/0000',
    '0/x000',
    '0/x000/000', // a group of zeros in front
    '0/000/000',
    '0/X001/000',
    '0/x001/x000',
    '00/000',
    '01/000',
    '-1/000',
    '+1/000',
    '64/000',
    '100/000',
    '0/-01',
    'Entries/000',
    'entry/000',
    '/0/000',
    '0/000/',
    '0//000',
    '0/000.p',
    '0/000.p/',
    '0/000.p/0',
    '0/000.p/01',
    '0/000.p/256',
    '0/000.p/1000',
    '0/000.p/-1',
    '0/000.p/1/',
    '0/000.p/1.p/1',
    '0/000\n',
    '0/000 ',
    ' 0/000',
    '0/٠٠٠',
    '0/../000',
    '0/x009/x007/x199/x254/x740/992', // 2^53
    '0/x999/x999/x999/x999/x999/x999/999',
    `0/${'x001/'.repeat(100_000)}000`,
  ])('refuse %p', (path) => expect(refusal(() => parseTilePath(path))).toBe('tile'));

  it.each<TileId>([
    { level: -1, index: 0n, width: 1 },
    { level: 64, index: 0n, width: 1 },
    { level: 0.5, index: 0n, width: 1 },
    { level: NaN, index: 0n, width: 1 },
    { level: 0, index: -1n, width: 1 },
    { level: 0, index: 2n ** 53n, width: 1 },
    { level: 0, index: 0n, width: 0 },
    { level: 0, index: 0n, width: 257 },
    { level: 0, index: 0n, width: 1.5 },
  ])('are not printed of what is no tile (%#)', (tile) => expect(() => tilePath(tile)).toThrow(RangeError));
});

describe('widths', () => {
  it('are those of the examples of C2SP tlog-tiles', () => {
    const widths = (size: bigint, level: number | 'entries', ...indexes: bigint[]): number[] =>
      indexes.map((index) => tileWidthAt(level, index, size));
    expect(widths(70_000n, 0, 0n, 272n, 273n, 274n)).toEqual([256, 256, 112, 0]);
    expect(widths(70_000n, 'entries', 0n, 272n, 273n, 274n)).toEqual([256, 256, 112, 0]);
    expect(widths(70_000n, 1, 0n, 1n, 2n)).toEqual([256, 17, 0]);
    expect(widths(70_000n, 2, 0n, 1n)).toEqual([1, 0]);
    expect(widths(70_000n, 3, 0n)).toEqual([0]);
    expect([...widths(256n, 0, 0n, 1n), ...widths(256n, 1, 0n)]).toEqual([256, 0, 1]);
    expect([...widths(255n, 0, 0n), ...widths(255n, 1, 0n), ...widths(0n, 0, 0n)]).toEqual([255, 0, 0]);
  });

  it('ATTACK huge indexes: the largest tree, and beyond', () => {
    const most = 2n ** 63n - 1n;
    expect([tileWidthAt(7, 0n, most), tileWidthAt(7, 1n, most), tileWidthAt(8, 0n, most), tileWidthAt(63, 0n, most)]).toEqual([
      127, 0, 0, 0,
    ]);
    expect([tileWidthAt(0, 2n ** 55n - 1n, most), tileWidthAt(0, 2n ** 55n, most), tileWidthAt(0, most, most)]).toEqual([255, 0, 0]);
    for (const [level, index, size] of [
      [0, -1n, 5n],
      [0, 0n, -5n],
      [0, 0n, most + 1n],
      [0, 2n ** 64n, 5n],
      [-1, 0n, 5n],
      [64, 0n, 5n],
      [0.5, 0n, 5n],
    ] as const)
      expect(() => tileWidthAt(level, index, size)).toThrow(RangeError);
  });
});

describe('nodes in tiles', () => {
  const tree = MemoryTree.of(testEntries(300));
  const tile = (level: number, index: bigint, width: number): Buffer =>
    Buffer.concat(Array.from({ length: width }, (_none, at) => tree.node({ level: level * 8, index: index * 256n + BigInt(at) })));

  it('stand in the tile that has their leaves', () => {
    expect(nodePlace({ level: 0, index: 300n })).toEqual({ level: 0, index: 1n, height: 0, offset: 44 });
    expect(nodePlace({ level: 7, index: 3n })).toEqual({ level: 0, index: 1n, height: 7, offset: 1 });
    expect(nodePlace({ level: 8, index: 255n })).toEqual({ level: 1, index: 0n, height: 0, offset: 255 });
    expect(nodePlace({ level: 19, index: 2n ** 44n - 1n })).toEqual({ level: 2, index: 2n ** 39n - 1n, height: 3, offset: 31 });
    for (const node of [
      { level: -1, index: 0n },
      { level: 64, index: 0n },
      { level: 0.5, index: 0n },
      { level: 0, index: -1n },
      { level: 0, index: 2n ** 63n },
    ])
      expect(() => nodePlace(node)).toThrow(RangeError);
  });

  it('are folded from its hashes, up to the hash of the whole tile', () => {
    for (let height = 0; height <= 8; height += 1)
      for (let offset = 0; offset < TILE_WIDTH >> height; offset += 1)
        expect(nodeInTile(tile(0, 0n, 256), height, offset)).toEqual(tree.node({ level: height, index: BigInt(offset) }));
    expect(nodeInTile(tile(1, 0n, 1), 0, 0)).toEqual(tree.node({ level: 8, index: 0n }));
    expect(nodeInTile(tile(0, 1n, 44), 2, 10)).toEqual(tree.node({ level: 2, index: 74n }));
  });

  it('are not to be had from a tile that is too narrow, or is none', () => {
    const partial = tile(0, 1n, 43);
    expect(nodeInTile(partial, 0, 42)).toHaveLength(32);
    expect(nodeInTile(partial, 1, 20)).toHaveLength(32);
    for (const [height, offset] of [
      [0, 43],
      [1, 21],
      [6, 0],
      [8, 0],
      [9, 0],
      [-1, 0],
      [0, -1],
      [0, 0.5],
      [0.5, 0],
      [NaN, 0],
      [0, NaN],
      [0, Infinity],
    ] as const)
      expect(() => nodeInTile(partial, height, offset)).toThrow(RangeError);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(33), Buffer.alloc(257 * 32)])
      expect(() => nodeInTile(bytes, 0, 0)).toThrow(RangeError);
  });

  it('are copies: a tile that is kept does not change with them', () => {
    const hashes = tile(0, 0n, 1);
    nodeInTile(hashes, 0, 0).fill(0);
    expect(hashes).toEqual(tile(0, 0n, 1));
  });
});

describe('entry bundles', () => {
  it('put the length before each entry, big-endian', () => {
    const long = Buffer.alloc(0x0102, 7);
    const bundle = encodeEntryBundle([Buffer.from('ab', 'hex'), Buffer.alloc(0), long]);
    expect(bundle).toEqual(Buffer.concat([Buffer.from('0001ab00000102', 'hex'), long]));
    expect(decodeEntryBundle(bundle)).toEqual([Buffer.from('ab', 'hex'), Buffer.alloc(0), long]);
  });

  it('read back what was written, and hash to the tile of level 0', () => {
    const any = fc.array(
      fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes)),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(fc.property(any, (entries) => expect(decodeEntryBundle(encodeEntryBundle(entries))).toEqual(entries)));
    const entries = testEntries(4);
    const [a, b, c, d] = decodeEntryBundle(encodeEntryBundle(entries)).map(leafHash) as [Buffer, Buffer, Buffer, Buffer];
    expect(MemoryTree.of(entries).root(4n)).toEqual(nodeHash(nodeHash(a, b), nodeHash(c, d)));
  });

  it('every cut of a bundle between its entries is another bundle, every other cut is refused', () => {
    const bundle = encodeEntryBundle([Buffer.alloc(3), Buffer.alloc(2)]);
    const cuts = Array.from({ length: bundle.length + 1 }, (_none, length) => refusal(() => decodeEntryBundle(bundle.subarray(0, length))));
    expect(cuts.map((field) => field === 'accepted')).toEqual([5, 9].reduce((ok, at) => ok.with(at, true), Array<boolean>(10).fill(false)));
    expect(new Set(cuts)).toEqual(new Set(['entries', 'accepted']));
  });

  it('hold 1 to 256 entries of up to 65,535 bytes', () => {
    const full = encodeEntryBundle(Array.from({ length: 256 }, () => Buffer.alloc(0)));
    expect(decodeEntryBundle(full)).toHaveLength(256);
    expect(refusal(() => decodeEntryBundle(Buffer.concat([full, Buffer.alloc(2)])))).toBe('entries');
    expect(refusal(() => decodeEntryBundle(Buffer.alloc(50_000_000)))).toBe('entries');
    expect(decodeEntryBundle(encodeEntryBundle([Buffer.alloc(0xffff)]))).toEqual([Buffer.alloc(0xffff)]);
    for (const entries of [[], Array.from({ length: 257 }, () => Buffer.alloc(1)), [Buffer.alloc(0x1_0000)]])
      expect(() => encodeEntryBundle(entries)).toThrow(RangeError);
  });
});
