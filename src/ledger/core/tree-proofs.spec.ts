import { MemoryTree, testEntries } from '../../../test/reference/memory-tree';
import { EMPTY_ROOT, leafHash, MAX_TREE_SIZE, verifyConsistency, verifyInclusion } from './tree-proofs';

const entries = testEntries(64);
const tree = MemoryTree.of(entries);
const leafAt = (index: bigint): Buffer => leafHash(entries[Number(index)]!);
const other = leafHash(Buffer.from('of no tree'));

const range = (from: bigint, below: bigint): bigint[] =>
  Array.from({ length: Number(below - from) }, (_none, offset) => from + BigInt(offset));

/** The hash with each of its 256 bits changed, one at a time. */
function flips(hash: Buffer): Buffer[] {
  return Array.from({ length: 256 }, (_none, bit) => {
    const changed = Buffer.from(hash);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return changed;
  });
}

/** The hash as a forger could change it: a bit, the size, or all of it. */
function changes(hash: Buffer): Buffer[] {
  return [...flips(hash), hash.subarray(1), Buffer.concat([hash, Buffer.of(0)]), Buffer.alloc(0), other];
}

/** Every proof that differs from this one in one place: a bit, a hash left out, put in, doubled, cut or swapped with its neighbour. */
function* forgeries(proof: readonly Buffer[]): Generator<readonly Buffer[]> {
  for (const [at, hash] of proof.entries()) {
    for (const changed of [...flips(hash), hash.subarray(1), Buffer.concat([hash, Buffer.of(0)]), Buffer.alloc(0)])
      yield proof.with(at, changed);
    yield proof.toSpliced(at, 1);
    const next = proof[at + 1];
    if (next) yield proof.toSpliced(at, 2, next, hash);
  }
  for (let at = 0; at <= proof.length; at += 1)
    for (const more of [other, EMPTY_ROOT, proof[at] ?? other]) yield proof.toSpliced(at, 0, more);
}

/** A few trees where the way up has every form: perfect, one leaf alone on the right, several levels skipped. */
const SIZES = [1n, 2n, 3n, 5n, 7n, 8n, 9n, 13n, 33n];

describe('verifyInclusion', () => {
  it('accepts each leaf of each tree', () => {
    for (const size of range(1n, 65n)) {
      const accepted = range(0n, size).filter((index) =>
        verifyInclusion(index, size, leafAt(index), tree.inclusion(index, size), tree.root(size)),
      );
      expect(accepted).toEqual(range(0n, size));
    }
  });

  it('ATTACK forged inclusion proofs: whatever is changed in the proof, the leaf or the root', () => {
    let tried = 0;
    for (const size of SIZES)
      for (const index of [0n, size / 2n, size - 1n]) {
        const [leaf, proof, root] = [leafAt(index), tree.inclusion(index, size), tree.root(size)];
        const proofs = [...forgeries(proof)];
        tried += proofs.length;
        const passed = [
          ...proofs.filter((forged) => verifyInclusion(index, size, leaf, forged, root)),
          ...changes(leaf).filter((forged) => verifyInclusion(index, size, forged, proof, root)),
          ...changes(root).filter((forged) => verifyInclusion(index, size, leaf, proof, forged)),
        ];
        expect([index, size, passed]).toEqual([index, size, []]);
      }
    expect(tried).toBeGreaterThan(10_000);
  });

  it('ATTACK forged inclusion proofs: a good proof at every other index, and under the root of every other size', () => {
    for (const size of SIZES)
      for (const index of range(0n, size)) {
        const [leaf, proof, root] = [leafAt(index), tree.inclusion(index, size), tree.root(size)];
        expect(range(-2n, size + 3n).filter((elsewhere) => verifyInclusion(elsewhere, size, leaf, proof, root))).toEqual([index]);
        expect(range(1n, 65n).filter((later) => verifyInclusion(index, later, leaf, proof, tree.root(later)))).toEqual([size]);
        expect(range(1n, 65n).filter((later) => verifyInclusion(index, size, leaf, proof, tree.root(later)))).toEqual([size]);
      }
  });

  it('does not bind the size where the way up is the same: leaf 0 of 5, 6, 7 or 8. The size has to come with the root', () => {
    const [leaf, proof, root] = [leafAt(0n), tree.inclusion(0n, 5n), tree.root(5n)];
    expect(range(0n, 70n).filter((size) => verifyInclusion(0n, size, leaf, proof, root))).toEqual([5n, 6n, 7n, 8n]);
  });
});

