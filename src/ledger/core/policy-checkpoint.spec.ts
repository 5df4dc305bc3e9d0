import fc from 'fast-check';
import { isUtf8 } from 'node:buffer';
import { full, log, logLine, signer, v, witnessLines, x1, x2, x3, y1, y2 } from '../../../test/reference/note-kit';
import { sha256 } from './bytes';
import { checkpointText } from './checkpoint';
import { signCosignature } from './cosignature';
import { NoteSignature, NoteSigner, formatNote, signNote } from './note';
import { CheckpointVerdict, parsePolicy, verifyCheckpoint } from './policy';
import { EMPTY_ROOT } from './tree';

describe('signed checkpoints under a policy', () => {
  const checkpoint = { origin: 'example.com/log', size: 7n, root: sha256('root') };
  const text = checkpointText(checkpoint);
  const policy = parsePolicy(full);
  const noteOf = (signatures: readonly NoteSignature[], body = text): string => formatNote({ text: body, signatures });
  const own = signNote(text, log);
  const cosigned = [x1, x2, y1].map((witness, n) => signCosignature(text, witness, BigInt(100 + n)));
  const good = noteOf([own, ...cosigned]);

  it('is witnessed when the quorum has cosigned', () => {
    expect(verifyCheckpoint(good, policy)).toEqual({
      checkpoint,
      logKey: log.key,
      cosigners: [
        { name: 'X1', timestamp: 100n },
        { name: 'X2', timestamp: 101n },
        { name: 'Y1', timestamp: 102n },
      ],
      witnessed: true,
    });
    expect(verifyCheckpoint(noteOf([own, ...cosigned.slice(1)]), policy)).toMatchObject({ witnessed: false });
    expect(verifyCheckpoint(noteOf([own]), policy)).toMatchObject({ cosigners: [], witnessed: false });
  });

  it('under `quorum none` it says who cosigned, and is not witnessed by nobody', () => {
    const none = parsePolicy(`${logLine}${witnessLines}quorum none\n`);
    expect(verifyCheckpoint(noteOf([own]), none)).toMatchObject({ cosigners: [], witnessed: false });
    expect(verifyCheckpoint(good, none)).toMatchObject({ cosigners: { length: 3 }, witnessed: true });
  });

  it('ignores signatures of unknown keys, also under known names', () => {
    const stranger = signer('witness.example/w1', 4, 'stranger');
    const junk = { name: 'example.com/log', id: 1, signature: Buffer.of(1) };
    const note = noteOf([junk, own, signCosignature(text, stranger, 1n), ...cosigned]);
    expect(verifyCheckpoint(note, policy)).toEqual(verifyCheckpoint(good, policy));
  });

  it('counts a witness once, however often it signed', () => {
    const again = [x1, x1, x1].map((witness, n) => signCosignature(text, witness, BigInt(200 + n)));
    expect(verifyCheckpoint(noteOf([own, ...again, ...cosigned.slice(2)]), policy)).toMatchObject({
      cosigners: [
        { name: 'X1', timestamp: 202n },
        { name: 'Y1', timestamp: 102n },
      ],
      witnessed: false,
    });
  });

  const bad = (signature: NoteSignature): NoteSignature => {
    const bytes = Buffer.from(signature.signature);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    return { ...signature, signature: bytes };
  };
  const otherLog = signer('example.com/other', 1);
  const otherText = checkpointText({ ...checkpoint, origin: 'example.com/other' });
  const asNote = (witness: NoteSigner): NoteSignature => ({
    name: witness.key.name,
    id: witness.key.id,
    signature: signNote(text, { ...log }).signature,
  });
  it.each([
    ['no note', 'text', 'checkpoint'],
    ['a note that is no checkpoint', noteOf([signNote('a\n', log)], 'a\n'), 'checkpoint'],
    ['a size that is no number', noteOf([own], text.replace('\n7\n', '\n07\n')), 'checkpoint.size'],
    ['a root that is none', noteOf([own], text.replace('=\n', '\n')), 'checkpoint.root'],
    ['an empty extension line', noteOf([own], `${text}\n`), 'checkpoint.extension'],
    ['no signature of the log', noteOf(cosigned), 'checkpoint.signature'],
    ['a bad signature of the log', noteOf([bad(own), ...cosigned]), 'checkpoint.signature'],
    ['a good and a bad signature of the log', noteOf([own, bad(own)]), 'checkpoint.signature'],
    ['another size under the same signature', good.replace('\n7\n', '\n8\n'), 'checkpoint.signature'],
    ['a log that the policy does not know', noteOf([signNote(otherText, otherLog)], otherText), 'checkpoint.origin'],
    ['another origin, signed by a known log', noteOf([signNote(otherText, log)], otherText), 'checkpoint.origin'],
    [
      'a bad signature of a witness, beside a quorum of good ones',
      noteOf([own, ...cosigned, bad(signCosignature(text, x3, 1n))]),
      'cosignature X3',
    ],
    ['a witness that signed a note instead of a cosignature', noteOf([own, asNote(x1)]), 'cosignature X1'],
    ['a cosignature of another checkpoint', noteOf([own, signCosignature(otherText, y2, 1n)]), 'cosignature Y2'],
  ])('refuses %s', (_, note, invalid) => expect(verifyCheckpoint(note, policy)).toEqual({ invalid }));

  it('accepts the key of a log only for its own origin', () => {
    const two = parsePolicy(`${logLine}log ${v(otherLog)}\nquorum none\n`);
    expect(verifyCheckpoint(noteOf([signNote(otherText, log)], otherText), two)).toEqual({ invalid: 'checkpoint.signature' });
    expect(verifyCheckpoint(noteOf([signNote(otherText, log), signNote(otherText, otherLog)], otherText), two)).toMatchObject({
      logKey: otherLog.key,
    });
    expect(verifyCheckpoint(noteOf([bad(signNote(otherText, log)), signNote(otherText, otherLog)], otherText), two)).toEqual({
      invalid: 'checkpoint.signature',
    });
  });

  it('accepts any of several keys of one log', () => {
    const next = signer('example.com/log', 1, 'next key');
    const two = parsePolicy(`log ${v(next)}\n${logLine}quorum none\n`);
    expect(verifyCheckpoint(noteOf([own]), two)).toMatchObject({ logKey: log.key });
    expect(verifyCheckpoint(noteOf([own, signNote(text, next)]), two)).toMatchObject({ logKey: next.key });
    expect(verifyCheckpoint(noteOf([own, bad(signNote(text, next))]), two)).toEqual({ invalid: 'checkpoint.signature' });
  });

  it('accepts a tree without leaves only with the empty root', () => {
    const signed = (root: Buffer): string => {
      const body = checkpointText({ ...checkpoint, size: 0n, root });
      return noteOf([signNote(body, log)], body);
    };
    expect(verifyCheckpoint(signed(EMPTY_ROOT), policy)).toMatchObject({ checkpoint: { size: 0n } });
    expect(verifyCheckpoint(signed(sha256('root')), policy)).toEqual({ invalid: 'checkpoint.root' });
  });

  it('ATTACK split view: two roots for one size are both well signed, so the verdict alone cannot tell; it names the root', () => {
    const [left, right] = ['left', 'right'].map((view) => {
      const body = checkpointText({ ...checkpoint, root: sha256(view) });
      return verifyCheckpoint(noteOf([signNote(body, log)], body), policy) as CheckpointVerdict;
    });
    expect(left?.checkpoint.root).toEqual(sha256('left'));
    expect(right?.checkpoint.root).toEqual(sha256('right'));
    // No cosignature moves from one view to the other.
    const body = checkpointText({ ...checkpoint, root: sha256('right') });
    expect(verifyCheckpoint(noteOf([signNote(body, log), ...cosigned], body), policy)).toEqual({ invalid: 'cosignature X1' });
  });

  it('ATTACK change one byte of a signed checkpoint: refused, or fewer have signed it', () => {
    const bytes = Buffer.from(good);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        if (!isUtf8(changed)) return;
        const verdict = verifyCheckpoint(changed.toString('utf8'), policy);
        if ('invalid' in verdict) return;
        // Only the name or the id of a witness can change without making the note invalid: then that witness is gone.
        expect(verdict.checkpoint).toEqual(checkpoint);
        expect(verdict.cosigners).toHaveLength(2);
        expect(verdict.witnessed).toBe(false);
      }),
      { numRuns: 1500 },
    );
  });
});
