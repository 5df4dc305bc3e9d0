import fc from 'fast-check';
import { nodeInTile, nodePlace, tileWidthAt } from '../../src/ledger/core/tiles';
import {
  CompactRange,
  leafHash,
  MAX_TREE_SIZE,
  type NodeId,
  nodeHash,
  planRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../src/ledger/core/tree';
import { consistencyFrom, inclusionFrom, MemoryTree, rootFrom, testEntries } from './memory-tree';
import { slowLeaf, slowMth, slowNode, slowPath, slowPathHolds, slowProof, slowProofHolds } from './slow-tree';

const MOST = 600;
const entries = testEntries(MOST);
const tree = MemoryTree.of(entries);
const D = entries.map((entry) => entry.toString('hex'));
const hex = (hashes: readonly Buffer[]): string[] => hashes.map((hash) => hash.toString('hex'));
const big = BigInt;

/** A size up to 600, and a number up to it. */
const sizes = fc.integer({ min: 1, max: MOST }).chain((size) => fc.tuple(fc.nat({ max: size }), fc.constant(size)));
const places = fc.integer({ min: 1, max: MOST }).chain((size) => fc.tuple(fc.nat({ max: size - 1 }), fc.constant(size)));

describe('the tree and its slow double', () => {
  it('hash leaves and nodes alike', () => {
    const entry = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(entry, entry, (one, two) => {
        const [left, right] = [leafHash(one), leafHash(two)];
        expect(hex([left, nodeHash(left, right)])).toEqual([
          slowLeaf(one.toString('hex')),
          slowNode(left.toString('hex'), right.toString('hex')),
        ]);
      }),
    );
  });

  it(`have the same root, planned and appended, at sizes up to ${MOST}`, () => {
    const growing = new MemoryTree();
    for (let size = 0; size <= MOST; size += 1) {
      const [appended, planned] = hex([growing.edgeRoot(), tree.root(big(size))]);
      expect([size, appended]).toEqual([size, planned]);
      // All small sizes, then those around the multiples of 16: the slow double costs as many hashes as there are leaves.
      if (size <= 130 || (size + 1) % 16 < 3) expect([size, appended]).toEqual([size, slowMth(D.slice(0, size))]);
      if (size < MOST) growing.append(leafHash(entries[size]!));
    }
  });

  it('make the same proofs for every small tree', () => {
    for (let size = 1; size <= 33; size += 1) {
      const part = D.slice(0, size);
      for (let at = 0; at < size; at += 1) expect(hex(tree.inclusion(big(at), big(size)))).toEqual(slowPath(at, part));
      for (let from = 1; from <= size; from += 1) expect(hex(tree.consistency(big(from), big(size)))).toEqual(slowProof(from, part));
    }
  });

  it('make the same proofs for larger trees, and the verifiers accept them', () => {
    fc.assert(
      fc.property(places, ([at, size]) => {
        const proof = tree.inclusion(big(at), big(size));
        expect(hex(proof)).toEqual(slowPath(at, D.slice(0, size)));
        expect(verifyInclusion(big(at), big(size), leafHash(entries[at]!), proof, tree.root(big(size)))).toBe(true);
      }),
    );
    fc.assert(
      fc.property(sizes, ([from, size]) => {
        const proof = tree.consistency(big(from), big(size));
        if (from > 0) expect(hex(proof)).toEqual(slowProof(from, D.slice(0, size)));
        expect(verifyConsistency(big(from), big(size), proof, tree.root(big(from)), tree.root(big(size)))).toBe(true);
      }),
    );
  });
});

