import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeHeader, encodeHeader } from '../../src/ledger/core/header';
import { checkpointText } from '../../src/ledger/core/checkpoint';
import { encodeEntry } from '../../src/ledger/core/entry';
import { formatNote, signNote } from '../../src/ledger/core/note';
import { CompactRange, leafHash } from '../../src/ledger/core/tree';
import { LogKeys } from '../../src/tlog/log-keys';
import { HttpClient } from '../../src/tools/http-client';
import { importBundles } from '../../src/tools/import-bundles';
import { audited, damaged } from '../support/damage';
import { dropUniqueIndexes, type RawDatabase, rows, storedChain, type StoredRow } from '../support/raw-database';
import { createWorld, PASSWORD, sealedDiagnosis, type World } from '../support/world';

let world: World;
let patient = '';
/** Of the log of hospital A. */
let logId = 0;
let origin = '';
/** Checkpoints as an auditor would have kept them. */
let early = '';
let late = '';

const observation = (value: number) => ({
  resource: {
    resourceType: 'Observation',
    status: 'final',
    code: { text: 'Heart rate' },
    subject: { reference: 'urn:uuid:00000000-0000-4000-8000-000000000001' },
    effectiveDateTime: '2026-01-02',
    valueQuantity: { value, unit: '/min' },
  },
});
const bundle = (size: number) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    {
      fullUrl: 'urn:uuid:00000000-0000-4000-8000-000000000001',
      resource: { resourceType: 'Patient', name: [{ text: 'Long Chain' }], birthDate: '1950-01-01', gender: 'male' },
    },
    ...Array.from({ length: size }, (_none, index) => observation(60 + index)),
  ],
});

beforeAll(async () => {
  world = await createWorld({ LEDGER_SCRUB_BLOCKS: '0' });
  patient = world.patientA.id;
  for (let index = 0; index < 3; index += 1) await sealedDiagnosis(world.doctorA, patient, `note ${index}`);
  const path = `/ledger/logs/${(await world.hospitalA.api.get<{ hospitalId: string }>('/auth/me')).body.hospitalId}/checkpoint`;
  early = (await world.anonymous.get(path)).text;
  const client = await HttpClient.login(world.url, world.hospitalA.username, PASSWORD);
  const done = await importBundles(client, [{ fileName: 'long.json', read: () => Promise.resolve(JSON.stringify(bundle(300))) }]);
  expect(done.refused).toEqual([]);
  await sealedDiagnosis(world.doctorB, world.patientB.id);
  await sealedDiagnosis(world.doctorA, patient, 'last');
  for (;;) {
    const { logs } = (await world.auditor.api.get<{ logs: { size: number; signedSize: number; pending: number }[] }>('/ledger/status'))
      .body;
    if (logs.every((log) => log.pending === 0 && log.signedSize === log.size)) break;
    await sleep(20);
  }
  late = (await world.anonymous.get(path)).text;
  await world.app.close();
  origin = early.split('\n')[0] ?? '';
  logId = await withCopy((db) => rows<{ id: number }>(db, 'SELECT id FROM log WHERE origin = ?', origin)[0]?.id ?? 0);
}, 120_000);
afterAll(() => rmSync(world.dir, { recursive: true, force: true }));

async function withCopy<T>(read: (db: RawDatabase) => T): Promise<T> {
  const values: T[] = [];
  await damaged(world, (db) => void values.push(read(db)), { patientId: patient });
  const [value] = values;
  if (value === undefined) throw new Error('nothing was read');
  return value;
}

const leafIndexOf = (db: RawDatabase, hash: Buffer) =>
  rows<{ leafIndex: number }>(db, 'SELECT leafIndex FROM log_leaf WHERE hash = ? AND logId = ?', hash, logId)[0]?.leafIndex ?? -1;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
const hasVerdict = (...some: unknown[]): unknown => expect.arrayContaining(some);
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

/** Moves the head row, and drops what other tables say about the blocks above. */
function moveHead(db: RawDatabase, { chainId, height, blockHash }: StoredRow): void {
  db.prepare('UPDATE ledger_chain SET height = ?, headHash = ? WHERE chainId = ?').run(height, blockHash, chainId);
}

