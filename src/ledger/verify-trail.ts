import type { EntityManager } from 'typeorm';
import { hospitalIds } from '../hospital/hospitals.service';
import { heldEntries, entriesOfKind } from '../tlog/log-entries';
import { FormatError, HASH_BYTES, isBytes } from './core/bytes';
import { parseTrailBody, type TrailBatch, trailHash, trailRoot } from './core/trail';
import { CompactRange } from './core/tree';
import { type Finding, type FindingCode, MAX_FINDINGS, type Verdict } from './core/verdict';
import { TrailBatchEntity } from './trail-batch.entity';
import { splitLeaves, type TrailBatchHead, trailLeaves } from './trail-batches';

const BATCHES_A_PAGE = 100;

/** What was walked over. */
export interface TrailSummary {
  readonly batches: number;
  /** Rows that the batches say they have. */
  readonly rows: number;
  /** Rows newer than the last batch: not sealed yet. */
  readonly open: number;
}

/** The whole trail in one word; {@link TrailSummary} beside it. */
export interface TrailVerdict extends TrailSummary {
  /** VALID, INCOMPLETE (a batch is in no log) or TAMPERED. */
  readonly verdict: Verdict;
  /** The height is the batch's number, the record id that of the row, or for `trail.entry` of the hospital. At most {@link MAX_FINDINGS}. */
  readonly findings: readonly Finding[];
  /** Further findings that were counted but not kept. */
  readonly omitted: number;
}

/** The batch before, as the next one must name it. */
interface Link {
  readonly number: number;
  readonly until: string;
  readonly hash: Buffer;
}

/**
 * Verifies the trail against its batches, and the batches against the logs. It only reads, and may run beside the server. What it finds by number of the batch:
 * `MALFORMED trail.body` or `trail.row`; `HEIGHT_GAP trail.number`; `HEADER_MISMATCH` in `trail.number`, `trail.until`, `trail.hash` (columns beside the body);
 * `BROKEN_LINK trail.previous` or `trail.from`; `CONTENT_MISMATCH` in `trail.row` (changed or slipped in), `trail.count` (too few or many), `trail.leaves`,
 * `trail.root`; `LEAF_MISSING trail.entry` (neither in the hospital's log nor waiting, nor is a later batch, which would cover it); `LEAF_MISMATCH trail.entry`
 * (a log has a batch that is not here).
 */
export async function* verifyTrail(manager: EntityManager): AsyncGenerator<Finding, TrailSummary> {
  const logged = new LoggedBatches(manager, await hospitalIds(manager));
  let before: Link | null = null;
  let [batches, rows] = [0, 0];
  for (;;) {
    const page: TrailBatchHead[] = await headsAfter(manager, before?.number ?? null);
    if (page.length === 0) break;
    for (const head of page) {
      const batch = bodyOf(head);
      yield* batch ? checkHead(head, batch, before) : [finding('MALFORMED', head.number, 'body')];
      if (batch) yield* checkRows(manager, head.number, batch);
      before = { number: head.number, until: batch?.until ?? head.until, hash: trailHash(head.body) };
      batches += 1;
      rows += batch?.count ?? 0;
    }
    await logged.add(page);
  }
  yield* logged.missing();
  const next = (before?.number ?? 0) + 1;
  yield* strayEntries(manager, next);
  const open = yield* checkOpen(manager, before?.until ?? null, next);
  return { batches, rows, open };
}

/** {@link verifyTrail} as one answer. */
export async function auditTrail(manager: EntityManager): Promise<TrailVerdict> {
  const findings: Finding[] = [];
  let [omitted, contradicts] = [0, false];
  const walk = verifyTrail(manager);
  for (;;) {
    const step = await walk.next();
    if (step.done === true) {
      const verdict = contradicts ? 'TAMPERED' : findings.length > 0 ? 'INCOMPLETE' : 'VALID';
      return { verdict, findings, omitted, ...step.value };
    }
    contradicts ||= step.value.code !== 'LEAF_MISSING';
    if (findings.length < MAX_FINDINGS) findings.push(step.value);
    else omitted += 1;
  }
}

function finding(code: FindingCode, height: number, field: string, recordId?: string): Finding {
  return { code, height, field: `trail.${field}`, ...(recordId !== undefined && { recordId }) };
}

function headsAfter(manager: EntityManager, number: number | null): Promise<TrailBatchHead[]> {
  const builder = manager
    .createQueryBuilder(TrailBatchEntity, 'b')
    .select(['b.number', 'b.until', 'b.hash', 'b.body', 'b.madeAt'])
    .orderBy('b.number')
    .limit(BATCHES_A_PAGE);
  return (number === null ? builder : builder.where('b.number > :number', { number })).getMany();
}