describe('the verifiers and their slow doubles', () => {
  /** Every index and size, or pair of sizes, of a small tree. */
  const small = (first: bigint): (readonly [m: bigint, n: bigint])[] =>
    Array.from({ length: 17 * 18 }, (_none, at) => [big(at % 18), big(Math.floor(at / 18)) + 1n] as const).filter(
      ([m, n]) => m >= first && m <= n,
    );

  it('agree about every proof of a small tree under every other index and size', () => {
    let accepted = 0;
    for (let size = 1; size <= 14; size += 1)
      for (let at = 0; at < size; at += 1) {
        const [proof, leaf, root] = [tree.inclusion(big(at), big(size)), leafHash(entries[at]!), tree.root(big(size))];
        const slow = small(0n).filter(([m, n]) => slowPathHolds(m, n, leaf.toString('hex'), hex(proof), root.toString('hex')));
        expect([at, size, small(0n).filter(([m, n]) => verifyInclusion(m, n, leaf, proof, root))]).toEqual([at, size, slow]);
        accepted += slow.length;
      }
    expect(accepted).toBeGreaterThan(105); // more than the honest ones: a proof does not always bind the size
  });

  it('agree about every consistency proof of a small tree under every other pair of sizes', () => {
    let accepted = 0;
    for (let to = 2; to <= 12; to += 1)
      for (let from = 1; from < to; from += 1) {
        const [proof, rootFrom, rootTo] = [tree.consistency(big(from), big(to)), tree.root(big(from)), tree.root(big(to))];
        const slow = small(1n).filter(([m, n]) => slowProofHolds(m, n, hex(proof), rootFrom.toString('hex'), rootTo.toString('hex')));
        expect([from, to, small(1n).filter(([m, n]) => verifyConsistency(m, n, proof, rootFrom, rootTo))]).toEqual([from, to, slow]);
        accepted += slow.length;
      }
    expect(accepted).toBeGreaterThan(66);
  });

  /** Hashes that a forger has at hand: those of the honest proof and some of the tree. */
  const pool = (honest: readonly Buffer[]): fc.Arbitrary<Buffer[]> =>
    fc.array(fc.constantFrom(...honest, tree.root(1n), tree.root(2n), tree.root(9n)), { maxLength: 12 });
  const mixed = (honest: readonly Buffer[]): fc.Arbitrary<readonly Buffer[]> =>
    fc.oneof(fc.constant(honest), pool(honest), fc.shuffledSubarray([...honest]));

  it('agree about proofs put together from hashes of the tree, and accept the honest one alone', () => {
    const cases = places.chain(([at, size]) => fc.tuple(fc.constant({ at, size }), mixed(tree.inclusion(big(at), big(size)))));
    fc.assert(
      fc.property(cases, ([{ at, size }, proof]) => {
        const [index, n, leaf, root] = [big(at), big(size), leafHash(entries[at]!), tree.root(big(size))];
        const holds = verifyInclusion(index, n, leaf, proof, root);
        expect(holds).toBe(slowPathHolds(index, n, leaf.toString('hex'), hex(proof), root.toString('hex')));
        expect(holds).toBe(hex(proof).join() === hex(tree.inclusion(index, n)).join());
      }),
      { numRuns: 500 },
    );
    const pairs = sizes
      .filter(([from, to]) => from > 0 && from < to)
      .chain(([from, to]) => fc.tuple(fc.constant({ from, to }), mixed(tree.consistency(big(from), big(to)))));
    fc.assert(
      fc.property(pairs, ([{ from, to }, proof]) => {
        const [m, n, rootFrom, rootTo] = [big(from), big(to), tree.root(big(from)), tree.root(big(to))];
        const holds = verifyConsistency(m, n, proof, rootFrom, rootTo);
        expect(holds).toBe(slowProofHolds(m, n, hex(proof), rootFrom.toString('hex'), rootTo.toString('hex')));
        expect(holds).toBe(hex(proof).join() === hex(tree.consistency(m, n)).join());
      }),
      { numRuns: 500 },
    );
  });
});

