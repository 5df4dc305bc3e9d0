import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../../src/database/database';
import { parseCheckpointText } from '../../src/ledger/core/checkpoint';
import { parseNote } from '../../src/ledger/core/note';
import { CompactRange, leafHash, nodeHash } from '../../src/ledger/core/tree';
import { TlogService } from '../../src/tlog/tlog.service';
import { ApiClient, type Answer } from '../support/api-client';
import { type Acknowledged, expectLogsSound } from '../support/log-check';
import { openRaw, select } from '../support/raw-database';
import { watchStatements } from '../support/statements';
import { prepareSite, type Site, startServer } from '../support/servers';
import { startTestApp, type TestApp } from '../support/test-app';
import { draftDiagnosis } from '../support/world';

interface Seal extends Acknowledged, Record<string, unknown> {
  state: string;
}

describe('a running server', () => {
  let site: Site;
  let app: TestApp;
  const acknowledged: Seal[] = [];
  beforeAll(async () => {
    site = await prepareSite('a');
  }, 120_000);
  afterEach(() => app.app.close());
  afterAll(() => rmSync(site.dir, { recursive: true, force: true }));

  async function start(settings: Record<string, string> = {}): Promise<void> {
    app = await startTestApp({ LEDGER_ORIGIN_BASE: 'ledger.hospital-a.example', ...settings }, site.dir);
  }
  async function seal(query: string, url = app.url): Promise<Answer<Seal>> {
    const doctor = site.as(site.doctor, url);
    const answer = await doctor.api.post<Seal>(`/records/${await draftDiagnosis(doctor, site.patient.id)}/seal${query}`);
    if (answer.status === 201) acknowledged.push(answer.body);
    return answer;
  }
  async function waiting(): Promise<number> {
    return (await select(app, 'SELECT 1 FROM log_pending')).length;
  }
  async function settled(): Promise<void> {
    for (let tries = 0; (await waiting()) > 0 && tries < 200; tries += 1) await sleep(25);
    expectLogsSound(app, acknowledged);
  }

  test('?wait= says how long the answer takes: sealed, logged (the default), witnessed; nothing else', async () => {
    await start();
    expect((await seal('?wait=sealed')).body).toMatchObject({ state: 'sealed', leafIndex: null, receipt: null });
    const logged = await seal('');
    expect(logged.body).toMatchObject({
      state: 'logged',
      leafIndex: expect.any(Number),
      receipt: expect.stringContaining('c2sp.org/tlog-proof@v1\n'),
    });
    const before = (await select(app, 'SELECT 1 FROM ledger_block')).length;
    for (const wait of ['witnessed', 'for-ever', '']) expect((await seal(`?wait=${wait}`)).status).toBe(400);
    expect((await select(app, 'SELECT 1 FROM ledger_block')).length).toBe(before);
    await settled();
  });

  test('a checkpoint wakes all who wait for it, and what they have in common is looked up once', async () => {
    await start({ LEDGER_CHECKPOINT_MS: '1000' });
    await seal('');
    const doctor = site.as(site.doctor, app.url);
    const drafts = await Promise.all(Array.from({ length: 30 }, () => draftDiagnosis(doctor, site.patient.id)));
    let looks = 0;
    const stop = watchStatements((sql) => (looks += /FROM "log_checkpoint" "CheckpointEntity"/.test(sql) ? 1 : 0));
    const answers = await Promise.all(drafts.map((id) => doctor.api.post<Seal>(`/records/${id}/seal`))).finally(stop);
    expect(answers.map(({ body }) => body.state)).toEqual(drafts.map(() => 'logged'));
    acknowledged.push(...answers.map(({ body }) => body));
    expect(looks).toBeGreaterThan(0);
    expect(looks).toBeLessThan(drafts.length);
    await settled();
  });

  test('when time is up before a checkpoint is due, the answer says sealed; the proof comes later', async () => {
    await start({ LEDGER_CHECKPOINT_MS: '3600000', LEDGER_WAIT_SECONDS: '1' });
    const began = performance.now();
    const late = await seal('?wait=logged');
    expect([late.status, late.body.state, late.body.receipt]).toEqual([201, 'sealed', null]);
    expect(performance.now() - began).toBeLessThan(5_000);
    await app.app.close();
    await start();
    const again = await site.as(site.doctor, app.url).api.post<Seal>(`/records/${String(late.body['recordId'])}/seal`);
    expect([again.body.state, again.body.blockHash]).toEqual(['logged', late.body.blockHash]);
    await settled();
  });

  test('checkpoints of one log are at least the interval apart, and each is signed once', async () => {
    await start({ LEDGER_CHECKPOINT_MS: '400' });
    const from = app.clock.now();
    for (let round = 0; round < 12; round += 1) {
      await seal('?wait=sealed');
      await sleep(80);
    }
    await seal('');
    const signed = await select<{ signedAt: number; size: number }>(
      app,
      'SELECT signedAt, size FROM log_checkpoint WHERE signedAt >= ? ORDER BY size',
      from,
    );
    expect(signed.length).toBeGreaterThan(1);
    signed.slice(1).forEach(({ signedAt }, at) => expect(signedAt - (signed[at]?.signedAt ?? 0)).toBeGreaterThanOrEqual(400));
    await settled();
  });

  test('a clock that is set back does not stop the log', async () => {
    await start();
    app.clock.advance(300_000);
    await seal('');
    app.clock.advance(-300_000);
    expect((await seal('')).body.state).toBe('logged');
    await settled();
  });

  test('a log that is far behind takes no more: 503 with Retry-After; it recovers', async () => {
    await start();
    await seal('');
    const db = openRaw(app);
    try {
      db.exec(`CREATE TRIGGER stuck BEFORE INSERT ON log_leaf BEGIN SELECT RAISE(ABORT, 'stuck'); END`);
      const tlog = app.app.get(TlogService);
      await app.app.get(Database).transaction(async (tx) => {
        for (let index = 0; index < 4_200; index += 1) await tlog.queue(tx, site.hospitalId, 'policy', randomBytes(32));
      });
      let refused = await seal('?wait=sealed');
      for (let tries = 0; refused.status === 201 && tries < 100; tries += 1) {
        await sleep(50);
        refused = await seal('?wait=sealed');
      }
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
      db.exec('DROP TRIGGER stuck');
    } finally {
      db.close();
    }
    for (let tries = 0; (await waiting()) > 0 && tries < 400; tries += 1) await sleep(25);
    expect((await seal('')).body.state).toBe('logged');
    await settled();
  }, 60_000);

  test('one hospital’s log that cannot go on does not stop the others', async () => {
    await start();
    const broken = randomBytes(32);
    const db = openRaw(app);
    try {
      // A log before ours, whose leaves are gone: its root cannot be computed.
      db.prepare('INSERT INTO log (id, hospitalId, incarnation, origin, size, edge) VALUES (0, ?, 1, ?, 1, ?)').run(
        'broken',
        'log/broken',
        broken,
      );
    } finally {
      db.close();
    }
    try {
      expect((await seal('')).body.state).toBe('logged');
      await sleep(1_200);
      expect((await seal('')).body.state).toBe('logged');
    } finally {
      const again = openRaw(app);
      again.exec('DROP TRIGGER log_no_delete; DELETE FROM log WHERE id = 0');
      again.close();
    }
    await settled();
  });

  test('entries and tiles over HTTP rebuild the root of the checkpoint; what is not signed is not shown', async () => {
    await start();
    await seal('');
    const tlog = app.app.get(TlogService);
    const hashes = Array.from({ length: 300 }, () => randomBytes(32));
    await app.app.get(Database).transaction(async (tx) => {
      for (const hash of hashes) await tlog.queue(tx, site.hospitalId, 'policy', hash);
    });
    await tlog.settle(site.hospitalId, hashes.at(-1) ?? Buffer.alloc(0), 'logged');
    const get = (path: string) => app.anonymous.get(`/ledger/logs/${site.hospitalId}/${path}`);
    const { size, root } = parseCheckpointText(parseNote((await get('checkpoint')).text).text);
    const name = (index: number, width: number): string => {
      const digits = String(index).padStart(3, '0');
      return width === 256 ? digits : `${digits}.p/${width}`;
    };
    const fromEntries = CompactRange.empty();
    const fromTiles = CompactRange.empty();
    for (let at = 0n; at < size; at += 256n) {
      const [index, width] = [Number(at / 256n), Math.min(256, Number(size - at))];
      const bundle = (await get(`tile/entries/${name(index, width)}`)).bytes;
      for (let from = 0; from < bundle.length;) {
        const length = bundle.readUInt16BE(from);
        fromEntries.append(leafHash(bundle.subarray(from + 2, from + 2 + length)));
        from += 2 + length;
      }
      const tile = (await get(`tile/0/${name(index, width)}`)).bytes;
      for (let from = 0; from < tile.length; from += 32) fromTiles.append(tile.subarray(from, from + 32));
    }
    expect(fromEntries.size).toBe(size);
    expect([fromEntries.root(), fromTiles.root()]).toEqual([root, root]);
    const full = Number(size / 256n);
    const above = (await get(`tile/1/${name(0, full)}`)).bytes;
    const below = (await get('tile/0/000')).bytes;
    let level = Array.from({ length: 256 }, (_none, at) => below.subarray(at * 32, at * 32 + 32));
    while (level.length > 1) level = level.filter((_hash, at) => at % 2 === 0).map((left, at) => nodeHash(left, level[at * 2 + 1] ?? left));
    expect(above.subarray(0, 32)).toEqual(level[0]);
    const partial = Number(size % 256n);
    expect((await get(`tile/0/${name(full, partial + 1)}`)).status).toBe(404);
    expect((await get(`tile/entries/${name(full, partial + 1)}`)).status).toBe(404);
    for (const path of ['0/00', '0/-01', '64/000', 'entries/000.p/0', '0/x000/0', '..%2f0/000'])
      expect((await get(`tile/${path}`)).status).toBe(404);
    const other = randomBytes(16)
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    expect((await app.anonymous.get(`/ledger/logs/${other}/checkpoint`)).status).toBe(404);
  });

  test('ATTACK two instances forking one log: two processes on one folder place every entry once', async () => {
    await start();
    const twin = await startServer(site.dir, { LEDGER_ORIGIN_BASE: 'ledger.hospital-a.example' });
    try {
      const urls = [app.url, twin.url];
      await Promise.all(
        Array.from({ length: 6 }, async (_none, worker) => {
          for (let round = 0; round < 8; round += 1) expect((await seal('', urls[(worker + round) % 2])).status).toBe(201);
        }),
      );
    } finally {
      await twin.stop();
    }
    await settled();
    await app.expectChainsIntact();
    expect((await new ApiClient(app.url, null).get('/ledger/logs')).status).toBe(200);
  }, 120_000);
});
