import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryTree } from '../../../test/reference/memory-tree';
import { EMPTY_ROOT, leafHash, verifyConsistency, verifyInclusion } from './tree';

/** Vectors of transparency-dev/merkle (Apache-2.0), when they lie beside the repository. */
const FOLDER = join(__dirname, '../../../../shared/vectors/merkle-rfc6962');
const vectors = (name: string, run: () => void): void => {
  if (existsSync(FOLDER)) it(name, run);
  else it.skip(`${name} (skipped: the vectors are not here)`, () => undefined);
};

interface Constants {
  readonly leafInputsHex: readonly string[];
  readonly rootHashesBySizeHex: readonly string[];
  readonly nodeHashesFlatHex: readonly string[];
  readonly accumulatedSubtreeVectors: readonly { readonly name: string; readonly sha256: string }[];
}
const constants = (): Constants => JSON.parse(readFileSync(join(FOLDER, 'tree-constants.json'), 'utf8')) as Constants;

interface InclusionCase {
  readonly leafIdx: string;
  readonly treeSize: string;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}
/** The two numbers become text first: some do not fit a double. */
const inclusionCase = (file: string): InclusionCase =>
  JSON.parse(readFileSync(file, 'utf8').replace(/("(?:leafIdx|treeSize)"): (\d+)/g, '$1: "$2"')) as InclusionCase;
const base64 = (text: string): Buffer => Buffer.from(text, 'base64');

describe('vectors of RFC 6962 trees', () => {
  vectors('the tree of 8 leaves: every leaf, every node, every root', () => {
    const { leafInputsHex, rootHashesBySizeHex, nodeHashesFlatHex } = constants();
    const tree = MemoryTree.of(leafInputsHex.map((hex) => Buffer.from(hex, 'hex')));
    expect(rootHashesBySizeHex.map((_root, size) => tree.root(BigInt(size)).toString('hex'))).toEqual(rootHashesBySizeHex);
    const levels = [8, 4, 2, 1].flatMap((count, level) =>
      Array.from({ length: count }, (_none, index) => ({ level, index: BigInt(index) })),
    );
    expect(levels.map((node) => tree.node(node).toString('hex'))).toEqual(nodeHashesFlatHex);
    expect(leafInputsHex).toHaveLength(8);
    expect(EMPTY_ROOT.toString('hex')).toBe(rootHashesBySizeHex[0]);
  });

  vectors('inclusion: every case is accepted or refused as it says', () => {
    const files = readdirSync(join(FOLDER, 'inclusion'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
    const ran = files.map((file) => {
      const { leafIdx, treeSize, leafHash: leaf, proof, root, wantErr } = inclusionCase(join(FOLDER, 'inclusion', file));
      const holds = verifyInclusion(BigInt(leafIdx), BigInt(treeSize), base64(leaf), (proof ?? []).map(base64), base64(root));
      expect([file, holds]).toEqual([file, !wantErr]);
      return holds;
    });
    expect([ran.length, ran.filter(Boolean).length]).toEqual([98, 6]);
  });
});

/**
 * The accumulated vectors of draft-ietf-plants-merkle-tree-certs, "Subtree Test Vectors": one SHA-256 over a line for each subtree of a tree of 130 leaves.
 * A subtree is a tree of its own, so roots, inclusion and consistency proofs of trees of every size up to 130 are in them.
 */
describe('accumulated vectors of subtrees', () => {
  const MOST = 130;
  const entries = Array.from({ length: MOST }, (_none, index) => Buffer.of(index));
  /** A subtree begins at a multiple of the power of two that is at or above its width. */
  const isSubtree = (start: number, end: number): boolean => start === end || start % 2 ** Math.ceil(Math.log2(end - start)) === 0;
  const upTo = (most: number): number[] => Array.from({ length: most + 1 }, (_none, value) => value);
  const subtrees = (size: number): [start: number, end: number][] =>
    upTo(size).flatMap((end) => upTo(end).flatMap((start): [number, number][] => (isSubtree(start, end) ? [[start, end]] : [])));
  /** Trees that begin at a leaf; one for all their sizes. */
  const trees = entries.map((_entry, start) => MemoryTree.of(entries.slice(start)));
  const treeAt = (start: number): MemoryTree => trees[start] ?? new MemoryTree();
  const line = (prefix: string, proof: readonly Buffer[]): string => [prefix, ...proof.map((hash) => hash.toString('hex'))].join(' ');
  const accumulated = (lines: readonly string[]): string =>
    createHash('sha256')
      .update(lines.map((text) => `${text}\n`).join(''))
      .digest('hex');
  const expected = (name: string): string | undefined =>
    constants().accumulatedSubtreeVectors.find((vector) => vector.name === name)?.sha256;

  vectors('roots', () => {
    const lines = subtrees(MOST).map(([start, end]) => line(`[${start}, ${end})`, [treeAt(start).root(BigInt(end - start))]));
    expect(accumulated(lines)).toBe(expected('TestSubtreeHashVectors'));
  });

  vectors('inclusion proofs', () => {
    const lines = subtrees(MOST).flatMap(([start, end]) =>
      entries.slice(start, end).map((entry, offset) => {
        const [index, size, tree] = [BigInt(offset), BigInt(end - start), treeAt(start)];
        const proof = tree.inclusion(index, size);
        if (!verifyInclusion(index, size, leafHash(entry), proof, tree.root(size))) throw new Error(`${offset} of [${start}, ${end})`);
        return line(`${start + offset} [${start}, ${end})`, proof);
      }),
    );
    expect(accumulated(lines)).toBe(expected('TestSubtreeInclusionProofVectors'));
  });

  /** What lies around a subtree that does not begin the tree is peeled off first; then it is the consistency proof of a tree. */
  const consistency = (start: number, end: number, from: number, to: number): Buffer[] => {
    if (start === end) return [];
    const size = to - from;
    if (start === from) {
      const [tree, old, now] = [treeAt(from), BigInt(end - from), BigInt(size)];
      const proof = tree.consistency(old, now);
      if (!verifyConsistency(old, now, proof, tree.root(old), tree.root(now))) throw new Error(`[${start}, ${end}) of [${from}, ${to})`);
      return proof;
    }
    let half = 1;
    while (half * 2 < size) half *= 2;
    const middle = from + half;
    return end <= middle
      ? [...consistency(start, end, from, middle), treeAt(middle).root(BigInt(to - middle))]
      : [...consistency(start, end, middle, to), treeAt(from).root(BigInt(half))];
  };

  vectors('consistency proofs', () => {
    const lines = upTo(MOST).map((size) =>
      subtrees(size).map(([start, end]) => line(`[${start}, ${end}) ${size}`, consistency(start, end, 0, size))),
    );
    expect(accumulated(lines.flat())).toBe(expected('TestSubtreeConsistencyProofVectors'));
  });
});