describe('verifyConsistency', () => {
  it('accepts each tree as the beginning of each later one', () => {
    for (const to of range(0n, 65n)) {
      const accepted = range(0n, to + 1n).filter((from) =>
        verifyConsistency(from, to, tree.consistency(from, to), tree.root(from), tree.root(to)),
      );
      expect(accepted).toEqual(range(0n, to + 1n));
    }
  });

  it('ATTACK forged consistency proofs: whatever is changed in the proof or one of the roots', () => {
    let tried = 0;
    for (const to of SIZES)
      for (const from of new Set([1n, to / 2n, to - 1n, to].filter((size) => size > 0n))) {
        const [proof, rootFrom, rootTo] = [tree.consistency(from, to), tree.root(from), tree.root(to)];
        const proofs = [...forgeries(proof)];
        tried += proofs.length;
        const passed = [
          ...proofs.filter((forged) => verifyConsistency(from, to, forged, rootFrom, rootTo)),
          ...changes(rootFrom).filter((forged) => verifyConsistency(from, to, proof, forged, rootTo)),
          ...changes(rootTo).filter((forged) => verifyConsistency(from, to, proof, rootFrom, forged)),
        ];
        expect([from, to, passed]).toEqual([from, to, []]);
      }
    expect(tried).toBeGreaterThan(10_000);
  });

  it('ATTACK forged consistency proofs: no rewritten leaf of the old tree passes, with whatever proof an honest log could make', () => {
    const [from, to] = [11n, 21n];
    const proofs = [tree.consistency(from, to)];
    for (const index of range(0n, to)) {
      const rewritten = MemoryTree.of(entries.slice(0, Number(to)).with(Number(index), Buffer.from('rewritten')));
      proofs.push(rewritten.consistency(from, to));
      const accepted = proofs.some((proof) => verifyConsistency(from, to, proof, tree.root(from), rewritten.root(to)));
      expect([index, accepted]).toEqual([index, index >= from]);
    }
  });

  it('ATTACK forged consistency proofs: an empty proof, and the old root given as the new one', () => {
    for (const to of range(2n, 20n))
      for (const from of range(1n, to)) {
        const [rootFrom, rootTo] = [tree.root(from), tree.root(to)];
        for (const proof of [[], [rootFrom], [rootTo], [rootFrom, rootTo]]) {
          expect(verifyConsistency(from, to, proof, rootFrom, rootTo)).toBe(false);
          expect(verifyConsistency(from, to, proof, rootFrom, rootFrom)).toBe(false);
        }
      }
  });

  it('ATTACK forged consistency proofs: a good proof between the roots of any other two sizes', () => {
    for (const [from, to] of [
      [6n, 11n],
      [4n, 5n],
      [8n, 24n],
      [7n, 8n],
    ] as const) {
      const proof = tree.consistency(from, to);
      const pairs = range(1n, 40n).flatMap((older) => range(1n, 40n).map((newer) => [older, newer] as const));
      const passes = pairs.filter(([older, newer]) => verifyConsistency(older, newer, proof, tree.root(older), tree.root(newer)));
      expect(passes).toEqual([[from, to]]);
      expect(verifyConsistency(to, from, proof, tree.root(to), tree.root(from))).toBe(false);
    }
  });

  it('does not bind the sizes where the way up is the same. They have to come with the roots', () => {
    const [proof, rootFrom, rootTo] = [tree.consistency(6n, 11n), tree.root(6n), tree.root(11n)];
    const newer = range(0n, 70n).filter((size) => verifyConsistency(6n, size, proof, rootFrom, rootTo));
    expect(newer).toEqual(range(9n, 17n));
    const older = range(0n, 70n).filter((size) => verifyConsistency(size, 11n, proof, rootFrom, rootTo));
    expect(older).toEqual([6n]);
  });

  it('the two bare cases: from nothing, and from itself', () => {
    const [root, later] = [tree.root(5n), tree.root(6n)];
    for (const anyRoot of [root, other]) expect(verifyConsistency(0n, 5n, [], EMPTY_ROOT, anyRoot)).toBe(true);
    expect(
      changes(root)
        .slice(256, 259)
        .map((short) => verifyConsistency(0n, 5n, [], EMPTY_ROOT, short)),
    ).toEqual([false, false, false]);
    expect(verifyConsistency(0n, 5n, [], root, root)).toBe(false);
    expect(verifyConsistency(0n, 5n, [root], EMPTY_ROOT, root)).toBe(false);
    expect(verifyConsistency(0n, 0n, [], EMPTY_ROOT, EMPTY_ROOT)).toBe(true);
    expect(verifyConsistency(0n, 0n, [], root, root)).toBe(false);
    expect(verifyConsistency(0n, 0n, [], EMPTY_ROOT, root)).toBe(false);
    expect(verifyConsistency(5n, 5n, [], root, root)).toBe(true);
    expect(verifyConsistency(5n, 5n, [root], root, root)).toBe(false);
    expect(verifyConsistency(5n, 5n, [], root, later)).toBe(false);
  });
});

