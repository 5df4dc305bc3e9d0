import fc from 'fast-check';
import { sign } from 'node:crypto';
import { testAuthor } from '../../../test/reference/chain-maker';
import { signer as signerOf } from '../../../test/reference/note-kit';
import { FormatError, sha256 } from './bytes';
import { checkpointText } from './checkpoint';
import { MAX_TREE_SIZE } from './tree';
import { cosignedBy, signCosignature } from './cosignature';
import { Note, NoteSigner, formatNote, parseNote } from './note';

const signer = (name: string, seed = name): NoteSigner => signerOf(name, 4, seed);
const witness = signer('witness.example/w1');
const text = checkpointText({ origin: 'example.com/log', size: 20852163n, root: sha256('root') });
const cosignature = signCosignature(text, witness, 1679315147n);
const note: Note = { text, signatures: [cosignature] };

describe('cosignatures', () => {
  it('signs the message of the specification, written out here by hand', () => {
    const message = `cosignature/v1\ntime 1679315147\nexample.com/log\n20852163\n${sha256('root').toString('base64')}\n`;
    const expected = Buffer.concat([Buffer.from('00000000641850cb', 'hex'), sign(null, Buffer.from(message), witness.privateKey)]);
    expect(cosignature).toEqual({ name: 'witness.example/w1', id: witness.key.id, signature: expected });
  });

  it('reads the time of the example of the specification', () => {
    const line =
      '— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n';
    const [read] = parseNote(`a\n\n${line}`).signatures;
    expect([read?.id, read?.signature.length, read?.signature.readBigUInt64BE(0)]).toEqual([0x8d66cf3f, 72, 1679315147n]);
  });

  it('gives the time, also after printing; the newest of several', () => {
    expect(cosignedBy(parseNote(formatNote(note)), witness.key)).toEqual({ timestamp: 1679315147n });
    for (const times of [
      [5n, 9n, 7n],
      [9n, 5n],
    ]) {
      const signatures = times.map((time) => signCosignature(text, witness, time));
      expect(cosignedBy({ text, signatures }, witness.key)).toEqual({ timestamp: 9n });
    }
    expect(cosignedBy({ text, signatures: [signCosignature(text, witness, MAX_TREE_SIZE)] }, witness.key)).toEqual({
      timestamp: MAX_TREE_SIZE,
    });
  });

  it('covers extension lines', () => {
    const extended = `${text}extension\n`;
    expect(cosignedBy({ text: extended, signatures: [signCosignature(extended, witness, 1n)] }, witness.key)).toEqual({ timestamp: 1n });
    expect(cosignedBy({ text: extended, signatures: [cosignature] }, witness.key)).toBe(false);
  });

  it('is undefined for a key that no signature names', () => {
    expect(cosignedBy(note, signer('witness.example/w1', 'another').key)).toBeUndefined();
    expect(cosignedBy(note, signer('witness.example/w2', 'witness.example/w1').key)).toBeUndefined();
    expect(() => cosignedBy(note, { ...witness.key, type: 1 })).toThrow(RangeError);
  });

  it('is false when any signature of the key does not fit, or is not of that form', () => {
    const bad = (signature: Buffer): Note => ({ text, signatures: [cosignature, { ...cosignature, signature }] });
    const bare = sign(null, Buffer.from(text), witness.privateKey);
    const beyond = Buffer.concat([Buffer.alloc(8, 255), cosignature.signature.subarray(8)]);
    for (const signature of [bare, beyond, Buffer.alloc(72), Buffer.alloc(1), Buffer.concat([cosignature.signature, Buffer.of(0)])]) {
      expect(cosignedBy(bad(signature), witness.key)).toBe(false);
    }
    // A time above 2^63-1 is refused even when it was really signed.
    const time = 2n ** 63n;
    const signed = sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), witness.privateKey);
    expect(cosignedBy(bad(Buffer.concat([Buffer.from('8000000000000000', 'hex'), signed])), witness.key)).toBe(false);
  });

  it('never cosigns what is not a checkpoint, with another type of key, without a time or with a private key of another', () => {
    for (const other of ['', 'a note\n', `${text}\n`, `a\n01\n${sha256('').toString('base64')}\n`]) {
      expect(() => signCosignature(other, witness, 1n)).toThrow(FormatError);
    }
    expect(() => signCosignature(text, { ...witness, key: { ...witness.key, type: 1 } }, 1n)).toThrow(RangeError);
    for (const time of [-1n, 0n, 2n ** 63n]) expect(() => signCosignature(text, witness, time)).toThrow(RangeError);
    expect(() => signCosignature(text, { ...witness, privateKey: testAuthor('other').privateKey }, 1n)).toThrow('does not belong');
  });

  it('ATTACK change one bit of the time, the signature or the checkpoint: refused', () => {
    fc.assert(
      fc.property(fc.nat(71), fc.nat(7), fc.nat(text.length - 2), (at, bit, place) => {
        const signature = Buffer.from(cosignature.signature);
        signature[at] = (signature[at] ?? 0) ^ (1 << bit);
        expect(cosignedBy({ text, signatures: [{ ...cosignature, signature }] }, witness.key)).toBe(false);
        const changed = text.slice(0, place) + String.fromCharCode(text.charCodeAt(place) ^ 1) + text.slice(place + 1);
        expect(cosignedBy({ text: changed, signatures: [cosignature] }, witness.key)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
