import fc from 'fast-check';
import { isUtf8 } from 'node:buffer';
import { testAuthor } from '../../../test/reference/chain-maker';
import { fieldOf } from '../../../test/reference/note-kit';
import { checkpointText } from './checkpoint';
import { MAX_TREE_SIZE } from './tree';
import { formatNote, signNote } from './note';
import { parsePolicy, verifyCheckpoint } from './policy';
import { Receipt, formatReceipt, parseReceipt } from './receipt';
import { leafHash, nodeHash, verifyInclusion } from './tree';
import { formatVkey, noteKey } from './vkey';

const author = testAuthor('log');
const log = { key: noteKey('example.com/log', 1, Buffer.from(author.jwk.x, 'base64url')), privateKey: author.privateKey };
const policy = parsePolicy(`log ${formatVkey(log.key)}\nquorum none\n`);
const leaves = ['a', 'b', 'c'].map((entry) => leafHash(Buffer.from(entry)));
const [a, b, c] = leaves as [Buffer, Buffer, Buffer];
const text = checkpointText({ origin: 'example.com/log', size: 3n, root: nodeHash(nodeHash(a, b), c) });
const checkpoint = formatNote({ text, signatures: [signNote(text, log)] });
const receipt: Receipt = { extra: Buffer.from('header'), index: 1n, proof: [a, c], checkpoint };
const printed = formatReceipt(receipt);
const body = (head: string): string => `c2sp.org/tlog-proof@v1\n${head}\n${checkpoint}`;

/** What a holder of the policy can conclude about entry `b`. */
const proves = (read: Receipt): boolean => {
  const verdict = verifyCheckpoint(read.checkpoint, policy);
  return !('invalid' in verdict) && verifyInclusion(read.index, verdict.checkpoint.size, b, read.proof, verdict.checkpoint.root);
};

describe('receipts', () => {
  it('has the form of the specification', () => {
    expect(printed).toBe(
      `c2sp.org/tlog-proof@v1\nextra aGVhZGVy\nindex 1\n${a.toString('base64')}\n${c.toString('base64')}\n\n${checkpoint}`,
    );
    expect(parseReceipt(printed)).toEqual(receipt);
    expect(proves(parseReceipt(printed))).toBe(true);
  });

  it('leaves out what is not there', () => {
    const bare: Receipt = { index: 0n, proof: [], checkpoint };
    expect(formatReceipt(bare)).toBe(`c2sp.org/tlog-proof@v1\nindex 0\n\n${checkpoint}`);
    expect(parseReceipt(formatReceipt(bare))).toEqual(bare);
    expect(parseReceipt(formatReceipt(bare))).not.toHaveProperty('extra');
  });

  const hash = `${a.toString('base64')}\n`;
  it.each([
    ['nothing', '', 'receipt'],
    ['no first line', printed.slice(23), 'receipt'],
    ['another version', printed.replace('@v1', '@v2'), 'receipt'],
    ['carriage returns', printed.replaceAll('\n', '\r\n'), 'receipt'],
    ['no empty line', `c2sp.org/tlog-proof@v1\nindex 0\n${text}`, 'receipt'],
    ['only a first line', `c2sp.org/tlog-proof@v1\n\n${checkpoint}`, 'receipt.index'],
    ['no index', body(hash), 'receipt.index'],
    ['an index in capitals', body('Index 0\n'), 'receipt.index'],
    ['a leading zero', body('index 01\n'), 'receipt.index'],
    ['a negative index', body('index -1\n'), 'receipt.index'],
    ['two spaces', body('index  1\n'), 'receipt.index'],
    ['an index of 2^63', body('index 9223372036854775808\n'), 'receipt.index'],
    ['extra data behind the index', body('index 1\nextra AAAA\n'), 'receipt.proof'],
    ['extra data twice', body('extra AAAA\nextra AAAA\nindex 1\n'), 'receipt.index'],
    ['empty extra data', body('extra \nindex 1\n'), 'receipt.extra'],
    ['extra data that is no base64', body('extra AAA\nindex 1\n'), 'receipt.extra'],
    ['extra data with spare bits', body('extra AB==\nindex 1\n'), 'receipt.extra'],
    ['a short hash', body('index 1\nAAAA\n'), 'receipt.proof'],
    ['64 hashes', body(`index 1\n${hash.repeat(64)}`), 'receipt.proof'],
    ['no checkpoint', 'c2sp.org/tlog-proof@v1\nindex 0\n\n', 'note'],
    ['an empty line too many', body('index 1\n\n'), 'checkpoint.origin'],
    ['a checkpoint without signatures', `c2sp.org/tlog-proof@v1\nindex 0\n\n${text}`, 'note'],
    ['a note that is no checkpoint', `c2sp.org/tlog-proof@v1\nindex 0\n\nnote\n\n${checkpoint.split('\n\n')[1]}`, 'checkpoint'],
    ['a line behind', `${printed}\n`, 'note.signature'],
    ['a huge text without an empty line', 'a'.repeat(10_000_000), 'receipt'],
    ['a huge extra', body(`extra ${'A'.repeat(60_000)}\nindex 1\n`), 'receipt'],
  ])('refuses %s', (_, any, field) => expect(fieldOf(() => parseReceipt(any))).toBe(field));

  it('prints no receipt that it would not read', () => {
    expect(fieldOf(() => formatReceipt({ ...receipt, extra: Buffer.alloc(0) }))).toBe('receipt.extra');
    expect(fieldOf(() => formatReceipt({ ...receipt, extra: Buffer.alloc(40_000) }))).toBe('receipt.extra');
    for (const index of [-1n, MAX_TREE_SIZE + 1n]) expect(fieldOf(() => formatReceipt({ ...receipt, index }))).toBe('receipt.index');
    expect(fieldOf(() => formatReceipt({ ...receipt, proof: [Buffer.alloc(31)] }))).toBe('receipt.proof');
    expect(fieldOf(() => formatReceipt({ ...receipt, proof: Array.from({ length: 64 }, () => a) }))).toBe('receipt.proof');
    expect(fieldOf(() => formatReceipt({ ...receipt, checkpoint: text }))).toBe('note');
  });

  it('what is printed reads back, up to the largest', () => {
    const bytes = (min: number, max: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength: min, maxLength: max }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(bytes(1, 600), fc.bigInt(0n, MAX_TREE_SIZE), fc.array(bytes(32, 32), { maxLength: 63 }), (extra, index, proof) => {
        expect(parseReceipt(formatReceipt({ extra, index, proof, checkpoint }))).toEqual({ extra, index, proof, checkpoint });
      }),
    );
    const largest = { extra: Buffer.alloc(32_768), index: MAX_TREE_SIZE, proof: Array.from({ length: 63 }, () => a), checkpoint };
    expect(parseReceipt(formatReceipt(largest))).toEqual(largest);
  });

  it('ATTACK change one byte of a receipt: refused, another value, and never a proof of something else', () => {
    const bytes = Buffer.from(printed);
    // The extra data is covered by no signature: the only place where a change leaves the proof alone.
    const extraLine = { from: printed.indexOf('extra '), to: printed.indexOf('\nindex') };
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        if (!isUtf8(changed) || fieldOf(() => parseReceipt(changed.toString('utf8'))) !== 'accepted') return;
        const read = parseReceipt(changed.toString('utf8'));
        expect(formatReceipt(read)).toBe(changed.toString('utf8'));
        expect(read).not.toEqual(receipt);
        expect(proves(read)).toBe(at >= extraLine.from && at < extraLine.to);
      }),
      { numRuns: 2000 },
    );
  });
});
