import type { EntityManager } from 'typeorm';
import { TILE_HEIGHT, TILE_WIDTH } from '../ledger/core/tiles';
import { CompactRange } from '../ledger/core/tree';
import type { LeafMarks } from './leaf-marks';
import { type LogTrust, type ReadCheckpoint, readCheckpoints } from './log-checkpoints';
import { type LogFinding, LogFindings, type LogReport } from './log-report';
import { SEGMENT, type SegmentCut, type SegmentOptions, tileFits, tilesOf, walkSegment } from './log-segment';
import { splitHashes } from './log-store';
import { CheckpointEntity, LeafEntity, LogEntity, TileEntity } from './tlog.entity';

/** One stored log, read by one statement: all of it is of one moment. What is appended later is left for the next verification. */
export interface LogSnapshot {
  readonly id: number;
  readonly hospitalId: string;
  readonly origin: string;
  readonly size: number;
  readonly edge: Buffer;
  /** Leaves whose index is. When they are fewer than `size`, only as many indexes are looked at: a size may be any number. */
  readonly leaves: number;
  /** Leaves whose index is not from 0 to below `size`. */
  readonly strays: number;
  readonly tiles: number;
  /** Size of the newest checkpoint; -1 when there is none. */
  readonly signedSize: number;
}

/** A checkpoint that the verifier has believed before, and kept outside of the database. */
export type TrustedCheckpoint = Pick<ReadCheckpoint, 'size' | 'root'>;

/** What a verification of one log needs beside its rows. */
export interface LogChecks {
  readonly trust: LogTrust;
  readonly marks?: LeafMarks;
  readonly trusted?: readonly TrustedCheckpoint[];
  readonly pace?: (leaves: number) => Promise<void>;
}

/** One segment with its checkpoints, as one thread verifies it. */
export interface SegmentReport {
  /** Undefined when the tree cannot be computed beyond this segment. */
  readonly edge: Buffer | undefined;
  readonly cuts: readonly SegmentCut[];
  readonly checkpoints: readonly ReadCheckpoint[];
  readonly findings: readonly LogFinding[];
  readonly omitted: number;
}

/** All logs as they are now, in the order in which they began. */
export async function snapshotLogs(manager: EntityManager): Promise<LogSnapshot[]> {
  const builder = manager.createQueryBuilder(LogEntity, 'l');
  for (const column of ['id', 'hospitalId', 'origin', 'size', 'edge'])
    builder[column === 'id' ? 'select' : 'addSelect'](`l.${column}`, column);
  const rows = await builder
    .addSelect((query) => query.select('COUNT(*)').from(LeafEntity, 'n').where('n.logId = l.id AND n.leafIndex < 0'), 'below')
    .addSelect((query) => query.select('COUNT(*)').from(LeafEntity, 'm').where('m.logId = l.id AND m.leafIndex >= l.size'), 'above')
    .addSelect(
      (query) => query.select('COUNT(*)').from(LeafEntity, 'i').where('i.logId = l.id AND i.leafIndex >= 0 AND i.leafIndex < l.size'),
      'leaves',
    )
    .addSelect((query) => query.select('COUNT(*)').from(TileEntity, 't').where('t.logId = l.id'), 'tiles')
    .addSelect((query) => query.select('MAX(c.size)').from(CheckpointEntity, 'c').where('c.logId = l.id'), 'signedSize')
    .orderBy('l.id')
    .getRawMany<Record<Exclude<keyof LogSnapshot, 'strays'> | 'below' | 'above', unknown>>();
  return rows.map((row) => ({
    id: Number(row.id),
    hospitalId: String(row.hospitalId),
    origin: String(row.origin),
    size: Number(row.size),
    edge: Buffer.isBuffer(row.edge) ? row.edge : Buffer.alloc(0),
    leaves: Number(row.leaves),
    strays: Number(row.below) + Number(row.above),
    tiles: Number(row.tiles),
    signedSize: Number(row.signedSize ?? -1),
  }));
}

/** How many segments a log consists of; at least one, for a checkpoint may be of the empty tree. */
export function segmentsOf({ leaves }: Pick<LogSnapshot, 'leaves'>): number {
  return Math.max(1, Math.ceil(leaves / SEGMENT));
}

/** Verifies the segment of this number: its leaves, tiles, and the signatures of the checkpoints whose trees end in it. */
export async function verifySegment(
  manager: EntityManager,
  log: Pick<LogSnapshot, 'id' | 'origin' | 'size' | 'leaves' | 'signedSize'>,
  number: number,
  { trust, trusted = [], marks, pace }: LogChecks,
): Promise<SegmentReport> {
  const [from, to] = [number * SEGMENT, Math.min((number + 1) * SEGMENT, log.leaves)];
  const found = new LogFindings();
  const last = number === segmentsOf(log) - 1;
  const range = { from: number === 0 ? 0 : from + 1, to: Math.min(last ? log.size : to, log.signedSize) };
  const checkpoints = await readCheckpoints(manager, log, range, trust, found);
  const sizes = [...checkpoints, ...trusted].map(({ size }) => size).filter((size) => size > from && size <= to);
  const options: SegmentOptions = {
    cuts: [...new Set(sizes)].sort((a, b) => a - b),
    ...(marks && { marks }),
    ...(pace && { pace }),
  };
  const { edge, cuts, findings, omitted } = await walkSegment(manager, { logId: log.id, from, to }, options);
  found.add(findings, omitted);
  return { edge, cuts, checkpoints, findings: found.kept, omitted: found.omitted };
}

