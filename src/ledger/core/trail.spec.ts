import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, sha256 } from './bytes';
import { encodeEntry, EntryKind } from './entry';
import {
  encodeTrailRow,
  parseTrailBody,
  parseTrailRow,
  TRAIL_COLUMNS,
  trailBody,
  trailHash,
  trailLeaf,
  trailPath,
  trailRoot,
} from './trail';
import { EMPTY_ROOT, leafHash, nodeHash, verifyInclusion } from './tree';

const ID = '01999999-0000-7000-8000-00000000000';
/** Written by hand from the format. */
const ROW_TEXT = `["bjwt.access-log-row/1","${ID}1",1760000000000,"record.read","ok","${ID}a","DOCTOR","${ID}b","${ID}b","${ID}c","${ID}d","TREAT",null,null,"own-hospital",null,1,null,7,"req \\"1\\" é"]`;
const ROW = {
  id: `${ID}1`,
  at: 1_760_000_000_000,
  action: 'record.read',
  outcome: 'ok',
  actorId: `${ID}a`,
  actorRole: 'DOCTOR',
  actorHospitalId: `${ID}b`,
  hospitalId: `${ID}b`,
  patientId: `${ID}c`,
  subjectId: `${ID}d`,
  purpose: 'TREAT',
  kind: null,
  reason: null,
  rules: 'own-hospital',
  contractVersion: null,
  count: 1,
  setDigest: null,
  headHeight: 7,
  requestId: 'req "1" é',
};
const root = sha256('root');
const FIRST = { number: 1, from: null, until: `${ID}1`, count: 3, root, previous: null };
const SECOND = { number: 2, from: `${ID}1`, until: `${ID}5`, count: 1, root, previous: trailHash(trailBody(FIRST)) };

const fault = (work: () => unknown): string => {
  try {
    work();
    return 'accepted';
  } catch (error) {
    if (error instanceof FormatError) return error.field;
    throw error;
  }
};

describe('a row of the trail', () => {
  it('is hashed as the array of its columns', () => {
    expect(encodeTrailRow(ROW).toString('utf8')).toBe(ROW_TEXT);
    expect(trailLeaf({ ...ROW, more: 'not looked at' })).toEqual(leafHash(Buffer.from(ROW_TEXT, 'utf8')));
    expect(parseTrailRow(ROW_TEXT)).toEqual(ROW);
  });

  it('every changed column gives another leaf', () => {
    const leaves = TRAIL_COLUMNS.map((column) => {
      const value = ROW[column];
      const other = column === 'id' ? `${ID}2` : typeof value === 'number' ? value + 1 : typeof value === 'string' ? `${value}x` : null;
      const changed = other ?? (column === 'contractVersion' ? 0 : '');
      return trailLeaf({ ...ROW, [column]: changed }).toString('hex');
    });
    expect(new Set([...leaves, trailLeaf(ROW).toString('hex')]).size).toBe(TRAIL_COLUMNS.length + 1);
  });

  it.each([
    ['id', 'x'],
    ['id', `${ID}A`],
    ['at', '1760000000000'],
    ['at', null],
    ['at', 1.5],
    ['at', 2 ** 53],
    ['action', Buffer.from('record.read')],
    ['action', null],
    ['actorId', 7],
    ['count', '1'],
    ['requestId', undefined],
  ])('with %s = %p is no row of ours', (column, value) =>
    expect(fault(() => encodeTrailRow({ ...ROW, [column]: value }))).toBe('trail.row'),
  );

  it.each([
    ['white space', ROW_TEXT.replace(',', ', ')],
    ['a column more', ROW_TEXT.replace(']', ',null]')],
    ['another schema', ROW_TEXT.replace('row/1', 'row/2')],
    ['a second spelling', ROW_TEXT.replace('é', '\\u00e9')],
    ['an exponent', ROW_TEXT.replace('1760000000000', '1.76e12')],
    ['no JSON', ROW_TEXT.slice(1)],
    ['no array', '{}'],
  ])('is read in one form only: %s', (_what, text) => expect(fault(() => parseTrailRow(text))).toBe('trail.row'));
});

