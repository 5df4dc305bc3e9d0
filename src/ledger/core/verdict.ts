/**
 * What a verification says in one word, worst last:
 * - `VALID`: everything that was checked fits. Of a chain alone this says that it is whole and consistent in itself up to the given head;
 *   that nobody recomputed it as a whole, only the log and its witnesses can say.
 * - `VALID_UNWITNESSED`: the same and proven in the log, but under a checkpoint without enough cosignatures. Given by the log's verifier only:
 *   a chain knows no checkpoint.
 * - `ERASED`: everything fits, and at least one content was erased under a sealed ERASE block.
 * - `INCOMPLETE`: nothing contradicts, but something that should be there is missing.
 * - `TAMPERED`: something contradicts.
 */
export const VERDICTS = ['VALID', 'VALID_UNWITNESSED', 'ERASED', 'INCOMPLETE', 'TAMPERED'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Why. The closed list of the ledger format. */
export const FINDING_CODES = [
  'CONTENT_MISMATCH',
  'CIPHERTEXT_MISMATCH',
  'HEADER_MISMATCH',
  'BROKEN_LINK',
  'HEIGHT_GAP',
  'LEAF_MISSING',
  'LEAF_MISMATCH',
  'INCLUSION_INVALID',
  'CONSISTENCY_INVALID',
  'ATTESTATION_INVALID',
  'KEY_UNKNOWN',
  'KEY_REVOKED',
  'CHECKPOINT_INVALID',
  'HEAD_MISMATCH',
  'ROLLBACK',
  'MALFORMED',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** One thing that does not fit, where: the height in the chain and the name of the field, e.g. `ciphertext`, `header.prevHash`. */
export interface Finding {
  readonly code: FindingCode;
  readonly height: number;
  readonly field: string;
  /** As stored in that row, when it is a well-formed id: a hint where to look, itself not proven. */
  readonly recordId?: string;
}

/** The newest block of a chain: its height and block hash (32 bytes). */
export interface ChainHead {
  readonly height: number;
  readonly hash: Buffer;
}

/** One record version whose content is gone lawfully; its own verdict is `ERASED`. */
export interface Erasure {
  readonly height: number;
  readonly recordId: string;
  /** Height of the ERASE block that speaks of it. */
  readonly erasedBy: number;
}

/** The result of one walk over a chain. */
export interface ChainReport {
  readonly verdict: Verdict;
  /** Base64url of the 16 bytes, as in `sub` of an attestation. */
  readonly chainId: string;
  /** Blocks seen. */
  readonly blocks: number;
  /** The last block seen, its hash as computed; absent when there was none. */
  readonly head?: ChainHead;
  /** By height; the first {@link MAX_FINDINGS} that were made. */
  readonly findings: readonly Finding[];
  /** Further findings that were counted but not kept. */
  readonly omitted: number;
  readonly erased: readonly Erasure[];
}

/** Bound on kept findings, so that a wholly recomputed chain cannot exhaust the verifier's memory. */
export const MAX_FINDINGS = 1000;