describe('trees that no memory holds', () => {
  /** All leaves are alike but one, so a node is one of 63 hashes or lies on the way to that one. */
  function sparse(odd: bigint): (node: NodeId) => Buffer {
    const alike: Buffer[] = [leafHash(Buffer.from('alike'))];
    for (let level = 1; level < 64; level += 1) alike.push(nodeHash(alike[level - 1]!, alike[level - 1]!));
    return function node({ level, index }: NodeId): Buffer {
      if (odd >> big(level) !== index) return alike[level]!;
      if (level === 0) return leafHash(Buffer.from('odd'));
      return nodeHash(node({ level: level - 1, index: index * 2n }), node({ level: level - 1, index: index * 2n + 1n }));
    };
  }
  const size = fc.oneof(
    fc.bigInt({ min: 2n, max: MAX_TREE_SIZE }),
    fc.integer({ min: 1, max: 62 }).map((bits) => 2n ** big(bits) + 1n),
  );
  const below = size.chain((n) => fc.tuple(fc.bigInt({ min: 0n, max: n - 1n }), fc.constant(n)));

  it('prove their odd leaf at its index, and there only', () => {
    fc.assert(
      fc.property(below, fc.nat(), ([index, n], shift) => {
        const nodes = sparse(index);
        const [leaf, proof, root] = [nodes({ level: 0, index }), inclusionFrom(nodes, index, n), rootFrom(nodes, n)];
        expect(verifyInclusion(index, n, leaf, proof, root)).toBe(true);
        expect(slowPathHolds(index, n, leaf.toString('hex'), hex(proof), root.toString('hex'))).toBe(true);
        const elsewhere = (index + big(shift)) % n;
        expect(verifyInclusion(elsewhere, n, leaf, proof, root)).toBe(elsewhere === index);
      }),
    );
  });

  it('prove every older tree, and append as planned', () => {
    fc.assert(
      fc.property(below, fc.bigInt({ min: 0n, max: MAX_TREE_SIZE }), ([from, n], anywhere) => {
        const nodes = sparse(anywhere % n);
        const [proof, rootFromOld, rootNow] = [consistencyFrom(nodes, from, n), rootFrom(nodes, from), rootFrom(nodes, n)];
        expect(verifyConsistency(from, n, proof, rootFromOld, rootNow)).toBe(true);
        if (from > 0n) expect(slowProofHolds(from, n, hex(proof), rootFromOld.toString('hex'), rootNow.toString('hex'))).toBe(true);
        const rewritten = sparse((anywhere + 1n) % n);
        if (from > 0n) expect(verifyConsistency(from, n, proof, rootFromOld, rootFrom(rewritten, n))).toBe(false);
        const range = CompactRange.of(from, planRoot(from).nodes.map(nodes));
        range.append(nodes({ level: 0, index: from }), (node, hash) => expect(hash).toEqual(nodes(node)));
        expect(range.root()).toEqual(rootFrom(nodes, from + 1n));
      }),
      { examples: [[[3n, MAX_TREE_SIZE], 5n]] }, // a proof of 64 hashes, the most there can be
    );
  });
});

describe('proofs from tiles', () => {
  /** Reads nodes from tiles that are as wide as they are at this size, and from nothing else. The tiles are made by their definition. */
  function tilesAt(all: MemoryTree, size: bigint): (node: NodeId) => Buffer {
    const made = new Map<string, Buffer>();
    const make = (level: number, index: bigint): Buffer => {
      const places = Array.from({ length: tileWidthAt(level, index, size) }, (_none, at) => index * 256n + big(at));
      return Buffer.concat(places.map((place) => all.node({ level: level * 8, index: place })));
    };
    return (node) => {
      const { level, index, height, offset } = nodePlace(node);
      const tile = made.get(`${level}/${index}`) ?? make(level, index);
      made.set(`${level}/${index}`, tile);
      return nodeInTile(tile, height, offset);
    };
  }

  it(`agree with those from nodes, up to ${MOST} leaves`, () => {
    const around = fc.oneof(fc.integer({ min: 1, max: MOST }), fc.constantFrom(255, 256, 257, 511, 512, 513));
    const triples = around.chain((size) => fc.tuple(fc.constant(size), fc.nat({ max: size - 1 }), fc.nat({ max: size })));
    fc.assert(
      fc.property(triples, ([size, at, from]) => {
        const nodes = tilesAt(tree, big(size));
        expect(inclusionFrom(nodes, big(at), big(size))).toEqual(tree.inclusion(big(at), big(size)));
        expect(consistencyFrom(nodes, big(from), big(size))).toEqual(tree.consistency(big(from), big(size)));
        expect(rootFrom(nodes, big(size))).toEqual(tree.root(big(size)));
      }),
    );
  });

  it('agree with those from nodes in a tree of three tile levels: 70,000 leaves, the example of C2SP tlog-tiles', () => {
    const large = MemoryTree.of(testEntries(70_000));
    const sizesThere = [65_535n, 65_536n, 65_537n, 66_000n, 70_000n];
    for (const size of sizesThere) {
      const nodes = tilesAt(large, size);
      for (const at of [0n, 255n, 256n, 65_534n, size - 1n]) expect(inclusionFrom(nodes, at, size)).toEqual(large.inclusion(at, size));
      for (const from of [1n, 256n, 65_535n, size - 1n]) expect(consistencyFrom(nodes, from, size)).toEqual(large.consistency(from, size));
      expect(rootFrom(nodes, size)).toEqual(large.root(size));
    }
    expect(large.root(70_000n)).toEqual(large.edgeRoot());
  });
});