function bodyOf({ body }: TrailBatchHead): TrailBatch | null {
  try {
    return parseTrailBody(body);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

function* checkHead(head: TrailBatchHead, batch: TrailBatch, before: Link | null): Generator<Finding> {
  const { number } = head;
  if (batch.number !== number) yield finding('HEADER_MISMATCH', number, 'number');
  if (batch.until !== head.until) yield finding('HEADER_MISMATCH', number, 'until');
  if (!isBytes(head.hash, HASH_BYTES) || !trailHash(head.body).equals(head.hash)) yield finding('HEADER_MISMATCH', number, 'hash');
  // After a gap nothing is known of the batch before.
  if (number !== (before?.number ?? 0) + 1) return void (yield finding('HEIGHT_GAP', number, 'number'));
  if (!same(batch.previous, before?.hash ?? null)) yield finding('BROKEN_LINK', number, 'previous');
  if (batch.from !== (before?.until ?? null)) yield finding('BROKEN_LINK', number, 'from');
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

/** Holds the stored rows against the leaf hashes, which name the row at fault; where these are damaged too, against the root alone. */
async function* checkRows(manager: EntityManager, number: number, { from, until, count, root }: TrailBatch): AsyncGenerator<Finding> {
  const sealed = await sealedLeaves(manager, number, count, root);
  if (!sealed) yield finding('CONTENT_MISMATCH', number, 'leaves');
  const range = CompactRange.empty();
  let found = 0;
  for await (const { id, hash } of trailLeaves(manager, { after: from, until })) {
    found += 1;
    if (!hash) yield finding('MALFORMED', number, 'row', id);
    else if (!sealed) range.append(hash);
    else if (!sealed.has(hash.toString('hex'))) yield finding('CONTENT_MISMATCH', number, 'row', id);
  }
  if (found !== count) yield finding('CONTENT_MISMATCH', number, 'count');
  if (!sealed && !range.root().equals(root)) yield finding('CONTENT_MISMATCH', number, 'root');
}

/** The leaf hashes of a batch, in hex; null when they are not those of its root. The order of rows is that of their ids, which the leaves cover. */
async function sealedLeaves(manager: EntityManager, number: number, count: number, root: Buffer): Promise<Set<string> | null> {
  const row = await manager.getRepository(TrailBatchEntity).findOneBy({ number });
  if (!Buffer.isBuffer(row?.leaves) || row.leaves.length !== count * HASH_BYTES) return null;
  const leaves = splitLeaves(row.leaves);
  return trailRoot(leaves).equals(root) ? new Set(leaves.map((leaf) => leaf.toString('hex'))) : null;
}

/** Rows that no batch has yet. @returns how many */
async function* checkOpen(manager: EntityManager, after: string | null, next: number): AsyncGenerator<Finding, number> {
  let open = 0;
  for await (const { id, hash } of trailLeaves(manager, { after, until: null })) {
    open += 1;
    if (!hash) yield finding('MALFORMED', next, 'row', id);
  }
  return open;
}

/** Which batches the hospitals' logs hold. */
class LoggedBatches {
  /** By hospital: the first batch since the last one that its log holds. */
  private readonly absent = new Map<string, number>();

  constructor(
    private readonly manager: EntityManager,
    private readonly hospitals: readonly string[],
  ) {}

  async add(page: readonly TrailBatchHead[]): Promise<void> {
    const batches = page.map(({ number, until, body }) => ({ number, until, hash: trailHash(body) }));
    const entries = await heldEntries(
      this.manager,
      'access-log',
      batches.map(({ hash }) => hash),
    );
    const held = new Set(entries.map(({ hospitalId, hash }) => `${hospitalId} ${hash.toString('hex')}`));
    for (const { number, until, hash } of batches) {
      for (const hospitalId of this.hospitals) {
        if (held.has(`${hospitalId} ${hash.toString('hex')}`)) this.absent.delete(hospitalId);
        // Ids rise: a hospital with a higher one was added later.
        else if (hospitalId < until && !this.absent.has(hospitalId)) this.absent.set(hospitalId, number);
      }
    }
  }

  missing(): Finding[] {
    return [...this.absent].map(([hospitalId, number]) => finding('LEAF_MISSING', number, 'entry', hospitalId));
  }
}

/** Entries of batches that are not here: the newest ones were deleted, or made anew. */
async function* strayEntries(manager: EntityManager, next: number): AsyncGenerator<Finding> {
  for await (const page of entriesOfKind(manager, 'access-log')) {
    const known = await manager
      .createQueryBuilder(TrailBatchEntity, 'b')
      .select('b.hash', 'hash')
      .where('b.hash IN (:...hashes)', { hashes: page.map(({ hash }) => hash) })
      .getRawMany<{ hash: Buffer }>();
    const here = new Set(known.map(({ hash }) => hash.toString('hex')));
    for (const { hospitalId, hash } of page) if (!here.has(hash.toString('hex'))) yield finding('LEAF_MISMATCH', next, 'entry', hospitalId);
  }
}