/** Puts the segments of one log together, in their order, and says what the whole shows. */
export class LogVerification {
  private readonly found = new LogFindings();
  /** Over the roots of full segments. */
  private readonly whole = CompactRange.empty();
  private readonly rows: Buffer[][] = [];
  private edge: readonly Buffer[] | undefined = [];
  private witnessedSize = 0;
  private segments = 0;

  constructor(
    private readonly manager: EntityManager,
    private readonly log: LogSnapshot,
    private readonly checks: LogChecks,
  ) {
    const { size, signedSize, strays } = log;
    if (signedSize > size) this.found.say('ROLLBACK', signedSize, 'log.size');
    if (strays > 0) this.found.say('LEAF_MISMATCH', size, 'leaf beyond the size of the log');
    for (const trusted of checks.trusted ?? []) if (trusted.size > size) this.found.say('ROLLBACK', trusted.size, 'trusted checkpoint');
  }

  /** Takes the next segment. */
  async add(segment: SegmentReport): Promise<void> {
    this.found.add(segment.findings, segment.omitted);
    const roots = new Map<number, Buffer>();
    if (this.whole.size === 0n) roots.set(0, CompactRange.empty().root());
    if (this.edge) for (const { size, edge } of segment.cuts) roots.set(size, this.edgeWith(edge).root(size));
    for (const checkpoint of segment.checkpoints) this.compare(checkpoint, roots, 'checkpoint.root');
    for (const trusted of this.checks.trusted ?? []) this.compare(trusted, roots, 'trusted checkpoint');
    for (const { size, witnessed } of segment.checkpoints) if (witnessed) this.witnessedSize = Math.max(this.witnessedSize, size);
    this.edge = this.edge && segment.edge && this.edgeWith(segment.edge).hashes;
    this.segments += 1;
    if (segment.edge && this.edge && this.segments * SEGMENT <= this.log.leaves) await this.append(segment.edge);
  }

  finish(): LogReport {
    const { origin, size, leaves, signedSize, edge, tiles } = this.log;
    const gap = this.found.kept.some(({ code }) => code === 'LEAF_MISSING');
    if (leaves < size && !gap) this.found.say('LEAF_MISSING', leaves, 'leaf');
    if (this.edge && leaves === size && !Buffer.concat(this.edge).equals(edge)) this.found.say('LEAF_MISMATCH', size, 'log.edge');
    if (tiles > fullTiles(size)) this.found.say('LEAF_MISMATCH', size, 'tile beyond the size of the log');
    const policy = this.checks.trust.policyFor(origin);
    const expected = policy !== null && policy.witnesses.length > 0;
    const { kept: findings, omitted } = this.found;
    const unwitnessed = expected && this.witnessedSize < signedSize;
    return {
      origin,
      verdict: findings.length > 0 ? 'TAMPERED' : unwitnessed ? 'VALID_UNWITNESSED' : 'VALID',
      size,
      signedSize: Math.max(0, signedSize),
      witnessedSize: this.witnessedSize,
      signaturesChecked: policy !== null,
      findings,
      omitted,
    };
  }

  private compare({ size, root }: TrustedCheckpoint, roots: ReadonlyMap<number, Buffer>, field: string): void {
    const computed = roots.get(size);
    if (computed && !computed.equals(root)) this.found.say('CONSISTENCY_INVALID', size, field);
  }

  /** The edge of the full segments so far and, to the right of it, that of a place in the next one. */
  private edgeWith(inner: Buffer): { hashes: readonly Buffer[]; root: (size: number) => Buffer } {
    const hashes = [...this.whole.hashes, ...splitHashes(inner)];
    return { hashes, root: (size) => CompactRange.of(BigInt(size), hashes).root() };
  }

  /** The root of a full segment: with 256 of them a tile of level 2 is full, and so on upwards. */
  private async append(root: Buffer): Promise<void> {
    const done: { level: number; index: number; hashes: Buffer[]; root: Buffer }[] = [];
    this.row(0).push(root);
    this.whole.append(root, (node, hash) => {
      if (node.level === 0 || node.level % TILE_HEIGHT !== 0) return;
      const above = node.level / TILE_HEIGHT;
      done.push({ level: above + 1, index: Number(node.index), hashes: this.row(above - 1).splice(0), root: hash });
      this.row(above).push(hash);
    });
    this.edge = this.whole.hashes;
    for (const { level, index, hashes, root: computed } of done) {
      const [tile] = await tilesOf(this.manager, this.log.id, level, index, index + 1);
      if (!tileFits(tile, hashes, computed)) this.found.say('LEAF_MISMATCH', index * TILE_WIDTH ** (level + 1), `tile ${level}/${index}`);
    }
  }

  private row(level: number): Buffer[] {
    return (this.rows[level] ??= []);
  }
}

/**
 * Verifies one stored log in bounded memory: the leaves are dense and of known kinds, every stored checkpoint is signed and has the root that its leaves
 * give, tiles, size and right edge are what the leaves give, and nothing is older than what was published or trusted before. Never throws for
 * what it finds in the rows.
 */
export async function verifyStoredLog(manager: EntityManager, log: LogSnapshot, checks: LogChecks): Promise<LogReport> {
  const verification = new LogVerification(manager, log, checks);
  for (let number = 0; number < segmentsOf(log); number += 1) await verification.add(await verifySegment(manager, log, number, checks));
  return verification.finish();
}

/** Tiles of all levels that are full in a tree of `size` leaves. */
function fullTiles(size: number): number {
  let sum = 0;
  for (let below = Math.floor(size / TILE_WIDTH); below > 0; below = Math.floor(below / TILE_WIDTH)) sum += below;
  return sum;
}