function deleteBlock(db: RawDatabase, { chainId, height, recordId }: StoredRow): void {
  db.prepare('DELETE FROM ledger_block WHERE chainId = ? AND height = ?').run(chainId, height);
  db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(recordId);
  db.prepare('DELETE FROM record WHERE id = ?').run(recordId);
}

/** Writes the newest block of the patient anew, another second of sealing in it, with all rows that copy its hash: the chain alone is then valid. */
function resealTail(db: RawDatabase): { old: Buffer; fresh: Buffer; height: number } {
  const tail = storedChain(db, patient).at(-1);
  if (!tail) throw new Error('no chain');
  const header = decodeHeader(tail.header);
  const bytes = encodeHeader({ ...header, sealedAt: header.sealedAt + 1000 });
  const fresh = sha256(bytes);
  db.prepare('UPDATE ledger_block SET header = ?, blockHash = ? WHERE chainId = ? AND height = ?').run(
    bytes,
    fresh,
    tail.chainId,
    tail.height,
  );
  db.prepare('UPDATE record SET blockHash = ?, sealedAt = ? WHERE id = ?').run(
    fresh.toString('hex'),
    header.sealedAt + 1000,
    tail.recordId,
  );
  moveHead(db, { ...tail, blockHash: fresh });
  return { old: tail.blockHash, fresh, height: tail.height };
}

describe('an audit of an intact folder', () => {
  test.each([
    ['in its own thread', { threads: 0 }],
    ['on two threads', { threads: 2 }],
    ['without keys', { withoutKeys: true }],
    ['of the hashes only, on two threads', { hashesOnly: true, threads: 2 }],
  ])('R17 finds everything valid, %s', async (_how, options) => {
    const { summary, logs, inChains, inLogs } = await audited(world, options);
    expect([inChains, inLogs]).toEqual([[], []]);
    expect(summary).toMatchObject({ bad: 0, badLogs: 0, logs: 2 });
    expect(summary.blocks).toBeGreaterThan(300);
    // Every block is a leaf, and every leaf so far is a block or another known entry.
    expect(summary.leaves).toBeGreaterThanOrEqual(summary.blocks);
    const { origin: own, ...rest } = logs.find((log) => log.origin === origin) ?? { origin: '' };
    expect([own, rest]).toMatchObject([
      origin,
      { verdict: 'VALID', witnessedSize: 0, signaturesChecked: !('withoutKeys' in options || 'hashesOnly' in options) },
    ]);
  });

  test('R17 one patient: each block is proven under the newest checkpoint', async () => {
    const { chains, logs } = await audited(world, { patientId: patient });
    expect(chains.map(({ verdict, patientId }) => [verdict, patientId])).toEqual([['VALID', patient]]);
    expect(logs).toEqual([]);
  });

  test('both kinds of run give the same findings for the same damage', async () => {
    const change = (db: RawDatabase) => void resealTail(db);
    const [one, two] = [await damaged(world, change), await damaged(world, change, { threads: 2 })];
    expect(one.inChains.length + one.inLogs.length).toBeGreaterThan(0);
    expect([two.inChains, two.inLogs]).toEqual([one.inChains, one.inLogs]);
  });
});

