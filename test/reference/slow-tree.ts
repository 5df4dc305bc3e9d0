import { createHash } from 'node:crypto';

/**
 * A second, slow and obvious implementation of the trees and proofs of RFC 6962 section 2.1: its recursive definitions, one by one, over arrays. It shares
 * no code with `src/ledger/core` and works on hexadecimal text, so that the two are unlikely to be wrong in the same way. D is a list of entries.
 */

const sha256 = (hex: string): string => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex');

export const slowLeaf = (entry: string): string => sha256(`00${entry}`);
export const slowNode = (left: string, right: string): string => sha256(`01${left}${right}`);

/** "the largest power of two smaller than n" (n > 1) */
export function slowK(n: bigint): bigint {
  let k = 1n;
  while (k * 2n < n) k *= 2n;
  return k;
}
const halves = (D: readonly string[]): [k: number, left: readonly string[], right: readonly string[]] => {
  const k = Number(slowK(BigInt(D.length)));
  return [k, D.slice(0, k), D.slice(k)];
};

/** MTH(D[n]): the root. */
export function slowMth(D: readonly string[]): string {
  if (D.length === 0) return sha256('');
  if (D.length === 1) return slowLeaf(D[0]!);
  const [, left, right] = halves(D);
  return slowNode(slowMth(left), slowMth(right));
}

/** PATH(m, D[n]): the proof that entry m is in D. */
export function slowPath(m: number, D: readonly string[]): string[] {
  if (D.length === 1) return [];
  const [k, left, right] = halves(D);
  return m < k ? [...slowPath(m, left), slowMth(right)] : [...slowPath(m - k, right), slowMth(left)];
}

/** PROOF(m, D[n]): the proof that the first m entries of D are its beginning. */
export const slowProof = (m: number, D: readonly string[]): string[] => slowSubproof(m, D, true);

function slowSubproof(m: number, D: readonly string[], b: boolean): string[] {
  if (m === D.length) return b ? [] : [slowMth(D)];
  const [k, left, right] = halves(D);
  return m <= k ? [...slowSubproof(m, left, b), slowMth(right)] : [...slowSubproof(m - k, right, false), slowMth(left)];
}

/** Whether a path leads from a leaf hash to a root: PATH read backwards, its last hash first. */
export function slowPathHolds(m: bigint, n: bigint, leaf: string, path: readonly string[], root: string): boolean {
  return m < n && rootOfPath(m, n, leaf, path) === root;
}

function rootOfPath(m: bigint, n: bigint, leaf: string, path: readonly string[]): string | undefined {
  if (n === 1n) return path.length === 0 ? leaf : undefined;
  const [k, rest, last] = [slowK(n), path.slice(0, -1), path.at(-1)];
  if (last === undefined) return undefined;
  const below = m < k ? rootOfPath(m, k, leaf, rest) : rootOfPath(m - k, n - k, leaf, rest);
  if (below === undefined) return undefined;
  return m < k ? slowNode(below, last) : slowNode(last, below);
}

/** Whether a proof shows that the tree of n continues the tree of m: SUBPROOF read backwards. For 0 < m <= n. */
export function slowProofHolds(m: bigint, n: bigint, proof: readonly string[], oldRoot: string, newRoot: string): boolean {
  const [old, now] = rootsOfSubproof(m, n, true, oldRoot, proof) ?? [];
  return old === oldRoot && now === newRoot;
}

type Roots = readonly [old: string, now: string] | undefined;

function rootsOfSubproof(m: bigint, n: bigint, b: boolean, oldRoot: string, proof: readonly string[]): Roots {
  const last = proof.at(-1);
  if (m === n && b) return proof.length === 0 ? [oldRoot, oldRoot] : undefined;
  if (last === undefined) return undefined;
  if (m === n) return proof.length === 1 ? [last, last] : undefined;
  const [k, rest] = [slowK(n), proof.slice(0, -1)];
  const below = m <= k ? rootsOfSubproof(m, k, b, oldRoot, rest) : rootsOfSubproof(m - k, n - k, false, oldRoot, rest);
  if (below === undefined) return undefined;
  const [old, now] = below;
  return m <= k ? [old, slowNode(now, last)] : [slowNode(last, old), slowNode(last, now)];
}
