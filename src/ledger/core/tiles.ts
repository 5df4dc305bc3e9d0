import { FormatError, HASH_BYTES } from './bytes';
import { isTreeSize, type NodeId, nodeHash } from './tree';

/** Tiles of a log (C2SP tlog-tiles): its hashes and entries cut into pieces that never change once they are full. */

/** Hashes of a full tile, and entries of a full bundle. */
export const TILE_WIDTH = 256;
/** Levels of the tree from one tile level to the next. */
export const TILE_HEIGHT = 8;

/** Name of a tile. */
export interface TileId {
  /** 0 (leaf hashes) to 63, or the bundle of the entries themselves. */
  readonly level: number | 'entries';
  /** Position among the tiles of its level, from 0, below 2^53. */
  readonly index: bigint;
  /** Hashes or entries in it, 1 to 256; 256 is a full tile. */
  readonly width: number;
}

const MAX_LEVEL = 63;
const MAX_INDEX = BigInt(Number.MAX_SAFE_INTEGER);
const MAX_PATH = 64;
const PATH = /^(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** Path of a tile after `tile/`: `0/x001/x234/067`, `0/x001/067.p/112`, `entries/000.p/3`. @throws RangeError on what is no {@link TileId} */
export function tilePath(tile: TileId): string {
  if (!isTileId(tile)) throw new RangeError(`no tile: level ${tile.level}, index ${tile.index}, width ${tile.width}`);
  const digits = tile.index.toString();
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').replace(/[0-9]{3}(?=[0-9])/g, 'x$&/');
  return `${tile.level}/${groups}${tile.width === TILE_WIDTH ? '' : `.p/${tile.width}`}`;
}

/** Strict inverse of {@link tilePath}: whatever it accepts prints back to the same text. @throws FormatError `tile` */
export function parseTilePath(path: string): TileId {
  const [, level, groups, width] = (path.length <= MAX_PATH && PATH.exec(path)) || [];
  if (!level || !groups) throw new FormatError('tile', 'is not the path of a tile');
  const tile: TileId = {
    level: level === 'entries' ? level : Number(level),
    index: BigInt(groups.replace(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  if (!isTileId(tile)) throw new FormatError('tile', 'has a level, an index or a width out of range');
  if (tilePath(tile) !== path) throw new FormatError('tile', 'is not written in the one allowed form');
  return tile;
}

/** How many hashes tile (level, index) has in a tree of `size` leaves: 0 to 256. @throws RangeError on a level, index or size out of range */
export function tileWidthAt(level: number | 'entries', index: bigint, size: bigint): number {
  if (!isLevel(level) || !isTreeSize(index) || !isTreeSize(size)) throw new RangeError(`no tile ${level}/${index} in a tree of ${size}`);
  const height = level === 'entries' ? 0 : level * TILE_HEIGHT;
  const rest = (size >> BigInt(height)) - index * BigInt(TILE_WIDTH);
  if (rest <= 0n) return 0;
  return rest >= BigInt(TILE_WIDTH) ? TILE_WIDTH : Number(rest);
}

/**
 * Which tile a node of the tree is computed from: tile (`level`, `index`). The node stands `height` levels (0 to 7) above the tile's own hashes, and is
 * number `offset` at that height, from 0.
 * @throws RangeError on a level that is no integer from 0 to 63, or an index out of range
 */
export function nodePlace(node: NodeId): {
  readonly level: number;
  readonly index: bigint;
  readonly height: number;
  readonly offset: number;
} {
  if (!isIntegerUpTo(node.level, MAX_LEVEL) || !isTreeSize(node.index)) throw new RangeError(`no node ${node.level}/${node.index}`);
  const height = node.level % TILE_HEIGHT;
  const perTile = BigInt(TILE_WIDTH >> height);
  return {
    level: (node.level - height) / TILE_HEIGHT,
    index: node.index / perTile,
    height,
    offset: Number(node.index % perTile),
  };
}

/**
 * The node that stands `height` levels (0 to 8) above the hashes of a tile, number `offset` at that height.
 * @param hashes the tile: up to 256 hashes of 32 bytes, one after the other
 * @returns a new buffer, also for height 0
 * @throws RangeError when it is not a tile, or too narrow for this node
 */
export function nodeInTile(hashes: Buffer, height: number, offset: number): Buffer {
  const width = hashes.length / HASH_BYTES;
  if (!Number.isInteger(width) || width > TILE_WIDTH) throw new RangeError(`no tile has ${hashes.length} bytes`);
  if (!isIntegerUpTo(height, TILE_HEIGHT) || !isIntegerUpTo(offset, TILE_WIDTH))
    throw new RangeError(`no node at ${height}/${offset} of a tile`);
  const span = 2 ** height;
  if ((offset + 1) * span > width) throw new RangeError(`a tile of ${width} hashes has no node at ${height}/${offset}`);
  const hashAt = (position: number): Buffer => hashes.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES);
  let row = Array.from({ length: span }, (_none, position) => hashAt(offset * span + position));
  while (row.length > 1) row = row.flatMap((left, position) => (position % 2 === 0 ? [nodeHash(left, row[position + 1] ?? left)] : []));
  return Buffer.from(row[0] ?? []);
}

const LENGTH_BYTES = 2;
const MAX_ENTRY = 0xffff;

/** Entries one after the other, each behind its length (u16, big-endian). @throws RangeError unless 1 to 256 entries of at most 65,535 bytes */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Buffer {
  if (entries.length < 1 || entries.length > TILE_WIDTH)
    throw new RangeError(`a bundle has 1 to ${TILE_WIDTH} entries, not ${entries.length}`);
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > MAX_ENTRY) throw new RangeError(`an entry has at most ${MAX_ENTRY} bytes, not ${entry.length}`);
      return [Buffer.of(entry.length >> 8, entry.length & 0xff), entry];
    }),
  );
}

/**
 * Strict inverse of {@link encodeEntryBundle}. The entries are views of `bytes`, not copies.
 * @throws FormatError `entries` when it is cut off, or has no entry or more than 256
 */
export function decodeEntryBundle(bytes: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (entries.length === TILE_WIDTH) throw new FormatError('entries', `are more than ${TILE_WIDTH}`);
    const start = at + LENGTH_BYTES;
    const end = start <= bytes.length ? start + bytes.readUInt16BE(at) : Infinity;
    if (end > bytes.length) throw new FormatError('entries', 'are cut off');
    entries.push(bytes.subarray(start, end));
    at = end;
  }
  if (entries.length === 0) throw new FormatError('entries', 'are none');
  return entries;
}

function isTileId({ level, index, width }: TileId): boolean {
  return isLevel(level) && index >= 0n && index <= MAX_INDEX && width >= 1 && isIntegerUpTo(width, TILE_WIDTH);
}

function isLevel(level: number | 'entries'): boolean {
  return level === 'entries' || isIntegerUpTo(level, MAX_LEVEL);
}

function isIntegerUpTo(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}
