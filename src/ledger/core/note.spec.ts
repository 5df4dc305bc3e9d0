import fc from 'fast-check';
import { isUtf8 } from 'node:buffer';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fieldOf, signer as signerOf } from '../../../test/reference/note-kit';
import { FormatError } from './bytes';
import {
  MAX_NOTE_BYTES,
  MAX_SIGNATURES,
  Note,
  NoteSigner,
  formatNote,
  noteSignedBy,
  parseNote,
  parseSignatureLines,
  signNote,
  signatureLine,
} from './note';
import { isKeyName, parseVkey } from './vkey';

/** Vectors of golang.org/x/mod (BSD-3-Clause) and of C2SP, when they lie beside the repository. */
const VECTORS = join(__dirname, '../../../../shared/vectors/signed-note/notes.json');

const signer = (name: string, seed = name): NoteSigner => signerOf(name, 1, seed);
const peter = signer('peter.example/notes');
const mary = signer('mary');
const text = 'First line\n\nÜ after an empty one 🙂\n';
const signed: Note = { text, signatures: [signNote(text, peter), signNote(text, mary)] };
const printed = formatNote(signed);

describe('signed notes', () => {
  it('prints text, empty line and signature lines, and reads them back', () => {
    const lines = printed.slice(text.length).split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe('');
    expect(lines[1]).toMatch(/^— peter\.example\/notes [A-Za-z0-9+/]{91}=$/);
    expect(parseNote(printed)).toEqual(signed);
    expect(signed.signatures.map(signatureLine).join('')).toBe(printed.slice(text.length + 1));
    expect(parseSignatureLines(printed.slice(text.length + 1))).toEqual(signed.signatures);
  });

  it('reads the examples of the specification', () => {
    const poem =
      'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n' +
      '— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';
    expect(parseNote(poem)).toMatchObject({ signatures: [{ name: 'quasimodo.example/salvatore', id: 0x367ba04b }] });
    expect(formatNote(parseNote(poem))).toBe(poem);
    const example =
      'This is an example message.\n\n' +
      '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
    const key = parseVkey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k');
    expect(noteSignedBy(parseNote(example), key)).toBe(true);
    expect(noteSignedBy(parseNote(example.replace('example m', 'Example m')), key)).toBe(false);
  });

  it('says true, false or undefined for a key', () => {
    expect(noteSignedBy(signed, peter.key)).toBe(true);
    expect(noteSignedBy(signed, mary.key)).toBe(true);
    expect(noteSignedBy({ ...signed, text: 'other\n' }, peter.key)).toBe(false);
    // Neither the name alone nor the key alone names a key.
    expect(noteSignedBy(signed, signer('mary', 'another seed').key)).toBeUndefined();
    expect(noteSignedBy(signed, signer('Mary', 'mary').key)).toBeUndefined();
    expect(noteSignedBy(signed, { ...mary.key, id: mary.key.id ^ 1 })).toBeUndefined();
    expect(() => noteSignedBy(signed, { ...mary.key, type: 4 })).toThrow(RangeError);
  });

  it('is false when one of several signatures of a key does not fit', () => {
    const [good] = signed.signatures;
    if (good === undefined) throw new Error('no signature');
    const bad = { ...good, signature: Buffer.alloc(64, 1) };
    for (const signatures of [
      [good, bad],
      [bad, good],
      [{ ...good, signature: Buffer.alloc(65) }],
      [{ ...good, signature: Buffer.of(1) }],
    ]) {
      expect(noteSignedBy({ text, signatures }, peter.key)).toBe(false);
    }
    expect(noteSignedBy({ text, signatures: [good, good] }, peter.key)).toBe(true);
  });

  it('never signs with a key that is not of type 1, with a private key of another, or a text that no note carries', () => {
    expect(() => signNote(text, { ...peter, key: { ...peter.key, type: 4 } })).toThrow(RangeError);
    expect(() => signNote(text, { ...peter, privateKey: mary.privateKey })).toThrow('does not belong');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(() => signNote(text, { ...peter, privateKey: rsa })).toThrow('does not belong');
    for (const bad of ['', 'no newline', 'tab\t\n', '\ud800\n', `${'a'.repeat(MAX_NOTE_BYTES)}\n`]) {
      expect(fieldOf(() => signNote(bad, peter))).toBe('note.text');
    }
  });

  const line = signatureLine({ name: 'n', id: 1, signature: Buffer.of(1) });
  it.each([
    ['nothing', '', 'note'],
    ['a note without an empty line', `a\n${line}`, 'note'],
    ['a note without signatures', 'a\n\n', 'note.signature'],
    ['no final newline', `a\n\n${line.trimEnd()}`, 'note'],
    ['an empty line behind', `a\n\n${line}\n`, 'note.signature'],
    ['a line behind', `a\n\n${line}b\n`, 'note.signature'],
    ['a line between', `a\n\n${line}b\n${line}`, 'note.signature'],
    ['a hyphen for the dash', `a\n\n${line.replace('—', '-')}`, 'note.signature'],
    ['two spaces', `a\n\n${line.replace(' ', '  ')}`, 'note.signature'],
    ['a space behind', `a\n\n${line.replace('\n', ' \n')}`, 'note.signature'],
    ['a plus in the name', `a\n\n${line.replace('n', 'n+')}`, 'note.signature'],
    ['a Unicode space in the name', `a\n\n${line.replace('n', 'n\u2003')}`, 'note.signature'],
    ['no name', `a\n\n${line.replace('n ', ' ')}`, 'note.signature'],
    ['no base64', `a\n\n— n \n`, 'note.signature'],
    ['only a key id', `a\n\n— n AAAAAA==\n`, 'note.signature'],
    ['spare bits', `a\n\n— n AAAAAAF=\n`, 'note.signature'],
    ['carriage returns', `a\r\n\r\n${line}`, 'note'],
    ['a tab', `a\tb\n\n${line}`, 'note'],
    ['a NUL', `a\0\n\n${line}`, 'note'],
    ['a lone surrogate', `a\udfff\n\n${line}`, 'note'],
  ])('refuses %s', (_, note, field) => expect(fieldOf(() => parseNote(note))).toBe(field));

  it('takes 32 signatures and 64 KiB, and no more', () => {
    expect(parseNote(`a\n\n${line.repeat(MAX_SIGNATURES)}`).signatures).toHaveLength(32);
    expect(fieldOf(() => parseNote(`a\n\n${line.repeat(MAX_SIGNATURES + 1)}`))).toBe('note.signature');
    expect(fieldOf(() => formatNote({ text: 'a\n', signatures: Array.from({ length: 33 }, () => signed.signatures[0]!) }))).toBe(
      'note.signature',
    );
    const room = MAX_NOTE_BYTES - Buffer.byteLength(`\n\n${line}`);
    expect(parseNote(`${'a'.repeat(room)}\n\n${line}`).text).toHaveLength(room + 1);
    for (const long of [`${'a'.repeat(room + 1)}`, `${'ü'.repeat(Math.ceil((room + 1) / 2))}`]) {
      expect(fieldOf(() => parseNote(`${long}\n\n${line}`))).toBe('note');
    }
  });

  it('prints no note that it would not read', () => {
    const [signature] = signed.signatures;
    if (signature === undefined) throw new Error('no signature');
    for (const bad of ['', 'a', 'a\n\nb', 'a\t\n', '\ud800\n', `x\n\n${line.trimEnd()}`]) {
      expect(fieldOf(() => formatNote({ text: bad, signatures: [signature] }))).toMatch(/^note/);
    }
    expect(fieldOf(() => formatNote({ text, signatures: [] }))).toBe('note.signature');
    for (const bad of [{ name: 'a b' }, { name: '' }, { id: -1 }, { id: 2 ** 32 }, { signature: Buffer.alloc(0) }]) {
      expect(fieldOf(() => signatureLine({ ...signature, ...bad }))).toBe('note.signature');
    }
    expect(fieldOf(() => parseSignatureLines(''))).toBe('note.signature');
    expect(fieldOf(() => parseSignatureLines('\n'))).toBe('note.signature');
  });

  const anySignature = fc.record({
    name: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter(isKeyName),
    id: fc.nat(0xffff_ffff),
    signature: fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  });
  const anyText = fc.string({ unit: 'binary', maxLength: 80 }).map((any) => `${any.replace(/[\0-\x09\x0b-\x1f]/g, '\n')}\n`);

  it('what is printed reads back', () => {
    fc.assert(
      fc.property(anyText, fc.array(anySignature, { minLength: 1, maxLength: MAX_SIGNATURES }), (body, signatures) => {
        expect(parseNote(formatNote({ text: body, signatures }))).toEqual({ text: body, signatures });
      }),
    );
  });

  it('what is read prints back, whatever it is', () => {
    const pieces = fc.constantFrom('\n', '\n\n', '— ', 'n', ' ', 'AAAAAAE=', 'AAAAAAE', '=', 'a', '—', '\r', '+', '\ud83d', '\ude00', line);
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const candidate = parts.join('');
        if (fieldOf(() => parseNote(candidate)) !== 'accepted') return;
        accepted += 1;
        expect(formatNote(parseNote(candidate))).toBe(candidate);
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  it('ATTACK change one byte of a signed note: refused, or no longer the signed one', () => {
    const bytes = Buffer.from(printed);
    let read = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      for (const flip of [1, 2, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        // What is not UTF-8 never becomes a text.
        if (!isUtf8(changed) || fieldOf(() => parseNote(changed.toString('utf8'))) !== 'accepted') continue;
        const note = parseNote(changed.toString('utf8'));
        expect(note).not.toEqual(signed);
        expect([noteSignedBy(note, peter.key), noteSignedBy(note, mary.key)]).not.toEqual([true, true]);
        read += 1;
      }
    }
    expect(read).toBeGreaterThan(100);
  });

  interface Vector {
    readonly desc: string;
    readonly note: string;
    readonly keys: readonly string[];
    readonly expect: { readonly verified?: readonly string[]; readonly unverified?: readonly string[]; readonly error?: string };
  }
  if (!existsSync(VECTORS)) it.skip('vectors of signed-note (skipped: notes.json is not here)', () => undefined);
  else {
    const { verifierKeys, notes, testSignerKey } = JSON.parse(readFileSync(VECTORS, 'utf8')) as {
      readonly verifierKeys: Record<string, string>;
      readonly notes: readonly Vector[];
      readonly testSignerKey: string;
    };
    /** What a reader with these keys may believe, by the words of the vectors. */
    const opened = ({ note, keys }: Vector): Vector['expect'] => {
      let parsed: Note;
      try {
        parsed = parseNote(note);
      } catch (error) {
        if (error instanceof FormatError) return { error: 'malformed' };
        throw error;
      }
      expect(formatNote(parsed)).toBe(note);
      const known = keys.map((name) => parseVkey(verifierKeys[name] ?? ''));
      const results = known.map((key) => noteSignedBy(parsed, key));
      if (results.includes(false)) return { error: 'invalid signature' };
      if (!results.includes(true)) return { error: 'unverified' };
      const isKnown = (name: string, id: number): boolean => known.some((key) => key.name === name && key.id === id);
      const split = (wanted: boolean): string[] =>
        parsed.signatures.flatMap(({ name, id }) => (isKnown(name, id) === wanted ? [name] : []));
      return { verified: split(true), unverified: split(false) };
    };
    it.each(notes.map((vector) => [vector.desc, vector] as const))('vector: %s', (_, vector) =>
      expect(opened(vector)).toEqual(vector.expect),
    );
    it('vector: signs to the byte as the reference does', () => {
      const bytes = Buffer.from(testSignerKey.split('+').slice(4).join('+'), 'base64');
      const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes.subarray(1)]);
      const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      const key = parseVkey(verifierKeys['PeterNeumann'] ?? '');
      expect(createPublicKey(privateKey).export({ format: 'jwk' }).x).toBe(key.publicKey.toString('base64url'));
      const [first] = notes;
      const reference = parseNote(first?.note ?? '');
      expect(signNote(reference.text, { key, privateKey })).toEqual(reference.signatures[0]);
    });
  }
});
