import fc from 'fast-check';
import { fieldOf, signer } from '../../../test/reference/note-kit';
import { Checkpoint, checkpointText, parseCheckpointText } from './checkpoint';
import { MAX_TREE_SIZE } from './tree';
import { cosignedBy, signCosignature } from './cosignature';
import { MAX_SIGNATURES, NoteSignature, NoteSigner, formatNote, parseNote, parseSignatureLines, signNote, signatureLine } from './note';
import { EMPTY_ROOT, leafHash, nodeHash } from './tree';
import { NoteKey } from './vkey';
import {
  AddCheckpoint,
  WitnessAnswer,
  formatAddCheckpoint,
  formatSizeAnswer,
  judgeAddCheckpoint,
  parseAddCheckpoint,
  parseSizeAnswer,
} from './witness-protocol';

const origin = 'example.com/log';
const log = signer(origin, 1);
const witness = signer('witness.example/w1', 4);
/** The tree of the leaves 0, 1, 2 and 3, by hand. */
const [l0, l1, l2, l3] = [0, 1, 2, 3].map((n) => leafHash(Buffer.of(n))) as [Buffer, Buffer, Buffer, Buffer];
const roots = [EMPTY_ROOT, l0, nodeHash(l0, l1), nodeHash(nodeHash(l0, l1), l2), nodeHash(nodeHash(l0, l1), nodeHash(l2, l3))] as const;
const head = (size: 0 | 1 | 2 | 3 | 4, root: Buffer = roots[size]): Checkpoint => ({ origin, size: BigInt(size), root });
const signed = (checkpoint: Checkpoint, by: readonly NoteSigner[] = [log], extension = ''): string => {
  const text = checkpointText(checkpoint) + extension;
  return formatNote({ text, signatures: by.map((each) => signNote(text, each)) });
};
const request = (oldSize: bigint, proof: readonly Buffer[], checkpoint: string): string =>
  formatAddCheckpoint({ oldSize, proof, checkpoint });
const judge = (body: string, stored?: Checkpoint, keys: readonly NoteKey[] = [log.key]): WitnessAnswer =>
  judgeAddCheckpoint(
    body,
    (of) => (of === origin ? keys : []),
    (of) => (of === origin ? stored : undefined),
  );
const twoToThree = [l2];
const threeToFour = [l2, l3, nodeHash(l0, l1)];

/** The example body of C2SP tlog-witness. */
const example = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`;

describe('add-checkpoint, the request', () => {
  it('reads and prints the examples of the specification', () => {
    const read = parseAddCheckpoint(example);
    expect([read.oldSize, read.proof.length, read.proof[3]?.toString('hex', 0, 4)]).toEqual([20852014n, 4, 'ffa59584']);
    expect(parseNote(read.checkpoint).signatures).toHaveLength(2);
    expect(parseCheckpointText(parseNote(read.checkpoint).text).size).toBe(20852163n);
    expect(formatAddCheckpoint(read)).toBe(example);
    const answer = `— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
