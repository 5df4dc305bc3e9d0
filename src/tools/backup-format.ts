import { createHash } from 'node:crypto';
import { OperatorError } from './operator';

/*
 * What is inside a backup, after its chunks were opened: frames, one after another.
 *
 *   uint32be length of the rest | kind (1 byte) | body
 *
 *   kind 1, first: BackupManifest as JSON      kind 2: rows of one table      kind 3, last: BackupClosing as JSON
 *   rows: uint16be place of the table in the manifest | rows, each with its cells in the order of the manifest's columns
 *   cell: 0 null | 1 int64be | 2 uint32be length, UTF-8 | 3 uint32be length, bytes | 4 float64be
 */
const MANIFEST = 1;
const ROWS = 2;
const CLOSING = 3;
/** The largest row is some files' size; a frame that says more is not ours. */
const MAX_FRAME = 1 << 30;

/** A cell as the drivers of both databases give and take it. */
export type StoredCell = null | number | string | Buffer;
export type StoredRow = readonly StoredCell[];

export interface BackupTable {
  readonly name: string;
  readonly columns: readonly string[];
}

/** What a backup says of itself, before its rows. */
export interface BackupManifest {
  readonly form: 'bjwt-ehr/backup/1';
  /** A UUID: by this the trail names it. */
  readonly id: string;
  /** ISO 8601. The state is of this instant or a little later. */
  readonly madeAt: string;
  readonly store: 'sqlite' | 'postgres';
  /** Names of the migrations that had run on it: what its columns mean. */
  readonly migrations: readonly string[];
  readonly tables: readonly BackupTable[];
}

/** The newest signed checkpoint of one log of the backed-up state. */
export interface BackupLog {
  readonly hospitalId: string;
  readonly origin: string;
  readonly size: number;
  /** A signed note with its cosignatures; null when none was signed yet. */
  readonly checkpoint: string | null;
}

/** What a backup says after its rows. */
export interface BackupClosing {
  /** By table. */
  readonly rows: Readonly<Record<string, number>>;
  readonly logs: readonly BackupLog[];
  /** SHA-256 over all frames before this one, hex. */
  readonly sha256: string;
}

/** One part of an opened backup. */
export type BackupFrame =
  | { readonly kind: 'manifest'; readonly manifest: BackupManifest }
  | { readonly kind: 'rows'; readonly table: BackupTable; readonly rows: readonly StoredRow[] }
  | { readonly kind: 'closing'; readonly closing: BackupClosing };

/** Writes the frames of one backup, in this order: manifest, pages of rows, closing. */
export class BackupWriter {
  private readonly hash = createHash('sha256');
  private readonly counts: Record<string, number> = {};

  constructor(private readonly manifest: BackupManifest) {
    for (const { name } of manifest.tables) this.counts[name] = 0;
  }

  begin(): Buffer {
    return this.frame(MANIFEST, [Buffer.from(JSON.stringify(this.manifest))]);
  }

  rows(table: BackupTable, rows: readonly StoredRow[]): Buffer {
    const place = Buffer.alloc(2);
    place.writeUInt16BE(this.manifest.tables.indexOf(table));
    this.counts[table.name] = (this.counts[table.name] ?? 0) + rows.length;
    return this.frame(ROWS, [place, ...rows.flatMap((row) => row.flatMap(cellBytes))]);
  }

  end(logs: readonly BackupLog[]): { frame: Buffer; closing: BackupClosing } {
    const closing: BackupClosing = { rows: this.counts, logs, sha256: this.hash.copy().digest('hex') };
    return { frame: this.frame(CLOSING, [Buffer.from(JSON.stringify(closing))]), closing };
  }

  private frame(kind: number, parts: readonly Buffer[]): Buffer {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(1 + parts.reduce((sum, part) => sum + part.length, 0));
    head[4] = kind;
    const frame = Buffer.concat([head, ...parts]);
    this.hash.update(frame);
    return frame;
  }
}

/**
 * Reads the frames of one backup and holds its closing against what was read. Only authenticated bytes come here.
 * @throws OperatorError when it is not what a {@link BackupWriter} wrote
 */
