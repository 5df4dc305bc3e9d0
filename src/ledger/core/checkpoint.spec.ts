import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fieldOf } from '../../../test/reference/note-kit';
import { sha256 } from './bytes';
import { checkpointText, formatDecimal, parseCheckpointText, parseDecimal, parseProofLines, proofLines } from './checkpoint';
import { MAX_TREE_SIZE } from './tree';
import { parseNote } from './note';
import { isNoteText } from './vkey';

/** Vectors of golang.org/x/mod (BSD-3-Clause) and of C2SP, when they lie beside the repository. */
const VECTORS = join(__dirname, '../../../../shared/vectors/signed-note/notes.json');

const root = sha256('root');
const b64root = root.toString('base64');
/** The example of C2SP tlog-checkpoint. */
const example = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

describe('checkpoints', () => {
  it('reads and prints the example of the specification', () => {
    const read = parseCheckpointText(example);
    expect(read).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20852163n, extensions: [] });
    expect(checkpointText(read)).toBe(example);
  });

  it('reads extension lines', () => {
    expect(parseCheckpointText(`${example}more\n— x AAAA\n`).extensions).toEqual(['more', '— x AAAA']);
    expect(fieldOf(() => parseCheckpointText(`${example}more\n\nstill more\n`))).toBe('checkpoint.extension');
    expect(fieldOf(() => parseCheckpointText(`${example}\n`))).toBe('checkpoint.extension');
  });

  it.each([
    ['nothing', '', 'checkpoint'],
    ['two lines', 'a\n1\n', 'checkpoint'],
    ['no final newline', `a\n1\n${b64root}`, 'checkpoint'],
    ['a carriage return', `a\r\n1\n${b64root}\n`, 'checkpoint'],
    ['a lone surrogate', `\ud800\n1\n${b64root}\n`, 'checkpoint'],
    ['a long text', `${'a'.repeat(20_000)}\n1\n${b64root}\n`, 'checkpoint'],
    ['no origin', `\n1\n${b64root}\n`, 'checkpoint.origin'],
    ['no size', `a\n\n${b64root}\n`, 'checkpoint.size'],
    ['a leading zero', `a\n01\n${b64root}\n`, 'checkpoint.size'],
    ['two zeros', `a\n00\n${b64root}\n`, 'checkpoint.size'],
    ['a sign', `a\n+1\n${b64root}\n`, 'checkpoint.size'],
    ['a negative size', `a\n-1\n${b64root}\n`, 'checkpoint.size'],
    ['a fraction', `a\n1.0\n${b64root}\n`, 'checkpoint.size'],
    ['hexadecimal', `a\n0x1\n${b64root}\n`, 'checkpoint.size'],
    ['a space', `a\n1 \n${b64root}\n`, 'checkpoint.size'],
    ['other digits', `a\n١\n${b64root}\n`, 'checkpoint.size'],
    ['2^63', `a\n9223372036854775808\n${b64root}\n`, 'checkpoint.size'],
    ['a very long size', `a\n${'9'.repeat(10_000)}\n${b64root}\n`, 'checkpoint.size'],
    ['no root', 'a\n1\n\n', 'checkpoint.root'],
    ['a root of 31 bytes', `a\n1\n${root.subarray(1).toString('base64')}\n`, 'checkpoint.root'],
    ['a root in base64url', `a\n1\n${Buffer.alloc(32, 255).toString('base64url')}=\n`, 'checkpoint.root'],
    ['a root without padding', `a\n1\n${b64root.slice(0, -1)}\n`, 'checkpoint.root'],
    ['a root with spare bits', `a\n1\n${'A'.repeat(42)}B=\n`, 'checkpoint.root'],
  ])('refuses %s', (_, text, field) => expect(fieldOf(() => parseCheckpointText(text))).toBe(field));

  it('prints no checkpoint that it would not read', () => {
    const good = { origin: 'a', size: 1n, root };
    expect(fieldOf(() => checkpointText({ ...good, origin: '' }))).toBe('checkpoint.origin');
    expect(fieldOf(() => checkpointText({ ...good, origin: `a\n1\n${b64root}` }))).toBe('checkpoint.origin');
    expect(fieldOf(() => checkpointText({ ...good, origin: 'a\tb' }))).toBe('checkpoint');
    for (const size of [-1n, MAX_TREE_SIZE + 1n]) expect(fieldOf(() => checkpointText({ ...good, size }))).toBe('checkpoint.size');
    expect(fieldOf(() => checkpointText({ ...good, root: Buffer.alloc(31) }))).toBe('checkpoint.root');
    expect(parseCheckpointText(checkpointText({ ...good, size: MAX_TREE_SIZE })).size).toBe(2n ** 63n - 1n);
    expect(parseCheckpointText(checkpointText({ ...good, size: 0n })).size).toBe(0n);
  });

  it('what is printed reads back', () => {
    const origins = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }).filter((any) => isNoteText(any) && !any.includes('\n'));
    const roots = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(origins, fc.bigInt(0n, MAX_TREE_SIZE), roots, (origin, size, hash) => {
        expect(parseCheckpointText(checkpointText({ origin, size, root: hash }))).toEqual({ origin, size, root: hash, extensions: [] });
      }),
    );
  });

  it('what is read prints back: any other character in the three lines makes another checkpoint or none', () => {
    fc.assert(
      fc.property(fc.nat(example.length - 1), fc.nat(127), (at, code) => {
        const changed = example.slice(0, at) + String.fromCharCode(code) + example.slice(at + 1);
        if (fieldOf(() => parseCheckpointText(changed)) !== 'accepted') return;
        const read = parseCheckpointText(changed);
        expect(checkpointText(read) + read.extensions.map((extension) => `${extension}\n`).join('')).toBe(changed);
      }),
      { numRuns: 1000 },
    );
  });

  it('decimals and proofs have bounds', () => {
    expect(parseDecimal('9223372036854775807', 'x')).toBe(MAX_TREE_SIZE);
    expect(formatDecimal(MAX_TREE_SIZE, 'x')).toBe('9223372036854775807');
    for (const value of [-1n, 2n ** 63n]) expect(fieldOf(() => formatDecimal(value, 'x'))).toBe('x');
    const proof = Array.from({ length: 63 }, (_, n) => sha256(String(n)));
    expect(parseProofLines(proofLines(proof, 'p').trimEnd().split('\n'), 'p')).toEqual(proof);
    expect(proofLines([], 'p')).toBe('');
    expect(fieldOf(() => proofLines([...proof, root], 'p'))).toBe('p');
    expect(fieldOf(() => proofLines([Buffer.alloc(31)], 'p'))).toBe('p');
    expect(fieldOf(() => parseProofLines([''], 'p'))).toBe('p');
  });

  if (!existsSync(VECTORS)) it.skip('vectors of signed-note (skipped: notes.json is not here)', () => undefined);
  else {
    const { checkpointFormat, formatOnly } = JSON.parse(readFileSync(VECTORS, 'utf8')) as {
      readonly checkpointFormat: {
        readonly parse: readonly { readonly text: string; readonly size: string }[];
        readonly bad: readonly string[];
      };
      readonly formatOnly: { readonly cosignedCheckpointExample: string };
    };
    it('vectors: what parses, what does not, and the cosigned example', () => {
      expect(checkpointFormat.parse.length + checkpointFormat.bad.length).toBeGreaterThanOrEqual(3);
      for (const { text, size } of checkpointFormat.parse) {
        const read = parseCheckpointText(text);
        expect(read).toMatchObject({ size: BigInt(size), root: sha256('\0hello world') });
        expect(checkpointText(read)).toBe(text);
      }
      for (const text of checkpointFormat.bad) expect(fieldOf(() => parseCheckpointText(text))).toMatch(/^checkpoint\.(size|root)$/);
      expect(parseCheckpointText(parseNote(formatOnly.cosignedCheckpointExample).text).size).toBe(20852163n);
    });
  }
});
