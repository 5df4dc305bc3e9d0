import { createHmac, createSecretKey, hkdfSync } from 'node:crypto';
import { addToSum, type Cell, isSameTag, type RowSums, RowTagger } from './row-tag';

const ledgerKey = createSecretKey(Buffer.alloc(32, 7));
const tagger = new RowTagger({ ledgerKey });
const hex = (cells: readonly Cell[], table = 't') => tagger.tag(table, cells).toString('hex');
const lp = (...parts: string[]) =>
  Buffer.concat(
    parts.map((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(part));
      return Buffer.concat([length, Buffer.from(part)]);
    }),
  );

test('a tag is the HMAC that the description says, computed by other means', () => {
  const key = Buffer.from(hkdfSync('sha256', ledgerKey, '', lp('ehr/row-tag/v1'), 32));
  const expected = createHmac('sha256', key)
    .update(lp('ehr/row/v1', 'account', 'a', 'sx', 'b', 'n5'))
    .digest('hex');
  expect(
    hex(
      [
        ['b', 5],
        ['c', null],
        ['a', 'x'],
      ],
      'account',
    ),
  ).toBe(expected);
});

test('SEC-79 tables, columns, values, types and their borders are told apart; the order of the columns is not', () => {
  const rows: (readonly Cell[])[] = [
    [['a', 'x'], ['b', 'y']], // prettier-ignore
    [['a', 'xb'], ['', 'y']], // prettier-ignore
    [['a', 'y'], ['b', 'x']], // prettier-ignore
    [['a', 'x']],
    [['b', 'y']],
    [],
    [['a', '']],
    [['a', '5']],
    [['a', 5]],
    [['a', 5.5]],
    [['a', -5]],
    [['a', Buffer.from('5')]],
    [['a', Buffer.alloc(0)]],
  ];
  const tags = [...rows.map((cells) => hex(cells)), hex([], 'u')];
  expect(new Set(tags).size).toBe(tags.length);
  expect(hex([['b', 'y'], ['a', 'x']])).toBe(tags[0]); // prettier-ignore
  expect(hex([['a', 5n]])).toBe(hex([['a', 5]]));
  expect(hex([['a', true]])).toBe(hex([['a', 1]]));
});

test('a column that is null adds nothing, so one that comes later leaves old tags valid', () => {
  expect(hex([['a', 'x'], ['later', null]])).toBe(hex([['a', 'x']])); // prettier-ignore
});

test('another key gives another tag; only the very tag is taken', () => {
  const other = new RowTagger({ ledgerKey: createSecretKey(Buffer.alloc(32, 8)) });
  const tag = tagger.tag('t', [['a', 1]]);
  expect(other.tag('t', [['a', 1]]).equals(tag)).toBe(false);
  for (const wrong of [null, undefined, '', 'x', tag.subarray(1), Buffer.concat([tag, tag]), Buffer.alloc(32), tag.toString('latin1')])
    expect(isSameTag(wrong, tag)).toBe(false);
  expect(isSameTag(Buffer.from(tag), tag)).toBe(true);
});

test('sums: what is taken out leaves what was there; the envelope keeps them and shows nothing twice', () => {
  const tags = Array.from({ length: 50 }, (_none, index) => tagger.tag('t', [['a', index]]));
  const sums: RowSums = new Map();
  for (const tag of tags) addToSum(sums, 't', tagger.summand(tag));
  for (const tag of tags.slice(1)) addToSum(sums, 't', -tagger.summand(tag));
  expect(sums.get('t')).toBe(tagger.summand(tags[0] ?? Buffer.alloc(0)));
  addToSum(sums, 'u', -1n);
  expect(sums.get('u')).toBe(2n ** 256n - 1n);
  const sealed = tagger.sealSums(sums);
  expect(tagger.openSums(sealed)).toEqual(sums);
  expect(tagger.sealSums(sums).equals(sealed)).toBe(false);
  for (let at = 0; at < sealed.length; at += 1) {
    const bad = Buffer.from(sealed);
    bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
    expect(() => tagger.openSums(bad)).toThrow('The sums over the stored rows were altered.');
  }
  expect(() => tagger.openSums(Buffer.alloc(0))).toThrow('altered');
});
