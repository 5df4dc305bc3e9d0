import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leafHash } from '../../src/ledger/core/tree';
import { encodeEntry } from '../../src/ledger/core/entry';
import { tilePath, tileWidthAt } from '../../src/ledger/core/tiles';
import { parseReceipt } from '../../src/ledger/core/receipt';
import { sha256 } from '../../src/ledger/core/bytes';
import { checkpointText, parseCheckpointText } from '../../src/ledger/core/checkpoint';
import { formatNote, parseNote, signNote } from '../../src/ledger/core/note';
import { formatVkey } from '../../src/ledger/core/vkey';
import { Database } from '../../src/database/database';
import { LogKeys } from '../../src/tlog/log-keys';
import { beginLog, leavesBetween, queueEntry, sequence } from '../../src/tlog/log-store';
import { TreeReader } from '../../src/tlog/tree-reader';
import { createWorld, sealedDiagnosis, type World } from '../support/world';

/** Where Debian's golang-golang-x-mod-dev puts its sources. */
const GOPATH = '/usr/share/gocode';
const available = existsSync(join(GOPATH, 'src/golang.org/x/mod/sumdb/tlog')) && spawnSync('go', ['version']).status === 0;
const described = available ? describe : describe.skip;
if (!available) console.log('skipped: Go’s note and tlog are not installed (Debian: golang-go golang-golang-x-mod-dev)');

interface Document {
  Vkey: string;
  Note: string;
  Tiles: Record<string, string>;
  Records: { Index: number; Entry: string; Proof: string[] }[];
  Older: { Size: number; Root: string; Proof: string[] }[];
}
const text = (bytes: Buffer): string => bytes.toString('base64');

