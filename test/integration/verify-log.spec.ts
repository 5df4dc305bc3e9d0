import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import { checkpointText } from '../../src/ledger/core/checkpoint';
import { encodeEntry, EntryKind } from '../../src/ledger/core/entry';
import { formatNote, signNote } from '../../src/ledger/core/note';
import { parsePolicy } from '../../src/ledger/core/policy';
import { CompactRange, leafHash } from '../../src/ledger/core/tree';
import { noteKey } from '../../src/ledger/core/vkey';
import { LeafMarks } from '../../src/tlog/leaf-marks';
import { LogVerification, segmentsOf, snapshotLogs, verifySegment, verifyStoredLog } from '../../src/tlog/verify-log';

const ORIGIN = 'ledger.example/long';
const SIZE = 70_000;
/** Around the end of the first segment, and the size itself. */
const SIGNED = [0, 1, 255, 256, 65_535, 65_536, 65_537, 65_792, SIZE];

let dir = '';
let source: DataSource;
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const key = noteKey(ORIGIN, 1, Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'));
const trust = { policyFor: () => ({ ...parsePolicy('quorum none\n'), logs: [{ key }] }) };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-log-'));
  source = await new DataSource(dataSourceOptions(join(dir, 'ehr.sqlite'))).initialize();
  await source.runMigrations();
  await source.transaction(async (tx) => {
    const range = CompactRange.empty();
    const hashes: Buffer[][] = [[], []];
    const sign = async (size: number) => {
      const text = checkpointText({ origin: ORIGIN, size: BigInt(size), root: range.root() });
      const note = formatNote({ text, signatures: [signNote(text, { key, privateKey })] });
      await tx.query('INSERT INTO log_checkpoint VALUES (1, ?, 0, ?)', [size, note]);
    };
    await sign(0);
    for (let index = 0; index < SIZE; index += 1) {
      const hash = createHash('sha256').update(String(index)).digest();
      await tx.query('INSERT INTO log_leaf VALUES (1, ?, ?, ?)', [index, EntryKind['key-event'], hash]);
      const leaf = leafHash(encodeEntry({ kind: EntryKind['key-event'], hash }));
      hashes[0]?.push(leaf);
      const tiles: [number, number, Buffer, Buffer][] = [];
      range.append(leaf, (node, root) => {
        if (node.level !== 8 && node.level !== 16) return;
        const level = node.level / 8 - 1;
        tiles.push([level, Number(node.index), Buffer.concat(hashes[level]?.splice(0) ?? []), root]);
        hashes[level + 1]?.push(root);
      });
      for (const tile of tiles) await tx.query('INSERT INTO log_tile VALUES (1, ?, ?, ?, ?)', tile);
      if (SIGNED.includes(index + 1)) await sign(index + 1);
    }
    await tx.query('INSERT INTO log VALUES (1, ?, 1, ?, ?, ?, NULL)', ['h', ORIGIN, SIZE, Buffer.concat(range.hashes)]);
  });
}, 120_000);
afterAll(async () => {
  await source.destroy();
  rmSync(dir, { recursive: true, force: true });
});

