import { FormatError, HASH_BYTES, requireBytes } from './bytes';
import { EMPTY_ROOT, isTreeSize, MAX_TREE_SIZE, nodeHash } from './tree-proofs';

export {
  EMPTY_ROOT,
  isTreeSize,
  leafHash,
  MAX_PROOF_HASHES,
  MAX_TREE_SIZE,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from './tree-proofs';

/** A perfect subtree of a tree: the leaves from `index * 2^level` to below `(index + 1) * 2^level`. */
export interface NodeId {
  /** Height of the subtree; a leaf has 0. */
  readonly level: number;
  /** Position among the nodes of its level, from 0. */
  readonly index: bigint;
}

/**
 * Right edge of a tree (RFC 6962 section 2.1): the roots of its perfect subtrees from left (largest) to right, one for each one-bit of the size. It is all
 * that appending needs. An append costs one hash on average and log2(size) at most.
 */
export class CompactRange {
  #size: bigint;
  readonly #hashes: Buffer[];

  private constructor(size: bigint, hashes: readonly Buffer[]) {
    this.#size = size;
    this.#hashes = [...hashes];
  }

  /** The tree without leaves. */
  static empty(): CompactRange {
    return new CompactRange(0n, []);
  }

  /** The tree that was stored as these two. @throws FormatError `range` unless there are as many hashes, of 32 bytes, as `size` has one-bits */
  static of(size: bigint, hashes: readonly Buffer[]): CompactRange {
    if (!isTreeSize(size)) throw new FormatError('range', 'has no possible size');
    if (perfectNodes({ start: 0n, end: size }).length !== hashes.length)
      throw new FormatError('range', 'has not one hash for each one-bit of its size');
    if (hashes.some((hash) => hash.length !== HASH_BYTES)) throw new FormatError('range', `must consist of hashes of ${HASH_BYTES} bytes`);
    return new CompactRange(size, hashes);
  }

  /** How many leaves there are. */
  get size(): bigint {
    return this.#size;
  }

  /** The roots from left to right. A new array; the buffers are the range's own and not to be written to. */
  get hashes(): readonly Buffer[] {
    return [...this.#hashes];
  }

  /**
   * Adds a leaf on the right.
   * @param leaf the leaf hash, 32 bytes; kept, not copied
   * @param completed is told every perfect subtree that this leaf completes, from the leaf itself (level 0) upwards, after the range has changed
   * @throws RangeError on another size of the hash, or when the tree is full ({@link MAX_TREE_SIZE}); the range is then as before
   */
  append(leaf: Buffer, completed?: (node: NodeId, hash: Buffer) => void): void {
    requireBytes('leaf', leaf, HASH_BYTES);
    if (this.#size >= MAX_TREE_SIZE) throw new RangeError('the tree is full');
    const done: { node: NodeId; hash: Buffer }[] = [];
    let hash = leaf;
    let index = this.#size;
    // Each trailing one-bit of the size is a perfect subtree of the height that the new one has reached: the two become one.
    for (let level = 0; ; level += 1) {
      done.push({ node: { level, index }, hash });
      const left = (index & 1n) === 1n ? this.#hashes.pop() : undefined;
      if (!left) break;
      hash = nodeHash(left, hash);
      index >>= 1n;
    }
    this.#hashes.push(hash);
    this.#size += 1n;
    if (completed) for (const complete of done) completed(complete.node, complete.hash);
  }

  /** Root of the tree. */
  root(): Buffer {
    return foldEdge(this.#hashes);
  }
}

/** Which nodes a proof needs, and how to fold them once they are read. Every node is complete in the tree that was asked for. */
export interface ProofPlan {
  readonly nodes: readonly NodeId[];
  /** @param hashes of {@link nodes}, in their order @returns the hashes of the proof @throws RangeError on another number of hashes, or another size */
  build(hashes: readonly Buffer[]): Buffer[];
}

/** What RFC 6962 section 2.1.1 calls PATH(index, D[size]): proof that a leaf stands there. @throws RangeError unless 0 <= index < size <= 2^63-1 */
export function planInclusion(index: bigint, size: bigint): ProofPlan {
  if (!isTreeSize(index) || !isTreeSize(size) || index >= size)
    throw new RangeError(`no leaf ${String(index)} in a tree of ${String(size)}`);
  return planOf(descend(index, size, ({ start, end }) => end - start === 1n).siblings);
}

/**
 * What RFC 6962 section 2.1.2 calls PROOF(from, D[to]): proof that the tree of `from` leaves is the beginning of that of `to`. Without nodes when there is
 * nothing to prove: `from` is 0 or `to`.
 * @throws RangeError unless 0 <= from <= to <= 2^63-1
 */
export function planConsistency(from: bigint, to: bigint): ProofPlan {
  if (!isTreeSize(from) || !isTreeSize(to) || from > to)
    throw new RangeError(`no tree of ${String(from)} leaves begins one of ${String(to)}`);
  if (from === 0n) return planOf([]);
  const { reached, siblings } = descend(from - 1n, to, ({ end }) => end === from);
  // From leaf 0 on it is the whole old tree, whose root the verifier has. Otherwise it is the old tree's last part, and the proof begins with it.
  return planOf(reached.start === 0n ? siblings : [reached, ...siblings]);
}

/** What the root needs: `build` gives one hash, RFC 6962 section 2.1 MTH(D[size]). @throws RangeError unless 0 <= size <= 2^63-1 */
export function planRoot(size: bigint): ProofPlan {
  if (!isTreeSize(size)) throw new RangeError(`no tree of ${String(size)} leaves`);
  return planOf([{ start: 0n, end: size }]);
}

/** The leaves from `start` to below `end`: a subtree of the recursive definition, so `start` is a multiple of the power of two at or above its width. */
interface Subtree {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Goes down from the root of a tree of `size` leaves towards leaf `index`, until `there`. Gives the subtree that was reached, and those that were not entered,
 * lowest first.
 */
function descend(
  index: bigint,
  size: bigint,
  there: (subtree: Subtree) => boolean,
): { readonly reached: Subtree; readonly siblings: Subtree[] } {
  const siblings: Subtree[] = [];
  let reached: Subtree = { start: 0n, end: size };
  for (let half = 1n << BigInt(size.toString(2).length - 1); half > 0n && !there(reached); half >>= 1n) {
    const { start, end } = reached;
    const middle = start + half;
    if (middle >= end) continue; // the subtree is too narrow to split at this power of two
    const [left, right] = [
      { start, end: middle },
      { start: middle, end },
    ];
    reached = index < middle ? left : right;
    siblings.push(index < middle ? right : left);
  }
  return { reached, siblings: siblings.reverse() };
}

/** The perfect subtrees that a subtree consists of, largest first: one for each one-bit of its width. */
function perfectNodes({ start, end }: Subtree): NodeId[] {
  const bits = (end - start).toString(2);
  const nodes: NodeId[] = [];
  let next = start;
  for (let level = bits.length - 1; level >= 0; level -= 1) {
    if (bits[bits.length - 1 - level] === '0') continue;
    nodes.push({ level, index: next >> BigInt(level) });
    next += 1n << BigInt(level);
  }
  return nodes;
}

/** Root of a tree from the roots of its perfect subtrees, left to right: the two rightmost become one, until one is left. */
function foldEdge(hashes: readonly Buffer[]): Buffer {
  return hashes.length === 0 ? EMPTY_ROOT : hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** A plan that gives the hash of each of the subtrees. */
function planOf(subtrees: readonly Subtree[]): ProofPlan {
  const parts = subtrees.map(perfectNodes);
  const nodes = parts.flat();
  const build = (hashes: readonly Buffer[]): Buffer[] => {
    if (hashes.length !== nodes.length) throw new RangeError(`a plan of ${nodes.length} nodes needs as many hashes, not ${hashes.length}`);
    for (const hash of hashes) requireBytes('hash', hash, HASH_BYTES);
    let read = 0;
    return parts.map((part) => foldEdge(hashes.slice(read, (read += part.length))));
  };
  return { nodes, build };
}