described('another implementation agrees: golang.org/x/mod/sumdb/note and tlog', () => {
  let world: World;
  let program: string;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-go-'));
    program = join(dir, 'check');
    const env = { ...process.env, GOPATH, GO111MODULE: 'off', GOCACHE: join(dir, 'cache'), GOFLAGS: '' };
    execFileSync('go', ['build', '-o', program, join(__dirname, 'main.go')], { env, cwd: dir });
    world = await createWorld();
  }, 120_000);
  afterAll(async () => {
    await world.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const check = (document: Document): string => spawnSync(program, { input: JSON.stringify(document), encoding: 'utf8' }).stdout;

  /** Every tile of a tree of that size. */
  async function tilesOf(read: (path: string) => Promise<Buffer>, size: bigint): Promise<Record<string, string>> {
    const tiles: Record<string, string> = {};
    for (let level = 0; tileWidthAt(level, 0n, size) > 0; level += 1)
      for (let index = 0n, width = 0; (width = tileWidthAt(level, index, size)) > 0; index += 1n) {
        const path = tilePath({ level, index, width });
        tiles[path] = text(await read(path));
      }
    return tiles;
  }

  test('the log of a hospital, read over HTTP as an outsider reads it', async () => {
    const receipts: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const draft = await sealedDiagnosis(world.doctorA, world.patientA.id, `round ${round}`);
      receipts.push((await world.doctorA.api.post<{ receipt: string }>(`/records/${draft}/seal`)).body.receipt);
    }
    const base = `${world.url}/api/v1/ledger/logs/${world.hospitalA.id}`;
    const note = await (await fetch(`${base}/checkpoint`)).text();
    const logs = (await world.anonymous.get<{ logs: { hospitalId: string; vkey: string }[] }>('/ledger/logs')).body.logs;
    const { size } = parseCheckpointText(parseNote(note).text);
    const read = async (path: string) => Buffer.from(await (await fetch(`${base}/tile/${path}`)).arrayBuffer());
    const older = receipts.map((receipt) => parseCheckpointText(parseNote(parseReceipt(receipt).checkpoint).text));
    const tree = new TreeReader(world.foundations.sources.reader.manager, 1);
    const last = parseReceipt(receipts.at(-1) ?? '');
    const document: Document = {
      Vkey: logs.find((log) => log.hospitalId === world.hospitalA.id)?.vkey ?? '',
      Note: note,
      Tiles: await tilesOf(read, size),
      // The receipt of the last seal is under the newest checkpoint.
      Records: [
        {
          Index: Number(last.index),
          Entry: text(encodeEntry({ kind: 1, hash: sha256(last.extra ?? Buffer.alloc(0)) })),
          Proof: last.proof.map(text),
        },
      ],
      Older: await Promise.all(
        older.map(async (item) => ({
          Size: Number(item.size),
          Root: text(item.root),
          Proof: (await tree.consistency(item.size, size)).map(text),
        })),
      ),
    };
    expect(check(document)).toBe('ok: 1 records, 5 older trees\n');
    // And Go sees it when something is wrong.
    expect(check({ ...document, Note: note.replace(`\n${size}\n`, `\n${size + 1n}\n`) })).toMatch(/^note: /);
    const [record] = document.Records;
    if (!record) throw new Error('no record');
    expect(check({ ...document, Records: [{ ...record, Index: record.Index - 1 }] })).toMatch(/^record /);
    const [first] = document.Older;
    if (!first) throw new Error('no older tree');
    expect(check({ ...document, Older: [{ ...first, Root: text(sha256('another')) }] })).toMatch(/^tree of /);
    const [path = '', tile = ''] = Object.entries(document.Tiles)[0] ?? [];
    const spoiled = Buffer.from(tile, 'base64');
    spoiled.writeUInt8(spoiled.readUInt8(0) ^ 1, 0);
    expect(check({ ...document, Tiles: { ...document.Tiles, [path]: text(spoiled) } })).toMatch(/^tiles for record /);
  });

  test('a log of 70,001 entries with three levels of tiles', async () => {
    const database = world.app.get(Database);
    const origin = 'ledger.large.example/ehr1';
    const { id } = await database.transaction((tx) => beginLog(tx, { hospitalId: world.hospitalB.id, incarnation: 9, origin }));
    const total = 70_001;
    for (let queued = 0; queued < total;) {
      const until = Math.min(total, queued + 5_000);
      await database.transaction(async (tx) => {
        for (; queued < until; queued += 1) await queueEntry(tx, id, { kind: 1, hash: sha256(`entry ${queued}`) });
      });
    }
    while ((await database.transaction((tx) => sequence(tx, id))) > 0);
    const tree = new TreeReader(database.reader, id);
    const size = BigInt(total);
    const signer = world.app.get(LogKeys).log(origin);
    const body = checkpointText({ origin, size, root: await tree.root(size) });
    const indexes = [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 69_887, 69_888, 70_000];
    const sizes = [1, 2, 255, 256, 257, 4_096, 65_535, 65_536, 65_537, 70_000];
    const document: Document = {
      Vkey: formatVkey(signer.key),
      Note: formatNote({ text: body, signatures: [signNote(body, signer)] }),
      Tiles: await tilesOf(async (path) => {
        const [level, index] = [
          Number(path.split('/')[0]),
          Number(
            path
              .replace(/^\d+\//, '')
              .replace(/\.p\/.*/, '')
              .replace(/[x/]/g, ''),
          ),
        ];
        const width = tileWidthAt(level, BigInt(index), size);
        return (await tree.tile(level, index)).subarray(0, width * 32);
      }, size),
      Records: await Promise.all(
        indexes.map(async (index) => {
          const [entry] = await leavesBetween(database.reader, id, index, index + 1);
          if (!entry) throw new Error(`no leaf ${index}`);
          expect(leafHash(encodeEntry(entry))).toHaveLength(32);
          return { Index: index, Entry: text(encodeEntry(entry)), Proof: (await tree.inclusion(BigInt(index), size)).map(text) };
        }),
      ),
      Older: await Promise.all(
        sizes.map(async (from) => ({
          Size: from,
          Root: text(await tree.root(BigInt(from))),
          Proof: (await tree.consistency(BigInt(from), size)).map(text),
        })),
      ),
    };
    expect(Object.keys(document.Tiles).filter((path) => path.startsWith('2/'))).toEqual(['2/000.p/1']);
    expect(check(document)).toBe(`ok: ${indexes.length} records, ${sizes.length} older trees\n`);
  }, 120_000);
});
