import type { EntityManager } from 'typeorm';
import { queryRows } from '../database/dialect';
import { HASH_BYTES, isBytes } from '../ledger/core/bytes';
import { entryHash, EntryKind, isEntryKind } from '../ledger/core/entry';
import { TILE_HEIGHT, TILE_WIDTH } from '../ledger/core/tiles';
import { CompactRange } from '../ledger/core/tree';
import type { LeafMarks } from './leaf-marks';
import { type LogFinding, LogFindings } from './log-report';
import { TileEntity } from './tlog.entity';

/** Leaves of a segment: those under one full tile of level 1. */
export const SEGMENT = TILE_WIDTH * TILE_WIDTH;
/** Leaves that are read at once: four tiles, some milliseconds of work. */
const PAGE = 4 * TILE_WIDTH;

/** A part of one log: the leaves from `from` (a multiple of {@link SEGMENT}) to below `to`. */
export interface SegmentTask {
  readonly logId: number;
  readonly from: number;
  readonly to: number;
}

/** The right edge of a segment's tree at some place inside: 32 bytes for each perfect subtree, from left to right. */
export interface SegmentCut {
  /** Leaves of the whole log at this place. */
  readonly size: number;
  readonly edge: Buffer;
}

export interface SegmentResult {
  /** The segment's own right edge; undefined when a leaf is missing or unreadable, for then nothing can be computed beyond it. */
  readonly edge: Buffer | undefined;
  /** At the asked sizes, as far as they could be computed. */
  readonly cuts: readonly SegmentCut[];
  readonly findings: readonly LogFinding[];
  readonly omitted: number;
}

/** What else a walk over a segment does. */
export interface SegmentOptions {
  /** Sizes of the whole log, rising, above `from` and up to `to`, at which the edge is wanted. */
  readonly cuts: readonly number[];
  /** Blocks that were met in the chains: a leaf of a block that is not among them has none. */
  readonly marks?: LeafMarks;
  /** Told after each page, with the number of its leaves; may wait. */
  readonly pace?: (leaves: number) => Promise<void>;
}

/**
 * Reads the leaves of a segment and holds the tiles of levels 0 and 1 against them. Segments do not depend on each other, so threads may share a log.
 * Never throws for what it finds in the rows.
 */
export async function walkSegment(manager: EntityManager, task: SegmentTask, options: SegmentOptions): Promise<SegmentResult> {
  const walk = new SegmentWalk(task, options);
  for (let from = task.from; from < task.to; from += PAGE) {
    const to = Math.min(from + PAGE, task.to);
    walk.tiles(await tilesOf(manager, task.logId, 0, from / TILE_WIDTH, Math.floor(to / TILE_WIDTH)));
    if (to - task.from === SEGMENT) walk.tiles(await tilesOf(manager, task.logId, 1, task.from / SEGMENT, task.from / SEGMENT + 1));
    walk.leaves(await leavesOf(manager, task.logId, from, to), to);
    await options.pace?.(to - from);
  }
  return walk.result();
}

/** The stored tiles of a level from index `from` to below `to`. */
export function tilesOf(manager: EntityManager, logId: number, level: number, from: number, to: number): Promise<TileEntity[]> {
  return manager
    .createQueryBuilder(TileEntity, 't')
    .where('t.logId = :logId AND t.level = :level AND t.tileIndex >= :from AND t.tileIndex < :to', { logId, level, from, to })
    .getMany();
}

/** With the numbers as parameters: a builder writes them into the text, which is then compiled anew for each page. */
const LEAVES = `SELECT "leafIndex", "kind", "hash" FROM "log_leaf" WHERE "logId" = ? AND "leafIndex" >= ? AND "leafIndex" < ? ORDER BY "leafIndex"`;

function leavesOf(manager: EntityManager, logId: number, from: number, to: number): Promise<LeafRow[]> {
  return queryRows<LeafRow>(manager, LEAVES, [logId, from, to]);
}

/** As stored: of whatever type somebody wrote there. */
type LeafRow = Readonly<Record<'leafIndex' | 'kind' | 'hash', unknown>>;

/** Whether a stored tile says what was computed. */
export function tileFits(tile: TileEntity | undefined, hashes: readonly Buffer[], root: Buffer): boolean {
  return tile !== undefined && isBytes(tile.root, HASH_BYTES) && tile.root.equals(root) && isBytesOf(tile.hashes, Buffer.concat(hashes));
}

function isBytesOf(value: unknown, expected: Buffer): boolean {
  return isBytes(value, expected.length) && value.equals(expected);
}

class SegmentWalk {
  private readonly found = new LogFindings();
  private readonly range = CompactRange.empty();
  private readonly cuts: SegmentCut[] = [];
  private readonly stored = new Map<string, TileEntity>();
  private readonly wanted: number[];
  private broken = false;
  private next: number;
  private leafHashes: Buffer[] = [];
  private tileRoots: Buffer[] = [];

  constructor(
    private readonly task: SegmentTask,
    private readonly options: SegmentOptions,
  ) {
    this.next = task.from;
    this.wanted = [...options.cuts];
  }

  tiles(tiles: readonly TileEntity[]): void {
    for (const tile of tiles) this.stored.set(`${tile.level}/${tile.tileIndex}`, tile);
  }

  /** Takes the leaves below `to`. */
  leaves(rows: readonly LeafRow[], to: number): void {
    for (const row of rows) {
      const index = Number(row.leafIndex);
      if (index !== this.next) this.gap(index);
      this.leaf(index, row);
      this.next = index + 1;
    }
    if (this.next < to) this.gap(to);
    this.next = to;
  }

  result(): SegmentResult {
    const { kept: findings, omitted } = this.found;
    return { edge: this.broken ? undefined : Buffer.concat(this.range.hashes), cuts: this.cuts, findings, omitted };
  }

  private gap(index: number): void {
    if (index > this.next) this.found.say('LEAF_MISSING', this.next, 'leaf');
    else this.found.say('LEAF_MISMATCH', index, 'leaf.index');
    this.broken = true;
  }

  private leaf(index: number, { kind, hash }: LeafRow): void {
    if (!isEntryKind(kind) || !isBytes(hash, HASH_BYTES)) {
      this.found.say('MALFORMED', index, isEntryKind(kind) ? 'leaf.hash' : 'leaf.kind');
      this.broken = true;
      return;
    }
    const { marks } = this.options;
    if (marks && kind === EntryKind.block && !marks.has(this.task.logId, index))
      this.found.say('LEAF_MISMATCH', index, 'leaf without a block');
    if (!this.broken) this.append(index, entryHash({ kind, hash }));
  }

  private append(index: number, hash: Buffer): void {
    this.leafHashes.push(hash);
    this.range.append(hash, (node, root) => {
      if (node.level === TILE_HEIGHT) this.tile(0, this.task.from / TILE_WIDTH + Number(node.index), this.leafHashes.splice(0), root);
      if (node.level === TILE_HEIGHT) this.tileRoots.push(root);
      if (node.level === 2 * TILE_HEIGHT) this.tile(1, this.task.from / SEGMENT, this.tileRoots, root);
    });
    if (this.wanted[0] !== index + 1) return;
    this.cuts.push({ size: index + 1, edge: Buffer.concat(this.range.hashes) });
    this.wanted.shift();
  }

  private tile(level: number, index: number, hashes: readonly Buffer[], root: Buffer): void {
    const key = `${level}/${index}`;
    if (!tileFits(this.stored.get(key), hashes, root)) this.found.say('LEAF_MISMATCH', index * TILE_WIDTH ** (level + 1), `tile ${key}`);
    this.stored.delete(key);
  }
}
