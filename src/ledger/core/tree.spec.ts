import { createHash } from 'node:crypto';
import { MemoryTree, testEntries } from '../../../test/reference/memory-tree';
import { FormatError, sha256 } from './bytes';
import {
  CompactRange,
  EMPTY_ROOT,
  isTreeSize,
  leafHash,
  MAX_PROOF_HASHES,
  MAX_TREE_SIZE,
  type NodeId,
  nodeHash,
  planConsistency,
  planInclusion,
  planRoot,
  verifyInclusion,
} from './tree';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((text) => leafHash(Buffer.from(text))) as [Buffer, Buffer, Buffer, Buffer];
const ab = nodeHash(a, b);
const named = ({ level, index }: NodeId): string => `${level}/${index}`;

describe('hashes of a tree', () => {
  it('are SHA-256 with a byte in front: 0 for a leaf, 1 for a node', () => {
    const raw = (...parts: (string | Buffer)[]): Buffer =>
      createHash('sha256')
        .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
        .digest();
    expect(leafHash(Buffer.from('entry'))).toEqual(raw('\0entry'));
    expect(leafHash(Buffer.alloc(0))).toEqual(raw('\0'));
    expect(nodeHash(a, b)).toEqual(raw('\x01', a, b));
    expect(EMPTY_ROOT).toEqual(raw());
  });

  it.each([0, 31, 33, 64])('a node is not made of %p bytes', (size) => {
    expect(() => nodeHash(Buffer.alloc(size), b)).toThrow(RangeError);
    expect(() => nodeHash(a, Buffer.alloc(size))).toThrow(RangeError);
  });

  it('ATTACK leaf/node confusion: no entry has the hash of a node, and a node is not a leaf of the tree', () => {
    const tree = MemoryTree.of(['a', 'b', 'c', 'd'].map((text) => Buffer.from(text)));
    const root = tree.root(4n);
    for (const forged of [Buffer.concat([a, b]), Buffer.concat([Buffer.of(1), a, b])]) {
      expect(leafHash(forged)).not.toEqual(ab);
      for (let index = 0n; index < 4n; index += 1n)
        for (const proof of [[nodeHash(c, d)], tree.inclusion(index, 4n)])
          expect(verifyInclusion(index, 4n, leafHash(forged), proof, root)).toBe(false);
    }
    // The hash of the node a|b stands one level too high for a leaf of a tree of 4.
    for (let index = 0n; index < 4n; index += 1n)
      for (const proof of [[nodeHash(c, d)], [nodeHash(c, d), nodeHash(c, d)], []])
        expect(verifyInclusion(index, 4n, ab, proof, root)).toBe(false);
    // And the root of a tree is not its own only leaf.
    expect(verifyInclusion(0n, 4n, root, [], root)).toBe(false);
  });

  it('ATTACK duplicated last leaf: a leaf that is doubled at the end changes the root, and cannot be proven', () => {
    const roots = new Set<string>();
    for (let size = 1; size <= 40; size += 1) {
      const entries = testEntries(size);
      const last = entries.slice(-1);
      const doubled = MemoryTree.of([...entries, ...last]);
      const [root, forged] = [MemoryTree.of(entries).root(BigInt(size)), doubled.root(BigInt(size) + 1n)];
      roots.add(root.toString('hex')).add(forged.toString('hex'));
      const proof = doubled.inclusion(BigInt(size), BigInt(size) + 1n);
      const copy = leafHash(Buffer.concat(last));
      expect(verifyInclusion(BigInt(size), BigInt(size) + 1n, copy, proof, forged)).toBe(true);
      expect(verifyInclusion(BigInt(size), BigInt(size) + 1n, copy, proof, root)).toBe(false);
      expect(verifyInclusion(BigInt(size), BigInt(size), copy, proof, root)).toBe(false);
    }
    expect(roots.size).toBe(80);
  });
});