describe('the body of a batch', () => {
  it('is JSON with its members in order', () => {
    const hash = root.toString('base64');
    expect(trailBody(FIRST)).toBe(
      `{"schema":"bjwt.access-log/1","number":1,"from":null,"until":"${ID}1","count":3,"root":"${hash}","previous":null}`,
    );
    expect(parseTrailBody(trailBody(FIRST))).toEqual(FIRST);
    expect(parseTrailBody(trailBody(SECOND))).toEqual(SECOND);
    expect(trailHash('abc').toString('hex')).toMatch(/^ba7816bf/); // FIPS 180-4
  });

  const text = trailBody(SECOND);
  it.each([
    ['white space', `${text} `],
    ['another member', text.replace('}', ',"x":1}')],
    ['a member twice', text.replace('"count":1', '"count":2,"count":1')],
    ['number 0', text.replace('"number":2', '"number":0')],
    ['no rows', text.replace('"count":1', '"count":0')],
    ['until before from', text.replace(`${ID}5`, `${ID}0`)],
    ['a first batch with one before it', text.replace('"number":2', '"number":1')],
    ['a second without', trailBody({ ...SECOND, previous: null })],
    ['a short root', trailBody({ ...SECOND, root: root.subarray(1) })],
    ['another schema', text.replace('log/1', 'log/2')],
    ['a list', '[]'],
    ['null', 'null'],
    ['no JSON', ''],
  ])('is read in one form only: %s', (_what, body) => expect(fault(() => parseTrailBody(body))).toBe('trail.body'));
});

describe('the tree of a batch', () => {
  const leaves = Array.from({ length: 21 }, (_none, index) => sha256(String(index)));
  const [a, b, c] = leaves.map((leaf) => leaf);

  it('is that of RFC 6962', () => {
    if (!a || !b || !c) throw new Error('three leaves');
    expect(trailRoot([])).toEqual(EMPTY_ROOT);
    expect(trailRoot([a])).toEqual(a);
    expect(trailRoot([a, b, c])).toEqual(nodeHash(nodeHash(a, b), c));
    expect(trailPath([a, b, c], 1)).toEqual([a, c]);
    expect(() => trailPath([a], 1)).toThrow(RangeError);
  });

  it('each leaf of each size is proven, and only at its place', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 21 }), fc.nat(20), fc.nat(20), (size, first, second) => {
        const [index, other] = [first % size, second % size];
        const part = leaves.slice(0, size);
        const proven = verifyInclusion(BigInt(other), BigInt(size), leaves[index] ?? root, trailPath(part, index), trailRoot(part));
        expect(proven).toBe(index === other);
      }),
    );
  });
});

it('the example of docs/ledger-format.md is what this code makes', () => {
  const [, text = ''] = readFileSync(join(__dirname, '../../../docs/ledger-format.md'), 'utf8').split(
    'Example, the first batch of two rows:',
  );
  const lines = [...text.matchAll(/^(row 0|row 1|leaf|root|body|hash|entry) +(\S.*)$/gm)].map(([, name, value]) => [name, value]);
  const [first = '', second = ''] = lines.filter(([name]) => name?.startsWith('row')).map(([, value]) => value ?? '');
  const leaves = [first, second].map((row) => trailLeaf(parseTrailRow(row)));
  const rootOfTwo = trailRoot(leaves);
  const body = trailBody({ number: 1, from: null, until: parseTrailRow(second).id, count: 2, root: rootOfTwo, previous: null });
  const entry = encodeEntry({ kind: EntryKind['access-log'], hash: trailHash(body) });
  const [leaf0, leaf1, leaf] = [...leaves, leafHash(entry)].map((hash) => hash.toString('hex'));
  expect(lines).toEqual([
    ['row 0', first],
    ['leaf', leaf0],
    ['row 1', second],
    ['leaf', leaf1],
    ['root', rootOfTwo.toString('hex')],
    ['body', body],
    ['hash', trailHash(body).toString('hex')],
    ['entry', entry.toString('hex')],
    ['leaf', leaf],
  ]);
});