`;
    const lines = parseSignatureLines(answer);
    expect(lines.map(({ name, signature }) => [name, signature.length])).toEqual([
      ['witness.example/w1', 72],
      ['witness.example/w1', 72],
      ['witness.example/w2', 72],
    ]);
    expect(lines.map(signatureLine).join('')).toBe(answer);
  });

  const note = signed(head(3));
  it.each([
    ['nothing', '', 'request'],
    ['no empty line', `old 0\n${note.slice(0, note.indexOf('\n\n') + 1)}`, 'request'],
    ['no old size', `\n${note}`, 'request.old'],
    ['another word', `new 0\n\n${note}`, 'request.old'],
    ['two spaces', `old  0\n\n${note}`, 'request.old'],
    ['a leading zero', `old 00\n\n${note}`, 'request.old'],
    ['a negative size', `old -1\n\n${note}`, 'request.old'],
    ['2^63', `old 9223372036854775808\n\n${note}`, 'request.old'],
    ['carriage returns', `old 0\r\n\n${note}`, 'request.old'],
    ['a short hash', `old 2\nAAAA\n\n${note}`, 'request.proof'],
    ['64 hashes', `old 2\n${`${l0.toString('base64')}\n`.repeat(64)}\n${note}`, 'request.proof'],
    ['no checkpoint', 'old 0\n\n', 'note'],
    ['a checkpoint without signatures', `old 0\n\n${checkpointText(head(3))}`, 'note'],
    ['a note that is no checkpoint', `old 0\n\n${formatNote({ text: 'a\n', signatures: [signNote('a\n', log)] })}`, 'checkpoint'],
    ['a huge text', 'old 0\n'.repeat(100_000), 'request'],
    ['a huge beginning', `old 0\n${'A'.repeat(5000)}\n\n${note}`, 'request'],
  ])('refuses %s with 400', (_, body, field) => {
    expect(fieldOf(() => parseAddCheckpoint(body))).toBe(field);
    expect(judge(body)).toMatchObject({ status: 400 });
  });

  it('prints no request that it would not read; what is printed reads back', () => {
    const good: AddCheckpoint = { oldSize: 2n, proof: twoToThree, checkpoint: note };
    expect(fieldOf(() => formatAddCheckpoint({ ...good, oldSize: -1n }))).toBe('request.old');
    expect(fieldOf(() => formatAddCheckpoint({ ...good, proof: [Buffer.alloc(33)] }))).toBe('request.proof');
    expect(fieldOf(() => formatAddCheckpoint({ ...good, checkpoint: 'a' }))).toBe('note');
    const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.bigInt(0n, MAX_TREE_SIZE), fc.array(hashes, { maxLength: 63 }), (oldSize, proof) => {
        expect(parseAddCheckpoint(formatAddCheckpoint({ oldSize, proof, checkpoint: note }))).toEqual({ oldSize, proof, checkpoint: note });
      }),
    );
  });

  it('prints and reads the size of a 409', () => {
    expect(formatSizeAnswer(20852014n)).toBe('20852014\n');
    expect(parseSizeAnswer('0\n')).toBe(0n);
    for (const bad of ['', '5', '55', '05\n', '5\n\n', ' 5\n', '-5\n', '9223372036854775808\n'])
      expect(fieldOf(() => parseSizeAnswer(bad))).toBe('size');
  });
});

describe('add-checkpoint, the verdict', () => {
  it('200 for the first checkpoint, a larger one, and the same again', () => {
    expect(judge(request(0n, [], signed(head(3))))).toMatchObject({ status: 200, checkpoint: head(3) });
    expect(judge(request(0n, [], signed(head(0))))).toMatchObject({ status: 200, checkpoint: head(0) });
    expect(judge(request(0n, [], signed(head(3))), head(0))).toMatchObject({ status: 200 });
    expect(judge(request(0n, [], signed(head(0))), head(0))).toMatchObject({ status: 200 });
    expect(judge(request(2n, twoToThree, signed(head(3))), head(2))).toMatchObject({ status: 200, checkpoint: head(3) });
    expect(judge(request(3n, threeToFour, signed(head(4))), head(3))).toMatchObject({ status: 200, checkpoint: head(4) });
    expect(judge(request(3n, [], signed(head(3))), head(3))).toMatchObject({ status: 200, checkpoint: head(3) });
  });

  it('gives what can be cosigned, stored and read by the log', () => {
    const answer = judge(request(2n, twoToThree, signed(head(3), [log], 'extension\n')), head(2));
    if (answer.status !== 200) throw new Error(JSON.stringify(answer));
    const cosignature = signCosignature(answer.note.text, witness, 7n);
    const stored = formatNote({ ...answer.note, signatures: [...answer.note.signatures, cosignature] });
    expect(parseNote(stored).text).toBe(`${checkpointText(head(3))}extension\n`);
    expect(cosignedBy(parseNote(stored), witness.key)).toEqual({ timestamp: 7n });
  });

  it('keeps one signature of each trusted key, so there is room for ours', () => {
    const next = signer(origin, 1, 'next key');
    const text = checkpointText(head(3));
    const junk: NoteSignature = { name: origin, id: 1, signature: Buffer.of(1) };
    const [own, others] = [signNote(text, log), signNote(text, next)];
    const full = formatNote({ text, signatures: [junk, ...Array.from({ length: MAX_SIGNATURES - 2 }, () => own), others] });
    const answer = judge(request(0n, [], full), undefined, [log.key, next.key]);
    expect(answer).toMatchObject({ status: 200, note: { text, signatures: [own, others] } });
  });

  it('404 for an unknown origin, before its signature is looked at', () => {
    const other = { ...head(3), origin: 'example.com/other' };
    expect(judge(request(9n, [l0], signed(other)))).toMatchObject({ status: 404 });
  });

  it('403 without a signature of a trusted key, or with a bad one', () => {
    const text = checkpointText(head(3));
    const own = signNote(text, log);
    const bad = { ...own, signature: Buffer.alloc(64, 1) };
    const by = (...signatures: NoteSignature[]): string => request(9n, [l0], formatNote({ text, signatures }));
    expect(judge(by(signNote(text, signer(origin, 1, 'stranger'))))).toMatchObject({ status: 403 });
    expect(judge(by(bad))).toMatchObject({ status: 403 });
    expect(judge(by(own, bad))).toMatchObject({ status: 403 });
    // One good signature does not outweigh a bad one of another trusted key.
    const next = signer(origin, 1, 'next key');
    const ofNext = { name: origin, id: next.key.id, signature: Buffer.alloc(64, 1) };
    expect(judge(by(own, ofNext), undefined, [log.key, next.key])).toMatchObject({ status: 403 });
    // A cosignature is not the log's signature.
    expect(judge(by(signCosignature(text, witness, 1n)))).toMatchObject({ status: 403 });
  });

  it('400 for an old size above that of the checkpoint, before the stored one is looked at', () => {
    expect(judge(request(4n, [], signed(head(3))), head(2))).toMatchObject({ status: 400 });
    expect(judge(request(4n, [], signed(head(3))), head(4))).toMatchObject({ status: 400 });
  });

  it('409 with the stored size, before the proof is looked at', () => {
    expect(judge(request(0n, [l0], signed(head(3))), head(2))).toEqual({ status: 409, size: 2n });
    expect(judge(request(2n, [l0], signed(head(3))))).toEqual({ status: 409, size: 0n });
    expect(judge(request(0n, [], signed(head(0, l0))), head(4))).toEqual({ status: 409, size: 4n });
  });

  it.each([
    ['an empty tree with another root', request(0n, [], signed(head(0, l0))), undefined],
    ['a proof from nothing', request(0n, [l0], signed(head(3))), undefined],
    ['no proof', request(2n, [], signed(head(3))), head(2)],
    ['a wrong proof', request(2n, [l3], signed(head(3))), head(2)],
    ['a proof too long', request(2n, [l2, l2], signed(head(3))), head(2)],
    ['a proof in another order', request(3n, [...threeToFour].reverse(), signed(head(4))), head(3)],
    ['a proof between equal trees', request(3n, [l2], signed(head(3))), head(3)],
  ])('422 for %s', (_, body, stored) => expect(judge(body, stored)).toMatchObject({ status: 422 }));

  it('ATTACK split view: of two roots for one size the second is refused, also with a good signature', () => {
    const other = nodeHash(nodeHash(l0, l1), l3);
    expect(judge(request(0n, [], signed(head(3))))).toMatchObject({ status: 200 });
    expect(judge(request(3n, [], signed(head(3, other))), head(3))).toMatchObject({ status: 422 });
    // Neither does the other view grow from the stored one.
    expect(judge(request(2n, [l3], signed(head(3, other))), head(2))).toMatchObject({ status: 200 });
    expect(
      judge(request(3n, [l3, l2, nodeHash(l0, l1)], signed(head(4, nodeHash(nodeHash(l0, l1), nodeHash(l3, l2))))), head(3)),
    ).toMatchObject({
      status: 422,
    });
  });

  it('ATTACK stale checkpoint replay: an old checkpoint is never cosigned again', () => {
    const old = signed(head(2));
    expect(judge(request(2n, [], old), head(3))).toEqual({ status: 409, size: 3n });
    expect(judge(request(0n, [], old), head(3))).toEqual({ status: 409, size: 3n });
    expect(judge(request(3n, [], old), head(3))).toMatchObject({ status: 400 });
  });

  it('ATTACK witness rollback: two requests judged against one stored size cannot both be stored by a compare-and-set', () => {
    let stored = head(2);
    const judged = {
      large: judge(request(2n, [nodeHash(l2, l3)], signed(head(4))), stored),
      small: judge(request(2n, twoToThree, signed(head(3))), stored),
    };
    expect([judged.large.status, judged.small.status]).toEqual([200, 200]);
    /** What a caller has to do: store only when the size is still the one that the request named. */
    const store = (answer: WitnessAnswer, body: string): WitnessAnswer => {
      const again = judge(body, stored);
      if (answer.status === 200 && again.status === 200) stored = answer.checkpoint;
      return again;
    };
    expect(store(judged.large, request(2n, [nodeHash(l2, l3)], signed(head(4))))).toMatchObject({ status: 200 });
    expect(store(judged.small, request(2n, twoToThree, signed(head(3))))).toEqual({ status: 409, size: 4n });
    expect(stored).toEqual(head(4));
  });

  it('ATTACK re-sign a recomputed log with the stolen key: nothing smaller, equal or larger passes', () => {
    const forged = [l3, nodeHash(l3, l2), nodeHash(nodeHash(l3, l2), l1), nodeHash(nodeHash(l3, l2), nodeHash(l1, l0))];
    const proofs = [[], [l0], [l1], [l2], [nodeHash(l0, l1)], threeToFour, [l1, l0, nodeHash(l3, l2)]];
    for (const [at, root] of forged.entries()) {
      const note = signed({ origin, size: BigInt(at + 1), root });
      for (const oldSize of [0n, 1n, 2n, 3n, 4n]) {
        for (const proof of proofs) expect(judge(request(oldSize, proof, note), head(3)).status).toBeGreaterThanOrEqual(400);
      }
    }
  });

  it('never fails in another way, whatever the body is', () => {
    const pieces = fc.constantFrom(
      'old ',
      '0',
      '3',
      '\n',
      '\n\n',
      l2.toString('base64'),
      signed(head(3)),
      checkpointText(head(3)),
      '— ',
      '\ud800',
      '\0',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 10 }), (parts) => {
        expect([200, 400, 403, 404, 409, 422]).toContain(judge(parts.join(''), head(2)).status);
      }),
      { numRuns: 2000 },
    );
  });

  it('ATTACK change one character of a request: never cosigned as something else', () => {
    const body = request(2n, twoToThree, signed(head(3)));
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.nat(127), (at, code) => {
        const changed = body.slice(0, at) + String.fromCharCode(code) + body.slice(at + 1);
        if (changed !== body) expect(judge(changed, head(2)).status).toBeGreaterThanOrEqual(400);
      }),
      { numRuns: 1500 },
    );
  });
});