describe('CompactRange', () => {
  it('keeps the roots of the perfect subtrees, left to right', () => {
    const range = CompactRange.empty();
    expect([range.size, range.hashes, range.root()]).toEqual([0n, [], EMPTY_ROOT]);
    const edges = [[a], [ab], [ab, c], [nodeHash(ab, nodeHash(c, d))]];
    for (const [index, leaf] of [a, b, c, d].entries()) {
      range.append(leaf);
      expect([range.size, range.hashes]).toEqual([BigInt(index + 1), edges[index]]);
    }
  });

  it('joins the right edge from the right', () => {
    const edge = [a, b, c].map((hash) => sha256(hash));
    const [x, y, z] = edge as [Buffer, Buffer, Buffer];
    expect(CompactRange.of(0b10101n, edge).root()).toEqual(nodeHash(x, nodeHash(y, z)));
    expect(CompactRange.of(4n, [x]).root()).toEqual(x);
  });

  it('tells every subtree that a leaf completes, from the leaf upwards', () => {
    const range = CompactRange.empty();
    const told: string[][] = [];
    for (const leaf of [a, b, c, d]) {
      const nodes: string[] = [];
      range.append(leaf, (node, hash) => {
        nodes.push(named(node));
        if (named(node) === '1/0') expect(hash).toEqual(ab);
        if (named(node) === '2/0') expect([hash]).toEqual(range.hashes);
      });
      told.push(nodes);
    }
    expect(told).toEqual([['0/0'], ['0/1', '1/0'], ['0/2'], ['0/3', '1/1', '2/0']]);
  });

  it('goes on from where it was stored, and leaves alone what it was given and what it gave', () => {
    const stored = [ab, c];
    const range = CompactRange.of(3n, stored);
    const before = range.hashes;
    range.append(d);
    expect(range.hashes).toEqual([nodeHash(ab, nodeHash(c, d))]);
    expect([stored, before]).toEqual([
      [ab, c],
      [ab, c],
    ]);
  });

  it('is as before when a leaf is refused, and whole when a listener throws', () => {
    const range = CompactRange.of(3n, [ab, c]);
    for (const size of [0, 31, 33]) expect(() => range.append(Buffer.alloc(size))).toThrow(RangeError);
    expect([range.size, range.hashes]).toEqual([3n, [ab, c]]);
    const stop = (): never => {
      throw new Error('stop');
    };
    expect(() => range.append(d, stop)).toThrow('stop');
    expect([range.size, range.hashes]).toEqual([4n, [nodeHash(ab, nodeHash(c, d))]]);
  });

  it.each([
    ['too few hashes', 3n, [a]],
    ['too many hashes', 4n, [a, b]],
    ['a hash of an empty tree', 0n, [a]],
    ['a short hash', 3n, [a, b.subarray(1)]],
    ['a long hash', 1n, [Buffer.concat([a, b])]],
    ['a negative size', -1n, [a]],
    ['a size beyond 2^63-1', 2n ** 63n, [a]],
  ])('refuses %s', (_what, size, hashes) => {
    expect(() => CompactRange.of(size, hashes)).toThrow(FormatError);
    expect(() => CompactRange.of(size, hashes)).toThrow(/^range /);
  });

  it('ends at 2^63-1 leaves', () => {
    const edge = (size: bigint): Buffer[] => [...size.toString(2).replaceAll('0', '')].map(() => a);
    const range = CompactRange.of(MAX_TREE_SIZE - 1n, edge(MAX_TREE_SIZE - 1n));
    range.append(b);
    expect(range.size).toBe(MAX_TREE_SIZE);
    expect(() => range.append(b)).toThrow(RangeError);
    expect(range.hashes).toHaveLength(63);
  });
});

describe('plans', () => {
  it('name the nodes of the examples of RFC 6962 section 2.1.3', () => {
    const inclusion = (index: bigint): string[] => planInclusion(index, 7n).nodes.map(named);
    // [b,h,l], [c,g,l], [f,j,k], [i,k]; l is not perfect: its parts are i and j.
    expect([inclusion(0n), inclusion(3n), inclusion(4n), inclusion(6n)]).toEqual([
      ['0/1', '1/1', '1/2', '0/6'],
      ['0/2', '1/0', '1/2', '0/6'],
      ['0/5', '0/6', '2/0'],
      ['1/2', '2/0'],
    ]);
    const consistency = (from: bigint): string[] => planConsistency(from, 7n).nodes.map(named);
    expect([consistency(3n), consistency(4n), consistency(6n)]).toEqual([
      ['0/2', '0/3', '1/0', '1/2', '0/6'],
      ['1/2', '0/6'],
      ['1/2', '0/6', '2/0'],
    ]);
    expect(planRoot(7n).nodes.map(named)).toEqual(['2/0', '1/2', '0/6']);
  });

  it('need nothing where there is nothing to prove', () => {
    for (const plan of [planConsistency(0n, 0n), planConsistency(0n, 9n), planConsistency(9n, 9n), planInclusion(0n, 1n)])
      expect([plan.nodes, plan.build([])]).toEqual([[], []]);
    expect(planRoot(0n).build([])).toEqual([EMPTY_ROOT]);
  });

  it('refuse another number of hashes, or hashes of another size', () => {
    const plan = planInclusion(0n, 7n);
    expect(plan.build([a, b, c, d])).toEqual([a, b, nodeHash(c, d)]);
    for (const hashes of [[], [a, b, c], [a, b, c, d, a], [a.subarray(1), b, c, d], [a, b, c, d.subarray(1)]])
      expect(() => plan.build(hashes)).toThrow(RangeError);
  });

  it('ATTACK huge indexes: a plan is refused for what no tree has, and small for the largest tree', () => {
    const huge = [-1n, 2n ** 63n, 2n ** 64n, 2n ** 64n + 1n, 2n ** 4096n];
    for (const value of huge) {
      expect(isTreeSize(value)).toBe(false);
      for (const plan of [planRoot, (size: bigint) => planConsistency(1n, size), (from: bigint) => planConsistency(from, MAX_TREE_SIZE)])
        expect(() => plan(value)).toThrow(RangeError);
      expect(() => planInclusion(0n, value)).toThrow(RangeError);
      expect(() => planInclusion(value, MAX_TREE_SIZE)).toThrow(RangeError);
    }
    expect(() => planInclusion(7n, 7n)).toThrow(RangeError);
    expect(() => planInclusion(0n, 0n)).toThrow(RangeError);
    expect(() => planConsistency(8n, 7n)).toThrow(RangeError);
    expect([5, '5', null, 2 ** 63].some(isTreeSize)).toBe(false);
    expect(planRoot(MAX_TREE_SIZE).nodes).toHaveLength(63);
    const last = planInclusion(MAX_TREE_SIZE - 1n, MAX_TREE_SIZE);
    expect(last.build(last.nodes.map(() => a))).toHaveLength(62);
    const first = planInclusion(0n, MAX_TREE_SIZE);
    expect(first.build(first.nodes.map(() => a))).toHaveLength(63);
    const longest = planConsistency(3n, MAX_TREE_SIZE);
    expect(longest.build(longest.nodes.map(() => a))).toHaveLength(MAX_PROOF_HASHES);
  });
});