describe('whoever owns the database file', () => {
  test('ATTACK delete a middle block: the gap, and the leaf that lost its block', async () => {
    let leaf = -1;
    const found = await damaged(world, (db) => {
      const block = storedChain(db, patient)[2];
      if (!block) throw new Error('no block');
      leaf = leafIndexOf(db, block.blockHash);
      deleteBlock(db, block);
    });
    expect(found.inChains).toEqual(hasVerdict(`${patient} HEIGHT_GAP 3 height`, `${patient} BROKEN_LINK 3 header.prevHash`));
    expect(found.inLogs).toEqual([`LEAF_MISMATCH ${leaf} leaf without a block`]);
  });

  test('ATTACK truncate the tail: the chain alone is valid, its leaf is not forgotten', async () => {
    let leaf = -1;
    const found = await damaged(world, (db) => {
      const [below, tail] = storedChain(db, patient).slice(-2);
      if (!below || !tail) throw new Error('no chain');
      leaf = leafIndexOf(db, tail.blockHash);
      deleteBlock(db, tail);
      moveHead(db, below);
    });
    expect(found.inChains).toEqual([]);
    expect(found.inLogs).toEqual([`LEAF_MISMATCH ${leaf} leaf without a block`]);
  });

  test('ATTACK delete a whole patient: every leaf of the chain is left without its block', async () => {
    let leaves: number[] = [];
    const found = await damaged(world, (db) => {
      const chain = storedChain(db, patient);
      leaves = chain.map((block) => leafIndexOf(db, block.blockHash));
      for (const block of chain) deleteBlock(db, block);
      db.prepare('DELETE FROM ledger_chain WHERE patientId = ?').run(patient);
    });
    expect(leaves.length).toBe(5);
    expect(found.inChains).toEqual([]);
    expect(found.inLogs.sort()).toEqual(leaves.map((leaf) => `LEAF_MISMATCH ${leaf} leaf without a block`).sort());
  });

  test('ATTACK insert a phantom record: a copy of a block under a new height has no leaf', async () => {
    let height = 0;
    const found = await damaged(world, (db) => {
      const tail = storedChain(db, patient).at(-1);
      if (!tail) throw new Error('no chain');
      height = tail.height + 1;
      const header = encodeHeader({ ...decodeHeader(tail.header), height, prevHash: tail.blockHash });
      const phantom = { ...tail, height, header, blockHash: sha256(header), prevHash: tail.blockHash };
      const names = Object.keys(phantom);
      db.prepare(`INSERT INTO ledger_block (${names.join()}) VALUES (${names.map((name) => `@${name}`).join()})`).run(phantom);
      moveHead(db, phantom);
    });
    expect(found.inChains).toEqual(hasVerdict(`${patient} LEAF_MISSING ${height} header`));
    expect(found.inLogs).toEqual([]);
  });

  test('ATTACK recompute a whole chain: the chain alone is valid, its block has no leaf and the leaf no block', async () => {
    let [height, leaf] = [0, -1];
    const found = await damaged(world, (db) => {
      const changed = resealTail(db);
      height = changed.height;
      leaf = leafIndexOf(db, changed.old);
    });
    expect(found.inChains).toEqual([`${patient} LEAF_MISSING ${height} header`]);
    expect(found.inLogs).toEqual([`LEAF_MISMATCH ${leaf} leaf without a block`]);
  });

  test('ATTACK recompute a whole chain with its leaf: the signed roots do not fit, and one patient’s proof fails', async () => {
    let leaf = -1;
    const change = (db: RawDatabase) => {
      const { old, fresh } = resealTail(db);
      leaf = leafIndexOf(db, old);
      db.prepare('UPDATE log_leaf SET hash = ? WHERE logId = ? AND leafIndex = ?').run(fresh, logId, leaf);
    };
    const found = await damaged(world, change);
    expect(found.inChains).toEqual([]);
    expect(found.inLogs).toEqual(hasVerdict(matching(/^CONSISTENCY_INVALID \d+ checkpoint\.root$/)));
    const one = await damaged(world, change, { patientId: patient });
    // With another leaf no path leads to the signed root: nothing of the log is proven any more.
    expect(one.inChains).toEqual(Array.from({ length: 5 }, (_none, height) => `${patient} INCLUSION_INVALID ${height} leaf`));
  });

  test('ATTACK recompute everything and re-sign with the stolen key: only a checkpoint kept elsewhere shows it', async () => {
    const keys = new LogKeys(world.foundations.keys, world.foundations.config);
    const change = (db: RawDatabase) => {
      const { old, fresh } = resealTail(db);
      db.prepare('UPDATE log_leaf SET hash = ? WHERE logId = ? AND leafIndex = ?').run(fresh, logId, leafIndexOf(db, old));
      const size = rewriteTree(db);
      db.prepare('DELETE FROM log_checkpoint WHERE logId = ? AND size <> ?').run(logId, size.size);
      const text = checkpointText({ origin, size: BigInt(size.size), root: size.root });
      const note = formatNote({ text, signatures: [signNote(text, keys.log(origin))] });
      db.prepare('UPDATE log_checkpoint SET note = ? WHERE logId = ?').run(note, logId);
    };
    const alone = await damaged(world, change);
    expect([alone.inChains, alone.inLogs]).toEqual([[], []]);
    const size = Number(late.split('\n')[1]);
    const held = await damaged(world, change, { trust: [kept('late', late)] });
    expect(held.inLogs).toEqual([`CONSISTENCY_INVALID ${size} trusted checkpoint`]);
  });

  test('ATTACK duplicated leaf: a second leaf for one block', async () => {
    let [size, height] = [0, 0];
    const found = await damaged(world, (db) => {
      dropUniqueIndexes(db, 'log_leaf');
      const block = storedChain(db, patient)[1];
      if (!block) throw new Error('no block');
      height = block.height;
      size = rows<{ size: number }>(db, 'SELECT size FROM log WHERE id = ?', logId)[0]?.size ?? 0;
      db.prepare('INSERT INTO log_leaf (logId, leafIndex, kind, hash) VALUES (?, ?, 1, ?)').run(logId, size, block.blockHash);
      db.prepare('UPDATE log SET size = size + 1 WHERE id = ?').run(logId);
    });
    expect(found.inChains).toEqual(hasVerdict(`${patient} LEAF_MISMATCH ${height} a second leaf`));
    expect(found.inLogs).toEqual([`LEAF_MISMATCH ${size + 1} log.edge`]);
  });

  test.each([
    [
      'a hash of it',
      (db: RawDatabase) => db.prepare(`UPDATE log_tile SET hashes = zeroblob(32) || substr(hashes, 33) WHERE logId = ?`).run(logId),
    ],
    ['its root', (db: RawDatabase) => db.prepare('UPDATE log_tile SET root = zeroblob(32) WHERE logId = ?').run(logId)],
    ['all of it', (db: RawDatabase) => db.prepare('DELETE FROM log_tile WHERE logId = ?').run(logId)],
  ])('ATTACK edit a tile: %s', async (_what, change) => {
    const found = await damaged(world, (db) => void change(db));
    expect(found.inLogs).toEqual(['LEAF_MISMATCH 0 tile 0/0']);
  });

  test.each<[string, (db: RawDatabase) => unknown, RegExp]>([
    ['a leaf is deleted', (db) => db.prepare('DELETE FROM log_leaf WHERE logId = ? AND leafIndex = 7').run(logId), /^LEAF_MISSING 7 leaf$/],
    [
      'the last leaf is deleted',
      (db) => db.exec(`DELETE FROM log_leaf WHERE logId = ${logId} AND leafIndex = (SELECT size - 1 FROM log WHERE id = ${logId})`),
      /^LEAF_MISSING \d+ leaf$/,
    ],
    [
      'a leaf gets an unknown kind',
      (db) => db.prepare('UPDATE log_leaf SET kind = 99 WHERE logId = ? AND leafIndex = 7').run(logId),
      /^MALFORMED 7 leaf\.kind$/,
    ],
    ['the log is set back', (db) => db.prepare('UPDATE log SET size = 3 WHERE id = ?').run(logId), /^ROLLBACK \d+ log\.size$/],
    ['the size is absurd', (db) => db.prepare('UPDATE log SET size = 2147483647 WHERE id = ?').run(logId), /^LEAF_MISSING \d+ leaf$/],
    ['the edge is changed', (db) => db.prepare(`UPDATE log SET edge = x'00' WHERE id = ?`).run(logId), /^LEAF_MISMATCH \d+ log\.edge$/],
    [
      'a checkpoint is no note',
      (db) => db.prepare(`UPDATE log_checkpoint SET note = 'x' WHERE logId = ?`).run(logId),
      /^CHECKPOINT_INVALID \d+ checkpoint$/,
    ],
    [
      'a checkpoint says another size',
      (db) =>
        db.exec(
          `UPDATE log_checkpoint SET size = size + 1 WHERE logId = ${logId} AND size = (SELECT MIN(size) FROM log_checkpoint WHERE logId = ${logId} AND size + 1 NOT IN (SELECT size FROM log_checkpoint WHERE logId = ${logId}))`,
        ),
      /^CHECKPOINT_INVALID \d+ checkpoint\.size$/,
    ],
    [
      'a signature is changed',
      (db) =>
        db
          .prepare(
            `UPDATE log_checkpoint SET note = replace(note, char(10) || char(10), char(10) || 'more' || char(10) || char(10)) WHERE logId = ?`,
          )
          .run(logId),
      /^CHECKPOINT_INVALID \d+ checkpoint\.signature$/,
    ],
    [
      'a leaf stands beyond the size',
      (db) => db.prepare(`INSERT INTO log_leaf VALUES (?, 99999, 1, zeroblob(32))`).run(logId),
      /^LEAF_MISMATCH \d+ leaf beyond the size of the log$/,
    ],
    [
      'a tile stands beyond the size',
      (db) => db.prepare(`INSERT INTO log_tile VALUES (?, 0, 99, zeroblob(32), zeroblob(32))`).run(logId),
      /^LEAF_MISMATCH \d+ tile beyond the size of the log$/,
    ],
  ])('the log: %s', async (_what, change, expected) => {
    const found = await damaged(world, (db) => void change(db));
    expect(found.inLogs).toEqual(hasVerdict(matching(expected)));
  });

  test('ATTACK restore yesterday’s backup: the kept checkpoint is larger than the log', async () => {
    const size = Number(late.split('\n')[1]);
    const trust = [kept('late', late)];
    expect((await audited(world, { trust })).inLogs).toEqual([]);
    const back = (db: RawDatabase) => {
      const old = Number(early.split('\n')[1]);
      for (const table of ['log_leaf', 'log_checkpoint', 'log_tile'])
        db.exec(
          `DELETE FROM ${table} WHERE logId = ${logId} AND ${table === 'log_leaf' ? `leafIndex >= ${old}` : table === 'log_tile' ? '1 = 1' : `size > ${old}`}`,
        );
      db.prepare('UPDATE log SET size = ? WHERE id = ?').run(old, logId);
    };
    expect((await damaged(world, back, { trust })).inLogs).toEqual(hasVerdict(`ROLLBACK ${size} trusted checkpoint`));
    const gone = (db: RawDatabase) => ['log', 'log_leaf', 'log_tile', 'log_checkpoint'].forEach((table) => db.exec(`DELETE FROM ${table}`));
    expect((await damaged(world, gone, { trust })).inLogs).toEqual([`ROLLBACK ${size} trusted checkpoint`]);
  });

  test('a kept checkpoint that the log’s key did not sign, and a file that is none', async () => {
    const size = Number(early.split('\n')[1]);
    const forged = early.replace('\n\n', '\nmore\n\n');
    expect((await audited(world, { trust: [kept('early', early)] })).inLogs).toEqual([]);
    expect((await audited(world, { trust: [kept('forged', forged)] })).inLogs).toEqual([`CHECKPOINT_INVALID ${size} trusted checkpoint`]);
    await expect(audited(world, { trust: [kept('nothing', 'x')] })).rejects.toThrow('is no signed checkpoint');
  });
});

function kept(name: string, text: string): string {
  const file = join(world.dir, `${name}.txt`);
  writeFileSync(file, text);
  return file;
}

/** Computes tiles and edge from the leaves, as an attacker would. */
function rewriteTree(db: RawDatabase): { size: number; root: Buffer } {
  const range = CompactRange.empty();
  const hashes: Buffer[] = [];
  const leaves = rows<{ kind: 1; hash: Buffer }>(db, 'SELECT kind, hash FROM log_leaf WHERE logId = ? ORDER BY leafIndex', logId);
  for (const leaf of leaves) {
    hashes.push(leafHash(encodeEntry(leaf)));
    range.append(hashes.at(-1) ?? Buffer.alloc(0), (node, root) => {
      if (node.level !== 8) return;
      const tile = Buffer.concat(hashes.slice(-256));
      db.prepare('UPDATE log_tile SET hashes = ?, root = ? WHERE logId = ? AND level = 0 AND tileIndex = ?').run(
        tile,
        root,
        logId,
        Number(node.index),
      );
    });
  }
  db.prepare('UPDATE log SET edge = ? WHERE id = ?').run(Buffer.concat(range.hashes), logId);
  return { size: leaves.length, root: range.root() };
}
