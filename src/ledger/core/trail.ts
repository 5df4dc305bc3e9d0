import { FormatError, HASH_BYTES, isUuid, sha256 } from './bytes';
import { CompactRange, leafHash, type NodeId, planInclusion } from './tree';
import { b64, b64Decode } from './vkey';

/**
 * The trail of accesses in the form in which it is hashed (docs/ledger-format.md, Access log batches): one row is one leaf of the tree of its batch,
 * and a batch is one entry of kind access-log in the log of each hospital.
 */

/** Columns of a row, in the order in which they are hashed. Closed: another set of columns is another schema. */
export const TRAIL_COLUMNS = [
  'id',
  'at',
  'action',
  'outcome',
  'actorId',
  'actorRole',
  'actorHospitalId',
  'hospitalId',
  'patientId',
  'subjectId',
  'purpose',
  'kind',
  'reason',
  'rules',
  'contractVersion',
  'count',
  'setDigest',
  'headHeight',
  'requestId',
] as const;
export type TrailColumn = (typeof TRAIL_COLUMNS)[number];
type NumberColumn = 'at' | 'contractVersion' | 'count' | 'headHeight';
type RequiredColumn = 'id' | 'at' | 'action' | 'outcome' | 'requestId';

/** One row: texts as they are stored, numbers as safe integers, `at` in ms since the epoch. */
export type TrailRow = {
  readonly [C in TrailColumn]: (C extends NumberColumn ? number : string) | (C extends RequiredColumn ? never : null);
};

const ROW_SCHEMA = 'bjwt.access-log-row/1';
const NUMBERS: ReadonlySet<TrailColumn> = new Set<NumberColumn>(['at', 'contractVersion', 'count', 'headHeight']);
const REQUIRED: ReadonlySet<TrailColumn> = new Set<RequiredColumn>(['id', 'at', 'action', 'outcome', 'requestId']);

function isValueOf(column: TrailColumn, value: unknown): boolean {
  if (value === null) return !REQUIRED.has(column);
  if (column === 'id') return isUuid(value);
  return NUMBERS.has(column) ? Number.isSafeInteger(value) : typeof value === 'string';
}

function isTrailRow(row: Readonly<Record<string, unknown>>): row is TrailRow {
  return TRAIL_COLUMNS.every((column) => isValueOf(column, row[column]));
}

/**
 * The bytes of a row: UTF-8 of a JSON array without white space, the name of the schema and then the columns; texts as in RFC 8785 section 3.2.2.2.
 * @param row may have further members; they are not looked at
 * @throws FormatError `trail.row` when a column has not its type: no server of ours writes such a row
 */
export function encodeTrailRow(row: Readonly<Record<string, unknown>>): Buffer {
  if (!isTrailRow(row))
    throw new FormatError('trail.row', `has no proper ${TRAIL_COLUMNS.find((name) => !isValueOf(name, row[name])) ?? ''}`);
  return Buffer.from(JSON.stringify([ROW_SCHEMA, ...TRAIL_COLUMNS.map((column) => row[column])]), 'utf8');
}

/** Strict inverse of {@link encodeTrailRow}, of a text: it must print back to itself. @throws FormatError `trail.row` */
export function parseTrailRow(text: string): TrailRow {
  const values = parseJson(text, 'trail.row');
  if (!Array.isArray(values) || values.length !== TRAIL_COLUMNS.length + 1) throw new FormatError('trail.row', 'has not its columns');
  const row: Record<string, unknown> = Object.fromEntries(TRAIL_COLUMNS.map((column, at): [string, unknown] => [column, values[at + 1]]));
  if (encodeTrailRow(row).toString('utf8') !== text || !isTrailRow(row)) throw new FormatError('trail.row', 'is not in its one form');
  return row;
}

/** What an entry of kind access-log stands for: rows of the trail, none left out, in the order of their ids. */
export interface TrailBatch {
  /** 1, 2, … without gap. */
  readonly number: number;
  /** Id of the last row of the batch before; null in the first. The rows of this one have higher ids. */
  readonly from: string | null;
  /** Id of the last row. */
  readonly until: string;
  /** How many rows, at least 1. */
  readonly count: number;
  /** RFC 6962 root of the tree of the rows' bytes. */
  readonly root: Buffer;
  /** Hash of the body before; null in the first. */
  readonly previous: Buffer | null;
}

const BATCH_SCHEMA = 'bjwt.access-log/1';

/** The body of a batch: JSON without white space, its members in this order and no other. Its hash is what the log holds. */
export function trailBody({ number, from, until, count, root, previous }: TrailBatch): string {
  const hashes = { root: b64(root), previous: previous && b64(previous) };
  return JSON.stringify({ schema: BATCH_SCHEMA, number, from, until, count, ...hashes });
}

/** Strict inverse of {@link trailBody}: the text must print back to itself. @throws FormatError `trail.body` */
export function parseTrailBody(text: string): TrailBatch {
  const value = parseJson(text, 'trail.body');
  if (!isObject(value)) throw new FormatError('trail.body', 'is not an object');
  const { number, from, until, count, root, previous } = value;
  if (!isPositive(number) || !isPositive(count)) throw new FormatError('trail.body', 'has no proper number or count');
  if (!isUuid(until) || !(from === null || (isUuid(from) && from < until)))
    throw new FormatError('trail.body', 'has no proper span of ids');
  if (typeof root !== 'string' || !(previous === null || typeof previous === 'string'))
    throw new FormatError('trail.body', 'has no hashes');
  if ((number === 1) !== (from === null) || (number === 1) !== (previous === null))
    throw new FormatError('trail.body', 'is first, or it is not');
  const [rootHash, previousHash] = [root, previous].map((hash) => (hash === null ? null : b64Decode(hash, 'trail.body', HASH_BYTES)));
  if (!rootHash) throw new FormatError('trail.body', 'has no root');
  const batch = { number, from, until, count, root: rootHash, previous: previousHash ?? null };
  if (trailBody(batch) !== text) throw new FormatError('trail.body', 'is not in its one form');
  return batch;
}

/** What the entry of the log holds, and what the next body names: SHA-256 of the body. */
export function trailHash(body: string): Buffer {
  return sha256(body);
}

/** Leaf of one row in the tree of its batch. @throws FormatError as {@link encodeTrailRow} */
export function trailLeaf(row: Readonly<Record<string, unknown>>): Buffer {
  return leafHash(encodeTrailRow(row));
}

/** RFC 6962 root over leaf hashes. */
export function trailRoot(leaves: readonly Buffer[]): Buffer {
  const range = CompactRange.empty();
  for (const leaf of leaves) range.append(leaf);
  return range.root();
}

/** RFC 6962 section 2.1.1: proof that leaf `index` stands in the tree of these leaves. @throws RangeError when there is no such leaf */
export function trailPath(leaves: readonly Buffer[], index: number): Buffer[] {
  const plan = planInclusion(BigInt(index), BigInt(leaves.length));
  const root = ({ level, index: at }: NodeId): Buffer => trailRoot(leaves.slice(Number(at) * 2 ** level, (Number(at) + 1) * 2 ** level));
  return plan.build(plan.nodes.map(root));
}

function parseJson(text: string, field: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new FormatError(field, 'is not JSON');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