describe('hostile values', () => {
  const [leaf, proof, root] = [leafAt(3n), tree.inclusion(3n, 7n), tree.root(7n)];
  const [older, path] = [tree.root(3n), tree.consistency(3n, 7n)];

  it('ATTACK huge indexes: what wraps around to a good index in 32, 53 or 64 bits is not good', () => {
    for (const wrap of [2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n, 2n ** 128n, 2n ** 100_000n])
      for (const [index, size] of [
        [3n + wrap, 7n],
        [3n - wrap, 7n],
        [3n, 7n + wrap],
        [3n, 7n - wrap],
        [3n + wrap, 7n + wrap],
      ] as const) {
        expect(verifyInclusion(index, size, leaf, proof, root)).toBe(false);
        expect(verifyConsistency(index, size, path, older, root)).toBe(false);
      }
    expect(verifyInclusion(0n, MAX_TREE_SIZE + 1n, root, [], root)).toBe(false);
    expect(verifyConsistency(MAX_TREE_SIZE, MAX_TREE_SIZE, [], root, root)).toBe(true);
    expect(verifyConsistency(MAX_TREE_SIZE + 1n, MAX_TREE_SIZE + 1n, [], root, root)).toBe(false);
  });

  it('a proof of more than 64 hashes is refused unread', () => {
    let reads = 0;
    const counted = (length: number): Buffer[] =>
      new Proxy(Array<Buffer>(length).fill(other), {
        get: (target, key, receiver): unknown => {
          if (key !== 'length') reads += 1;
          return Reflect.get(target, key, receiver);
        },
      });
    for (const length of [65, 1_000_000]) {
      expect(verifyInclusion(3n, MAX_TREE_SIZE, leaf, counted(length), root)).toBe(false);
      expect(verifyConsistency(3n, MAX_TREE_SIZE, counted(length), older, root)).toBe(false);
    }
    expect(reads).toBe(0);
    expect(verifyInclusion(3n, MAX_TREE_SIZE, leaf, counted(64), root)).toBe(false);
    expect(reads).toBeGreaterThan(0);
  });

  it('what is not of the right type is refused, not thrown at', () => {
    const holes: unknown[] = [];
    holes[2] = proof[2];
    const bad = [
      undefined,
      null,
      3,
      '3',
      {},
      NaN,
      holes,
      [undefined],
      [null],
      'x'.repeat(32),
      [root.toString('hex')],
      [Uint8Array.from(root)],
    ];
    const good = { inclusion: [3n, 7n, leaf, proof, root], consistency: [3n, 7n, path, older, root] };
    for (const value of bad)
      for (let at = 0; at < 5; at += 1) {
        expect(Reflect.apply(verifyInclusion, undefined, good.inclusion.with(at, value as never))).toBe(false);
        expect(Reflect.apply(verifyConsistency, undefined, good.consistency.with(at, value as never))).toBe(false);
      }
    expect([
      Reflect.apply(verifyInclusion, undefined, good.inclusion),
      Reflect.apply(verifyConsistency, undefined, good.consistency),
    ]).toEqual([true, true]);
  });
});
