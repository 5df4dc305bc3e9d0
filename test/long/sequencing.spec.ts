import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import type { RowTagger } from '../../src/crypto/row-tag';
import { Database } from '../../src/database/database';
import { openDataSources } from '../../src/database/database.module';
import { useRowTags } from '../../src/database/row-tags';
import { encodeEntry, type LogEntry } from '../../src/ledger/core/entry';
import { leafHash } from '../../src/ledger/core/tree';
import { beginLog, queueEntry, sequence } from '../../src/tlog/log-store';
import { TreeReader } from '../../src/tlog/tree-reader';
import { MemoryTree } from '../reference/memory-tree';
import { slowMth, slowPath, slowProof } from '../reference/slow-tree';
import { tagWithFreshKey } from '../support/row-tags';

const hex = (hashes: readonly Buffer[]): string[] => hashes.map((hash) => hash.toString('hex'));
const randomEntries = (count: number): LogEntry[] =>
  Array.from({ length: count }, () => ({ kind: randomInt(2) === 0 ? 1 : 3, hash: randomBytes(32) }));

describe('sequencing, held against the slow reference tree', () => {
  let dir: string;
  let database: Database;
  let tagger: RowTagger;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-log-'));
    const file = join(dir, 'log.sqlite');
    const sources = await openDataSources(dataSourceOptions(file), dataSourceOptions(file, true));
    tagger = tagWithFreshKey(sources.writer, sources.reader);
    database = new Database(sources);
    for (const id of [1, 2])
      await database.transaction((tx) => beginLog(tx, { hospitalId: `hospital ${id}`, incarnation: 1, origin: `log/${id}` }));
  });
  afterEach(async () => {
    await database.onApplicationShutdown();
    rmSync(dir, { recursive: true, force: true });
  });
  const queueAll = (logId: number, entries: readonly LogEntry[]): Promise<void> =>
    database.transaction(async (tx) => {
      for (const entry of entries) await queueEntry(tx, logId, entry);
    });

  test('roots and proofs of random sizes, entries in batches of random sizes, another log in between', async () => {
    const entries: LogEntry[] = [];
    while (entries.length < 700) {
      const more = randomEntries(1 + randomInt(200));
      await queueAll(1, more);
      await queueAll(2, randomEntries(randomInt(5)));
      entries.push(...more);
      if (randomInt(2) === 0) await database.transaction((tx) => sequence(tx, 1));
    }
    while ((await database.transaction((tx) => sequence(tx, 1))) > 0);
    const tree = new TreeReader(database.reader, 1);
    const slow = entries.map((entry) => encodeEntry(entry).toString('hex'));
    for (const size of [
      0,
      1,
      2,
      255,
      256,
      257,
      511,
      512,
      513,
      entries.length,
      ...Array.from({ length: 20 }, () => randomInt(entries.length)),
    ]) {
      const D = slow.slice(0, size);
      expect((await tree.root(BigInt(size))).toString('hex')).toBe(slowMth(D));
      if (size === 0) continue;
      const [index, old] = [randomInt(size), 1 + randomInt(size)];
      expect(hex(await tree.inclusion(BigInt(index), BigInt(size)))).toEqual(slowPath(index, D));
      expect(hex(await tree.consistency(BigInt(old), BigInt(size)))).toEqual(slowProof(old, D));
    }
    await expect(tree.root(BigInt(entries.length + 1))).rejects.toThrow('missing');
  });

  test('a batch has at most 256; nothing waits, nothing happens', async () => {
    await queueAll(1, randomEntries(300));
    const next = () => database.transaction((tx) => sequence(tx, 1));
    expect([await next(), await next(), await next()]).toEqual([256, 44, 0]);
  });

  test('tiles of two levels: 65,536 leaves and some more', async () => {
    const memory = MemoryTree.of([]);
    for (let round = 0; round < 257; round += 1) {
      const entries = randomEntries(256);
      await queueAll(1, entries);
      await database.transaction((tx) => sequence(tx, 1));
      for (const entry of entries) memory.append(leafHash(encodeEntry(entry)));
    }
    const levels = await database.reader.query<unknown[]>('SELECT level, COUNT(*) AS n FROM log_tile GROUP BY level ORDER BY level');
    expect(levels).toEqual([
      { level: 0, n: 257 },
      { level: 1, n: 1 },
    ]);
    const tree = new TreeReader(database.reader, 1);
    for (const size of [memory.size, 65_536n, 65_535n, 65_537n, 40_000n]) {
      expect(await tree.root(size)).toEqual(memory.root(size));
      expect(await tree.inclusion(size - 1n, size)).toEqual(memory.inclusion(size - 1n, size));
      expect(await tree.consistency(300n, size)).toEqual(memory.consistency(300n, size));
    }
  }, 240_000);

  test('two who sequence at once: one of them fails at the compare-and-set, or waits; no index is given twice', async () => {
    const file = join(dir, 'log.sqlite');
    const sources = {
      writer: await new DataSource(dataSourceOptions(file)).initialize(),
      reader: await new DataSource(dataSourceOptions(file, true)).initialize(),
    };
    useRowTags([sources.writer, sources.reader], tagger);
    const other = new Database(sources);
    await queueAll(1, randomEntries(1_000));
    const drain = async (from: Database): Promise<void> => {
      for (let taken = 1; taken > 0;) taken = await from.transaction((tx) => sequence(tx, 1));
    };
    await Promise.all([drain(database), drain(other)]);
    await other.onApplicationShutdown();
    const [row] = await database.reader.query<[{ n: number; last: number; size: number }]>(
      'SELECT COUNT(*) AS n, MAX(leafIndex) AS last, (SELECT size FROM log WHERE id = 1) AS size FROM log_leaf WHERE logId = 1',
    );
    expect(row).toEqual({ n: 1_000, last: 999, size: 1_000 });
  });
});
