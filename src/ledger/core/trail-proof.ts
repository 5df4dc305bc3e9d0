import { FormatError, HASH_BYTES } from './bytes';
import { encodeEntry, EntryKind } from './entry';
import { type CheckpointVerdict, type Policy, verifyCheckpoint } from './policy';
import { parseReceipt } from './receipt';
import { parseTrailBody, parseTrailRow, type TrailBatch, trailHash, trailLeaf, type TrailRow } from './trail';
import { leafHash, MAX_PROOF_HASHES, verifyInclusion } from './tree';
import { b64, b64Decode } from './vkey';
import type { Finding, FindingCode, Verdict } from './verdict';

/** Proof that one row of the trail stands in a log. Parsed only: nothing of it is verified yet. */
export interface TrailProof {
  /** The row's bytes, as text. */
  readonly row: string;
  /** Body of its batch, as text; null while the row is in none. */
  readonly batch: string | null;
  /** Place of the row in its batch, from 0; null without a batch. */
  readonly index: number | null;
  /** RFC 6962 audit path of the row within its batch, 32 bytes each. */
  readonly path: readonly Buffer[];
  /** C2SP tlog-proof of the batch's entry; null while it is under no checkpoint. */
  readonly receipt: string | null;
}

/** What a verification found. Everything but the verdict and the findings is there only if it was read; believe it under a VALID verdict only. */
export interface TrailProofReport {
  /** VALID, VALID_UNWITNESSED, INCOMPLETE (no batch or no receipt yet) or TAMPERED. */
  readonly verdict: Verdict;
  /** The height is the batch's number, 0 when it is not known. */
  readonly findings: readonly Finding[];
  readonly row?: TrailRow;
  readonly batch?: TrailBatch;
  readonly checkpoint?: CheckpointVerdict;
}

const SCHEMA = 'bjwt.trail-proof/1';
/** Larger than any proof: a row (4 KB), a body, two paths and a note. */
const MAX_CHARS = 262_144;
const MEMBERS = ['schema', 'row', 'batch', 'index', 'path', 'receipt'];
/** The closing quote is optional, so that a string which does not end is passed over once, not once for each quote in it. */
const STRING_OR_SPACE = /("(?:[^"\\]|\\.)*"?)|[ \t\r\n]+/g;

/** A proof as the object that is written as JSON: its members in their order, hashes in base64. */
export function trailProofJson({ row, batch, index, path, receipt }: TrailProof) {
  return { schema: SCHEMA, row, batch, index, path: path.map(b64), receipt };
}

/** A proof as JSON text. */
export function formatTrailProof(proof: TrailProof): string {
  return JSON.stringify(trailProofJson(proof));
}

/**
 * Reads a proof. White space between the parts is allowed; a second spelling of a text, or a member that stands twice, is not.
 * @throws FormatError `proof` or `proof.<member>`
 */
export function parseTrailProof(text: string): TrailProof {
  const value = readObject(text);
  for (const name of Object.keys(value)) if (!MEMBERS.includes(name)) throw new FormatError('proof', 'has a member that is unknown');
  if (value['schema'] !== SCHEMA) throw new FormatError('proof.schema', `is not ${SCHEMA}`);
  const { row, batch, index, path, receipt } = value;
  if (typeof row !== 'string') throw new FormatError('proof.row', 'is not a text');
  if (batch !== null && typeof batch !== 'string') throw new FormatError('proof.batch', 'is not a text or null');
  if (index !== null && !isIndex(index)) throw new FormatError('proof.index', 'is not a number from 0 or null');
  if (!Array.isArray(path) || path.length > MAX_PROOF_HASHES) throw new FormatError('proof.path', 'is not a list of hashes');
  if (receipt !== null && typeof receipt !== 'string') throw new FormatError('proof.receipt', 'is not a text or null');
  return { row, batch, index, path: path.map(hashOf), receipt };
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function hashOf(value: unknown): Buffer {
  if (typeof value !== 'string') throw new FormatError('proof.path', 'is not a list of hashes');
  return b64Decode(value, 'proof.path', HASH_BYTES);
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  if (text.length > MAX_CHARS) throw new FormatError('proof', 'is too long');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatError('proof', 'is not JSON');
  }
  if (JSON.stringify(value) !== text.replace(STRING_OR_SPACE, '$1')) throw new FormatError('proof', 'is not in its one form');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FormatError('proof', 'is not an object');
  return { ...value };
}

/**
 * Verifies a proof offline: the row stands in the batch, the batch stands in a log of the policy, under a checkpoint that its log signed. Never throws for a
 * hostile proof. What it shows: this row, exactly so, is in the trail that the log commits to; whoever holds a later checkpoint of the same log holds the
 * server to it. It does not show that the server wrote down everything that happened.
 */
export function verifyTrailProof(proof: TrailProof, policy: Policy): TrailProofReport {
  const found: { row?: TrailRow; batch?: TrailBatch; checkpoint?: CheckpointVerdict } = {};
  try {
    found.row = parseTrailRow(proof.row);
    if (proof.batch === null || proof.index === null) throw new Fault('LEAF_MISSING', 'trail.batch');
    found.batch = parseTrailBody(proof.batch);
    checkRow(proof, proof.index, found.row, found.batch);
    if (proof.receipt === null) throw new Fault('LEAF_MISSING', 'trail.receipt');
    found.checkpoint = checkReceipt(proof.batch, proof.receipt, policy);
    return { verdict: found.checkpoint.witnessed ? 'VALID' : 'VALID_UNWITNESSED', findings: [], ...found };
  } catch (error) {
    const fault = error instanceof FormatError ? new Fault('MALFORMED', error.field) : error;
    if (!(fault instanceof Fault)) throw error;
    const { code, field } = fault;
    const finding = { code, height: found.batch?.number ?? 0, field, ...(found.row && { recordId: found.row.id }) };
    return { verdict: code === 'LEAF_MISSING' ? 'INCOMPLETE' : 'TAMPERED', findings: [finding], ...found };
  }
}

/** The first thing that does not fit; what follows from it would say nothing more. */
class Fault extends Error {
  constructor(
    readonly code: FindingCode,
    readonly field: string,
  ) {
    super(`${code} ${field}`);
  }
}

function checkRow({ path }: TrailProof, index: number, row: TrailRow, { from, until, count, root }: TrailBatch): void {
  if (!verifyInclusion(BigInt(index), BigInt(count), trailLeaf(row), path, root)) throw new Fault('INCLUSION_INVALID', 'trail.path');
  if (row.id > until || (from !== null && row.id <= from)) throw new Fault('CONTENT_MISMATCH', 'trail.row');
}

function checkReceipt(body: string, text: string, policy: Policy): CheckpointVerdict {
  const receipt = parseReceipt(text);
  const verdict = verifyCheckpoint(receipt.checkpoint, policy);
  if ('invalid' in verdict) throw new Fault('CHECKPOINT_INVALID', verdict.invalid);
  const { size, root } = verdict.checkpoint;
  const leaf = leafHash(encodeEntry({ kind: EntryKind['access-log'], hash: trailHash(body) }));
  if (!verifyInclusion(receipt.index, size, leaf, receipt.proof, root)) throw new Fault('INCLUSION_INVALID', 'receipt.proof');
  return verdict;
}
