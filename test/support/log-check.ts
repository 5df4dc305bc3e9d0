import { encodeEntry, isEntryKind } from '../../src/ledger/core/entry';
import { formatVkey } from '../../src/ledger/core/vkey';
import { parsePolicy, verifyCheckpoint } from '../../src/ledger/core/policy';
import { parseReceipt } from '../../src/ledger/core/receipt';
import { CompactRange, leafHash, verifyInclusion } from '../../src/ledger/core/tree';
import { LogKeys } from '../../src/tlog/log-keys';
import { MemoryTree } from '../reference/memory-tree';
import { slowMth } from '../reference/slow-tree';
import { openRaw, openRawFile, type RawDatabase, rows } from './raw-database';
import type { TestApp } from './test-app';

/** What the client of a seal was told. */
export interface Acknowledged {
  readonly blockHash: string;
  readonly leafIndex: number | null;
  readonly receipt: string | null;
}
interface Log {
  id: number;
  hospitalId: string;
  origin: string;
  size: number;
  edge: Buffer;
}

/** Invariants I3 to I7 of every log of the folder, from the bare tables; and every receipt that was given out still holds. No entry waits. */
export function expectLogsSound(app: TestApp, acknowledged: readonly Acknowledged[] = []): void {
  expectSound(openRaw(app), app.app.get(LogKeys), acknowledged);
}

/** The same of a database file. */
export function expectLogsSoundIn(sqlitePath: string, keys: LogKeys, acknowledged: readonly Acknowledged[]): void {
  expectSound(openRawFile(sqlitePath), keys, acknowledged);
}

function expectSound(db: RawDatabase, keys: LogKeys, acknowledged: readonly Acknowledged[]): void {
  try {
    expect(rows(db, 'SELECT * FROM log_pending')).toEqual([]);
    const logs = rows<Log>(db, 'SELECT * FROM log');
    for (const log of logs) expectLogSound(keys, db, log, acknowledged);
    expectEachBlockOnce(db);
  } finally {
    db.close();
  }
}

function expectLogSound(keys: LogKeys, db: RawDatabase, log: Log, acknowledged: readonly Acknowledged[]): void {
  const leaves = rows<{ leafIndex: number; kind: number; hash: Buffer }>(
    db,
    'SELECT leafIndex, kind, hash FROM log_leaf WHERE logId = ? ORDER BY leafIndex',
    log.id,
  );
  expect(leaves.map((leaf) => leaf.leafIndex)).toEqual(leaves.map((_leaf, index) => index));
  expect(log.size).toBe(leaves.length);
  const entries = leaves.map(({ kind, hash }) => encodeEntry({ kind: isEntryKind(kind) ? kind : (0 as never), hash }));
  const tree = MemoryTree.of(entries);
  const range = CompactRange.empty();
  for (const entry of entries) range.append(leafHash(entry));
  expect(log.edge.equals(Buffer.concat(range.hashes))).toBe(true);
  expect(tree.root(tree.size).toString('hex')).toBe(slowMth(entries.map((entry) => entry.toString('hex'))));
  expectTilesFit(db, log, tree, entries);
  const policy = parsePolicy(`log ${formatVkey(keys.log(log.origin).key)}\nquorum none\n`);
  const checkpoints = rows<{ size: number; note: string }>(db, 'SELECT size, note FROM log_checkpoint WHERE logId = ?', log.id);
  for (const { size, note } of checkpoints)
    expect(checkpointOf(note, policy)).toEqual({ size, root: tree.root(BigInt(size)).toString('hex') });
  for (const { blockHash, leafIndex, receipt } of acknowledged) {
    const leaf = leaves[leafIndex ?? -1];
    if (receipt === null || leaf?.hash.toString('hex') !== blockHash) continue;
    const { index, proof, checkpoint } = parseReceipt(receipt);
    const { size, root } = checkpointOf(checkpoint, policy);
    expect(verifyInclusion(index, BigInt(size), leafHash(encodeEntry({ kind: 1, hash: leaf.hash })), proof, Buffer.from(root, 'hex'))).toBe(
      true,
    );
    expect(tree.root(BigInt(size)).toString('hex')).toBe(root); // what was promised then is the beginning of what is now
  }
  const known = new Set(leaves.map((leaf) => `${leaf.leafIndex} ${leaf.hash.toString('hex')}`));
  const logged = acknowledged.filter(({ receipt }) => receipt !== null && checkpointOrigin(receipt) === log.origin);
  expect(logged.filter((seal) => !known.has(`${seal.leafIndex} ${seal.blockHash}`))).toEqual([]);
}

function expectTilesFit(db: RawDatabase, log: Log, tree: MemoryTree, entries: readonly Buffer[]): void {
  const tiles = rows<{ level: number; tileIndex: number; hashes: Buffer; root: Buffer }>(
    db,
    'SELECT * FROM log_tile WHERE logId = ?',
    log.id,
  );
  expect(tiles.filter(({ level }) => level === 0)).toHaveLength(Math.floor(log.size / 256));
  for (const { level, tileIndex, hashes, root } of tiles) {
    expect(root.equals(tree.node({ level: (level + 1) * 8, index: BigInt(tileIndex) }))).toBe(true);
    if (level === 0) expect(hashes.equals(Buffer.concat(entries.slice(tileIndex * 256, tileIndex * 256 + 256).map(leafHash)))).toBe(true);
  }
}

function checkpointOf(note: string, policy: Parameters<typeof verifyCheckpoint>[1]): { size: number; root: string } {
  const verdict = verifyCheckpoint(note, policy);
  if ('invalid' in verdict) throw new Error(verdict.invalid);
  return { size: Number(verdict.checkpoint.size), root: verdict.checkpoint.root.toString('hex') };
}

const checkpointOrigin = (receipt: string): string => parseReceipt(receipt).checkpoint.split('\n', 1)[0] ?? '';

/** I3: in the newest log of its hospital each block has exactly one leaf; I4: in the order of its chain; I5: no leaf says block of what is none. */
function expectEachBlockOnce(db: RawDatabase): void {
  const newest = 'SELECT MAX(id) AS id FROM log GROUP BY hospitalId';
  const blocks = rows<{ n: number; leafIndex: number; chain: string; height: number }>(
    db,
    `SELECT COUNT(l.leafIndex) AS n, MAX(l.leafIndex) AS leafIndex, hex(b.chainId) AS chain, b.height AS height FROM ledger_block b
     LEFT JOIN log_leaf l ON l.hash = b.blockHash AND l.kind = 1 AND l.logId IN (${newest}) GROUP BY b.chainId, b.height ORDER BY b.chainId, b.height`,
  );
  expect(blocks.filter(({ n }) => n !== 1)).toEqual([]);
  blocks.forEach((block, at) => {
    const next = blocks[at + 1];
    if (next?.chain === block.chain) expect(next.leafIndex).toBeGreaterThan(block.leafIndex);
  });
  const strange = 'SELECT 1 FROM log_leaf l LEFT JOIN ledger_block b ON b.blockHash = l.hash WHERE l.kind = 1 AND b.blockHash IS NULL';
  expect(rows(db, strange)).toEqual([]);
}
