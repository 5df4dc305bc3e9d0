import { HASH_BYTES, isBytes, requireBytes, sha256 } from './bytes';

/** Hashes of RFC 6962 section 2.1 (SHA-256) and what a verifier does with them. How a log makes the proofs is in tree.ts. */

/** Root of the tree without leaves: SHA-256 of nothing. Not to be written to. */
export const EMPTY_ROOT: Buffer = sha256('');

/** Most leaves that a tree can have: 2^63-1, as in C2SP. */
export const MAX_TREE_SIZE = 2n ** 63n - 1n;

/** Most hashes of a proof that are looked at: what the consistency of a tree of {@link MAX_TREE_SIZE} can need. C2SP tlog-witness sends at most 63. */
export const MAX_PROOF_HASHES = 64;

const LEAF = Buffer.of(0);
/** The input of {@link nodeHash}: one buffer serves all nodes, for hashing keeps nothing of it. */
const PAIR = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** Hash of a leaf: SHA-256(0x00 || entry). The first byte keeps an entry from ever being read as a pair of nodes. */
export function leafHash(entry: Uint8Array): Buffer {
  return sha256(Buffer.concat([LEAF, entry]));
}

/** Hash of an inner node: SHA-256(0x01 || left || right). @throws RangeError unless both have 32 bytes */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  requireBytes('left', left, HASH_BYTES);
  requireBytes('right', right, HASH_BYTES);
  PAIR.set(left, 1);
  PAIR.set(right, 1 + HASH_BYTES);
  return sha256(PAIR);
}

/** Whether `value` can be the size of a tree: a bigint from 0 to {@link MAX_TREE_SIZE}. */
export function isTreeSize(value: unknown): value is bigint {
  return typeof value === 'bigint' && value >= 0n && value <= MAX_TREE_SIZE;
}

/**
 * Whether `leaf` (a leaf hash) stands at `index` in the tree of `size` leaves with this root: RFC 9162 section 2.1.3.2. False for anything that is not
 * of the right form; it never throws.
 *
 * The proof binds the size only as far as it changes the way from the leaf to the root, so the size must come from where the root comes from: a
 * checkpoint. That `leaf` is the hash of an entry, and not of an inner node, is the caller's to know: it hashes the entry itself.
 */
export function verifyInclusion(index: bigint, size: bigint, leaf: Buffer, proof: readonly Buffer[], root: Buffer): boolean {
  if (!isTreeSize(index) || !isTreeSize(size) || index >= size) return false;
  if (!areHashes([leaf, root]) || !areHashes(proof)) return false;
  const climb = new Climb(index, size - 1n);
  let hash = leaf;
  for (const sibling of proof) {
    const side = climb.next();
    if (!side) return false;
    hash = side === 'left' ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  }
  return climb.atRoot && hash.equals(root);
}

/**
 * Whether the tree of `to` leaves begins with the leaves of the tree of `from` leaves: RFC 9162 section 2.1.4.2, and C2SP tlog-witness for its two bare
 * cases: every tree continues the empty one (`rootFrom` must be {@link EMPTY_ROOT}), and equal sizes need equal roots; the proof is empty in both.
 * False for anything that is not of the right form; it never throws. Both sizes must come from where their roots come from.
 */
export function verifyConsistency(from: bigint, to: bigint, proof: readonly Buffer[], rootFrom: Buffer, rootTo: Buffer): boolean {
  if (!isTreeSize(from) || !isTreeSize(to) || from > to) return false;
  if (!areHashes([rootFrom, rootTo]) || !areHashes(proof)) return false;
  if (from === 0n && !rootFrom.equals(EMPTY_ROOT)) return false;
  if (from === to) return proof.length === 0 && rootFrom.equals(rootTo);
  if (from === 0n) return proof.length === 0;
  // A power of two is one perfect subtree: its root is where the climb begins, and the proof leaves it out.
  const [start, ...siblings] = (from & (from - 1n)) === 0n ? [rootFrom, ...proof] : proof;
  if (!start) return false;
  const climb = new Climb(from - 1n, to - 1n);
  climb.leaveLeft();
  let [hashFrom, hashTo] = [start, start];
  for (const sibling of siblings) {
    const side = climb.next();
    if (!side) return false;
    if (side === 'left') hashFrom = nodeHash(sibling, hashFrom);
    hashTo = side === 'left' ? nodeHash(sibling, hashTo) : nodeHash(hashTo, sibling);
  }
  return climb.atRoot && hashFrom.equals(rootFrom) && hashTo.equals(rootTo);
}

/** The way up from a node to the root: `index` and `last` are positions in the node's level, `last` that of the level's last node. */
class Climb {
  constructor(
    private index: bigint,
    private last: bigint,
  ) {}

  get atRoot(): boolean {
    return this.last === 0n;
  }

  /** Side of the next sibling, one level up or more: a last node without a sibling is its own parent. Undefined at the root. */
  next(): 'left' | 'right' | undefined {
    if (this.atRoot) return undefined;
    const left = isOdd(this.index) || this.index === this.last;
    if (left) while (!isOdd(this.index) && this.index !== 0n) this.up();
    this.up();
    return left ? 'left' : 'right';
  }

  /** Goes up as long as the node is a right child: to the largest perfect subtree that ends with it. */
  leaveLeft(): void {
    while (isOdd(this.index)) this.up();
  }

  private up(): void {
    this.index >>= 1n;
    this.last >>= 1n;
  }
}

function isOdd(value: bigint): boolean {
  return (value & 1n) === 1n;
}

/** Whether these are hashes, and not more than a proof may have. Holes of an array are seen too. */
function areHashes(values: readonly unknown[]): boolean {
  if (!Array.isArray(values) || values.length > MAX_PROOF_HASHES) return false;
  for (const value of values) if (!isBytes(value, HASH_BYTES)) return false;
  return true;
}
