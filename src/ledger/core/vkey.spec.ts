import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testAuthor } from '../../../test/reference/chain-maker';
import { fieldOf } from '../../../test/reference/note-kit';
import { sha256 } from './bytes';
import { NoteKey, b64, b64Decode, formatVkey, isKeyName, noteKey, parseVkey, signatureOfKey } from './vkey';

/** Vectors of golang.org/x/mod (BSD-3-Clause) and of C2SP, when they lie beside the repository. */
const VECTORS = join(__dirname, '../../../../shared/vectors/signed-note/notes.json');
interface Vectors {
  readonly verifierKeys: Record<string, string>;
  readonly badVerifierKeys: readonly string[];
}

const publicKey = (seed: string): Buffer => Buffer.from(testAuthor(seed).jwk.x, 'base64url');
const key = noteKey('example.com/log', 1, publicKey('log'));
const vkey = formatVkey(key);
/** A text of a verifier key whose id is right, whatever the other parts are. */
const madeVkey = (name: string, material: Buffer): string =>
  `${name}+${sha256(Buffer.concat([Buffer.from(`${name}\n`), material])).toString('hex', 0, 4)}+${b64(material)}`;

describe('verifier keys', () => {
  it('reads the example of C2SP signed-note', () => {
    const text = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
    const read = parseVkey(text);
    expect(read).toMatchObject({ name: 'example.com/foo', id: 0x530d903a, type: 1 });
    expect(formatVkey(read)).toBe(text);
  });

  it('computes the id from the name, the type and the key', () => {
    const expected = (type: number): number =>
      sha256(Buffer.concat([Buffer.from('ü/1\n'), Buffer.of(type), publicKey('w')])).readUInt32BE(0);
    expect(noteKey('ü/1', 1, publicKey('w')).id).toBe(expected(1));
    expect(noteKey('ü/1', 4, publicKey('w')).id).toBe(expected(4));
    expect(expected(1)).not.toBe(expected(4));
  });

  it('keeps its own copy of the bytes', () => {
    const bytes = publicKey('log');
    const made = noteKey('a', 1, bytes);
    bytes.fill(0);
    expect(made.publicKey).toEqual(publicKey('log'));
  });

  it.each([
    ['nothing', '', 'vkey'],
    ['an upper-case id', vkey.replace(/\+[0-9a-f]{8}\+/, (id) => id.toUpperCase()), 'vkey'],
    ['a wrong id', vkey.replace(/\+[0-9a-f]{8}\+/, '+00000000+'), 'vkey.id'],
    ['an id of seven digits', vkey.replace(/\+[0-9a-f]/, '+'), 'vkey'],
    ['an empty name', madeVkey('', Buffer.concat([Buffer.of(1), publicKey('log')])), 'vkey.name'],
    ['a space in the name', madeVkey('a b', Buffer.concat([Buffer.of(1), publicKey('log')])), 'vkey.name'],
    ['another type', madeVkey('a', Buffer.concat([Buffer.of(2), publicKey('log')])), 'vkey.type'],
    ['the type of ML-DSA', madeVkey('a', Buffer.concat([Buffer.of(6), Buffer.alloc(100)])), 'vkey.type'],
    ['31 bytes', madeVkey('a', Buffer.concat([Buffer.of(1), publicKey('log').subarray(1)])), 'vkey.publicKey'],
    ['33 bytes', madeVkey('a', Buffer.concat([Buffer.of(1), publicKey('log'), Buffer.of(0)])), 'vkey.publicKey'],
    ['base64url', `a+00000000+${'_'.repeat(44)}`, 'vkey'],
    ['spare bits', vkey.replace(/.$/, (last) => `${last}B==`), 'vkey.publicKey'],
    ['a space behind', `${vkey} `, 'vkey'],
    ['a newline behind', `${vkey}\n`, 'vkey'],
    ['a long text', vkey.padStart(10_000, 'a'), 'vkey'],
    ['a private key', `PRIVATE+KEY+${vkey}`, 'vkey'],
  ])('refuses %s', (_, text, field) => expect(fieldOf(() => parseVkey(text))).toBe(field));

  it('takes a name of 255 bytes and none longer', () => {
    const made = noteKey('ü'.repeat(127) + 'u', 4, publicKey('w'));
    expect(parseVkey(formatVkey(made))).toEqual(made);
    const plain = noteKey('u'.repeat(255), 4, publicKey('w'));
    expect(parseVkey(formatVkey(plain))).toEqual(plain);
    expect(fieldOf(() => noteKey('ü'.repeat(128), 4, publicKey('w')))).toBe('vkey.name');
  });

  it.each(['a b', 'a+b', '', 'a\u00a0b', 'a\u2003b', 'a\u3000b', 'a\u0085b', 'a\nb', 'a\tb', 'a\u0001b', 'a\u001fb', 'a\ud800b', '\udc00'])(
    '%j is no key name',
    (name) => expect(isKeyName(name)).toBe(false),
  );
  it.each(['a', 'example.com/a?b', 'ü', '日本', '🔑', 'a\u007fb', '—'])('%j is a key name', (name) => expect(isKeyName(name)).toBe(true));

  it.each([
    ['the identity', `01${'00'.repeat(31)}`],
    ['the point of order 2', `ec${'ff'.repeat(30)}7f`],
    ['a point of order 4', '00'.repeat(32)],
    ['a point of order 8', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
    ['the identity with y above p', `ee${'ff'.repeat(30)}7f`],
    ['no point of the curve', `02${'00'.repeat(31)}`],
  ])('ATTACK weak Ed25519 key: %s signs nothing', (_, hex) => {
    const weak = Buffer.from(hex, 'hex');
    expect(fieldOf(() => noteKey('a', 1, weak))).toBe('vkey.publicKey');
    for (const type of [1, 4])
      expect(fieldOf(() => parseVkey(madeVkey('a', Buffer.concat([Buffer.of(type), weak]))))).toBe('vkey.publicKey');
    const forged: NoteKey = { name: 'a', id: 0, type: 1, publicKey: weak };
    expect(fieldOf(() => signatureOfKey(forged, Buffer.from('any'), Buffer.concat([weak, Buffer.alloc(32)])))).toMatch(/^jwk\.x$/);
  });

  it('what is printed reads back; any other character makes it another key or none', () => {
    const seeds = fc.string({ minLength: 1, maxLength: 8 });
    const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter(isKeyName);
    fc.assert(
      fc.property(names, fc.constantFrom(1 as const, 4 as const), seeds, fc.nat(), fc.nat(127), (name, type, seed, at, code) => {
        const made = noteKey(name, type, publicKey(seed));
        const text = formatVkey(made);
        expect(parseVkey(text)).toEqual(made);
        const place = at % text.length;
        const changed = text.slice(0, place) + String.fromCharCode(code) + text.slice(place + 1);
        if (changed !== text) expect(fieldOf(() => parseVkey(changed))).toMatch(/^vkey/);
      }),
      { numRuns: 200 },
    );
  });

  it('base64 is strict', () => {
    for (const bad of ['AA', 'AA=', 'AB==', 'A===', 'AAAA=', '-_8=', 'AA ==', 'AA==\n', '='])
      expect(fieldOf(() => b64Decode(bad, 'x'))).toBe('x');
    expect(b64Decode('+/8=', 'x', 2)).toEqual(Buffer.from('fbff', 'hex'));
    expect(fieldOf(() => b64Decode('+/8=', 'x', 3))).toBe('x');
  });

  if (!existsSync(VECTORS)) it.skip('vectors of signed-note (skipped: notes.json is not here)', () => undefined);
  else {
    const { verifierKeys, badVerifierKeys } = JSON.parse(readFileSync(VECTORS, 'utf8')) as Vectors;
    it('vectors: good keys', () => {
      expect(Object.keys(verifierKeys).length).toBeGreaterThanOrEqual(3);
      for (const [name, text] of Object.entries(verifierKeys)) {
        expect(parseVkey(text)).toMatchObject({ name, type: 1 });
        expect(formatVkey(parseVkey(text))).toBe(text);
      }
    });
    it('vectors: bad keys, every proper part of a good one, every character raised by one', () => {
      const good = verifierKeys['PeterNeumann'] ?? '';
      const bad = [...badVerifierKeys];
      for (let from = 0; from < good.length; from += 1) {
        for (let to = from; to <= good.length; to += 1) if (to - from < good.length) bad.push(good.slice(from, to));
        bad.push(good.slice(0, from) + String.fromCharCode(good.charCodeAt(from) + 1) + good.slice(from + 1));
      }
      expect(bad.length).toBeGreaterThan(2000);
      expect(bad.filter((text) => fieldOf(() => parseVkey(text)) === 'accepted')).toEqual([]);
    });
  }
});