/** The findings after `change`, which is undone. */
async function after(change: string[] = [], more: Partial<Parameters<typeof verifyStoredLog>[2]> = {}): Promise<string[]> {
  const runner = source.createQueryRunner();
  await runner.startTransaction();
  try {
    const triggers = (await runner.query(`SELECT name FROM sqlite_master WHERE type = 'trigger'`)) as { name: string }[];
    for (const { name } of triggers) await runner.query(`DROP TRIGGER "${name}"`);
    for (const sql of change) await runner.query(sql);
    const [log] = await snapshotLogs(runner.manager);
    if (!log) throw new Error('no log');
    const report = await verifyStoredLog(runner.manager, log, { trust, ...more });
    return report.findings.map(({ code, index, field }) => `${code} ${index} ${field}`);
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}

test('a log over several segments fits, at every signed size', async () => {
  expect(await after()).toEqual([]);
});

test.each([
  ['in the first segment: every later root is another', 100, [255, 256, 65_535, 65_536, 65_537, 65_792, SIZE], ['tile 0/0', 'tile 1/0']],
  ['the first of the second segment', 65_536, [65_537, 65_792, SIZE], ['tile 0/256']],
  ['in the last partial tile', SIZE - 1, [SIZE], []],
])('ATTACK a leaf is changed %s', async (_where, index, sizes, tiles) => {
  const found = await after([`UPDATE log_leaf SET hash = zeroblob(32) WHERE leafIndex = ${index}`]);
  expect(found.filter((line) => line.startsWith('CONSISTENCY_INVALID'))).toEqual(
    sizes.map((size) => `CONSISTENCY_INVALID ${size} checkpoint.root`),
  );
  expect(found.filter((line) => line.startsWith('LEAF_MISMATCH'))).toEqual([
    ...tiles.map((tile) => `LEAF_MISMATCH ${tile === 'tile 0/256' ? 65_536 : 0} ${tile}`),
    `LEAF_MISMATCH ${SIZE} log.edge`,
  ]);
});

test('a leaf that is missing is one finding; what it makes incomputable is not guessed at', async () => {
  expect(await after(['DELETE FROM log_leaf WHERE leafIndex = 300'])).toEqual(['LEAF_MISSING 300 leaf']);
  expect(await after([`DELETE FROM log_leaf WHERE leafIndex BETWEEN 65536 AND ${SIZE}`])).toEqual(['LEAF_MISSING 65536 leaf']);
});

test('roots that a verifier trusts are compared, also at sizes of which no checkpoint is stored', async () => {
  const root = randomBytes(32);
  expect(
    await after([], {
      trusted: [
        { size: 66_000, root },
        { size: SIZE + 1, root },
      ],
    }),
  ).toEqual([`ROLLBACK ${SIZE + 1} trusted checkpoint`, 'CONSISTENCY_INVALID 66000 trusted checkpoint']);
});

test('a leaf of a block that no chain has', async () => {
  const marks = LeafMarks.forSizes([[1, SIZE]]);
  marks.mark(1, 65_600);
  const asBlocks = ['UPDATE log_leaf SET kind = 1 WHERE leafIndex IN (65600, 65632, 65664)'];
  const found = await after(asBlocks, { marks });
  expect(found.filter((line) => line.includes('without a block'))).toEqual([
    'LEAF_MISMATCH 65632 leaf without a block',
    'LEAF_MISMATCH 65664 leaf without a block',
  ]);
});

test('a checkpoint under another key, and one of a log whose key is not known', async () => {
  const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x ?? '';
  const wrong = {
    policyFor: () => ({ ...parsePolicy('quorum none\n'), logs: [{ key: noteKey(ORIGIN, 1, Buffer.from(other, 'base64url')) }] }),
  };
  expect(await after([], { trust: wrong })).toEqual(SIGNED.map((size) => `CHECKPOINT_INVALID ${size} checkpoint.signature`).sort(bySize));
  expect(await after([], { trust: { policyFor: () => null } })).toEqual([]);
});
const bySize = (a: string, b: string) => Number(a.split(' ')[1]) - Number(b.split(' ')[1]);

test('256 segments make a tile of level 2, which is compared', async () => {
  const [log] = await snapshotLogs(source.manager);
  if (!log) throw new Error('no log');
  const roots = Array.from({ length: 257 }, () => randomBytes(32));
  const whole = CompactRange.empty();
  for (const root of roots) whole.append(root);
  const size = 257 * 65_536;
  const tiles = 257 * 256 + 257 + 1;
  const long = { ...log, size, leaves: size, edge: Buffer.concat(whole.hashes), signedSize: -1, tiles };
  expect(segmentsOf(long)).toBe(257);
  const verification = new LogVerification(source.manager, long, { trust });
  for (const edge of roots) await verification.add({ edge, cuts: [], checkpoints: [], findings: [], omitted: 0 });
  // There is no such tile in the database.
  expect(verification.finish().findings).toEqual([{ code: 'LEAF_MISMATCH', index: 0, field: 'tile 2/0' }]);
});

test('segments may be verified in any order, and give the same', async () => {
  const [log] = await snapshotLogs(source.manager);
  if (!log) throw new Error('no log');
  const second = await verifySegment(source.manager, log, 1, { trust });
  const first = await verifySegment(source.manager, log, 0, { trust });
  const verification = new LogVerification(source.manager, log, { trust });
  await verification.add(first);
  await verification.add(second);
  expect(verification.finish()).toMatchObject({ verdict: 'VALID', size: SIZE, signedSize: SIZE, findings: [] });
});