export async function* readFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<BackupFrame> {
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  let manifest: BackupManifest | undefined;
  let closed = false;
  for await (const { kind, body, whole } of cut(chunks)) {
    if (closed || (manifest === undefined) !== (kind === MANIFEST)) throw malformed();
    if (kind === MANIFEST) {
      manifest = JSON.parse(body.toString('utf8')) as BackupManifest;
      if (manifest.form !== 'bjwt-ehr/backup/1') throw new OperatorError('This backup has a form that this release does not know');
      for (const { name } of manifest.tables) counts[name] = 0;
      yield { kind: 'manifest', manifest };
    } else if (kind === ROWS) {
      const table = manifest?.tables[body.readUInt16BE(0)];
      if (!table) throw malformed();
      const rows = readRows(body.subarray(2), table.columns.length);
      counts[table.name] = (counts[table.name] ?? 0) + rows.length;
      yield { kind: 'rows', table, rows };
    } else if (kind === CLOSING) {
      const closing = JSON.parse(body.toString('utf8')) as BackupClosing;
      const same = closing.sha256 === hash.copy().digest('hex') && JSON.stringify(closing.rows) === JSON.stringify(counts);
      if (!same) throw malformed();
      closed = true;
      yield { kind: 'closing', closing };
    } else throw malformed();
    hash.update(whole);
  }
  if (!closed) throw malformed();
}

async function* cut(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ kind: number; body: Buffer; whole: Buffer }> {
  let [held, length, wanted] = [[] as Buffer[], 0, 4];
  for await (const chunk of chunks) {
    held.push(chunk);
    length += chunk.length;
    if (length < wanted) continue;
    let all = Buffer.concat(held);
    for (wanted = sizeOf(all); all.length >= wanted; wanted = sizeOf(all)) {
      const whole = all.subarray(0, wanted);
      yield { kind: whole[4] ?? 0, body: whole.subarray(5), whole };
      all = all.subarray(wanted);
    }
    [held, length] = [[all], all.length];
  }
  if (length > 0) throw malformed();
}

/** Bytes of the frame that begins here; more than there are while its length is not known. */
function sizeOf(bytes: Buffer): number {
  if (bytes.length < 4) return 5;
  const length = bytes.readUInt32BE(0);
  if (length < 1 || length > MAX_FRAME) throw malformed();
  return 4 + length;
}

function cellBytes(cell: StoredCell): Buffer[] {
  if (cell === null) return [Buffer.of(0)];
  if (typeof cell === 'number') {
    const number = Buffer.alloc(9);
    number[0] = Number.isSafeInteger(cell) ? 1 : 4;
    if (Number.isSafeInteger(cell)) number.writeBigInt64BE(BigInt(cell), 1);
    else number.writeDoubleBE(cell, 1);
    return [number];
  }
  const bytes = typeof cell === 'string' ? Buffer.from(cell, 'utf8') : cell;
  const head = Buffer.alloc(5);
  head[0] = typeof cell === 'string' ? 2 : 3;
  head.writeUInt32BE(bytes.length, 1);
  return [head, bytes];
}

function readRows(body: Buffer, width: number): StoredRow[] {
  const rows: StoredCell[][] = [];
  let at = 0;
  const next = (): StoredCell => {
    const type = body[at];
    if (type === 0) return ((at += 1), null);
    if (type === 1 || type === 4) {
      at += 9;
      return type === 1 ? Number(body.readBigInt64BE(at - 8)) : body.readDoubleBE(at - 8);
    }
    if (type !== 2 && type !== 3) throw malformed();
    const from = at + 5;
    at = from + body.readUInt32BE(from - 4);
    if (at > body.length) throw malformed();
    return type === 2 ? body.toString('utf8', from, at) : Buffer.from(body.subarray(from, at));
  };
  while (at < body.length) rows.push(Array.from({ length: width }, next));
  return rows;
}

function malformed(): OperatorError {
  return new OperatorError('The backup is not what this program writes');
}
