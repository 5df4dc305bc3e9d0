import fc from 'fast-check';
import { parsePolicy } from '../../src/ledger/core/policy';
import { verifyProofFile } from '../../src/ledger/core/proof-file';
import type { ProofReport } from '../../src/ledger/core/proof-report';
import { TrustedCheckpoints } from '../../src/ledger/core/trust';
import { FormatError } from '../../src/ledger/core/bytes';
import { ChainMaker } from './chain-maker';
import { policyText, ProofMaker } from './proof-maker';

const maker = new ProofMaker(ChainMaker.withRecords(3));
const policy = parsePolicy(policyText([maker.chain.origin], 'both'));
const verify = (text: string | Buffer): ProofReport => verifyProofFile(Buffer.from(text), { policy });

/** What a report says that matters; undefined when the file is refused. */
function meaning(text: string | Buffer): unknown {
  try {
    const { verdict, facts, checkpoint } = verify(text);
    return verdict === 'VALID' ? { facts, root: checkpoint?.root, size: checkpoint?.size, cosigners: checkpoint?.cosigners } : undefined;
  } catch (error) {
    if (error instanceof FormatError && error.field === 'file') return undefined; // none of our formats
    throw error;
  }
}

const FILES: readonly (readonly [string, string])[] = [
  ['receipt', maker.receipt(2)],
  ['bundle', maker.bundle(2)],
  ['chain', maker.export(true)],
];

describe.each(FILES)('any change of a %s', (_name, text) => {
  const whole = meaning(text);

  test('of one character is refused, or says the same', () => {
    expect(whole).toBeDefined();
    const places = fc.tuple(
      fc.nat(text.length - 1),
      fc.oneof(fc.constantFrom(...'AB0 \n"\\:,é'), fc.string({ minLength: 1, maxLength: 1 })),
    );
    fc.assert(
      fc.property(places, ([at, character]) => {
        const found = meaning(text.slice(0, at) + character + text.slice(at + 1));
        if (found !== undefined) expect(found).toEqual(whole);
      }),
      { numRuns: 1_500 },
    );
  });

  test('of one bit, a piece left out or doubled never throws and is refused, or says the same', () => {
    const bytes = Buffer.from(text);
    const place = fc.nat(bytes.length - 1);
    fc.assert(
      fc.property(place, fc.nat(7), fc.nat(80), fc.constantFrom('flip', 'cut', 'double'), (at, bit, length, kind) => {
        const changed =
          kind === 'flip'
            ? Buffer.concat([bytes.subarray(0, at), Buffer.of((bytes[at] ?? 0) ^ (1 << bit)), bytes.subarray(at + 1)])
            : Buffer.concat([bytes.subarray(0, at), bytes.subarray(kind === 'cut' ? at + length : Math.max(0, at - length))]);
        const found = meaning(changed);
        if (found !== undefined) expect(found).toEqual(whole);
      }),
      { numRuns: 800 },
    );
  });

  test('made of anything at all never throws', () => {
    const start = text.slice(0, 40);
    fc.assert(fc.property(fc.string({ maxLength: 300 }), (tail) => meaning(start + tail) === undefined));
    expect(meaning(`${start}${'['.repeat(200_000)}`)).toBeUndefined();
  });
});

test('the verifier’s memory prints as it was read, whatever the number of logs', () => {
  const other = new ProofMaker(ChainMaker.withRecords(1), `${maker.chain.origin}/2`);
  const one = TrustedCheckpoints.empty().with(maker.note());
  expect(one.toString()).toBe(maker.note());
  const two = one.with(other.note(1));
  const read = TrustedCheckpoints.parse(two.toString());
  expect(read.toString()).toBe(two.toString());
  expect(read.newest(other.logOrigin)?.size).toBe(other.tree.size);
  expect(read.newest('unknown')).toBeUndefined();
  for (const bad of ['x', maker.note().slice(0, -10), maker.note() + '\n' + maker.note(), `${maker.note()}\n\n`]) {
    expect(() => TrustedCheckpoints.parse(bad)).toThrow(FormatError);
  }
});
