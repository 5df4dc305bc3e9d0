import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { parseCheckpointText } from '../../src/ledger/core/checkpoint';
import { parseNote } from '../../src/ledger/core/note';
import { formatSizeAnswer } from '../../src/ledger/core/witness-protocol';
import { formatVkey } from '../../src/ledger/core/vkey';
import { LogStatusService } from '../../src/tlog/log-status.service';
import type { LogsResponse } from '../../src/tlog/tlog.dto';
import type { Answer } from '../support/api-client';
import { newSigner, policyFile } from '../support/foreign-log';
import { HostileWitness } from '../support/hostile-witness';
import { openRaw, rows, type RawDatabase } from '../support/raw-database';
import { prepareSite, type Site } from '../support/servers';
import { startTestApp, type TestApp } from '../support/test-app';
import { draftDiagnosis } from '../support/world';
import { openAsOwner } from '../support/database-copy';

interface Seal extends Record<string, unknown> {
  state: string;
}

let site: Site;
let app: TestApp;
let witness: HostileWitness;
beforeEach(async () => {
  site = await prepareSite('a');
  witness = new HostileWitness();
  await witness.listen();
}, 60_000);
afterEach(async () => {
  witness.close();
  await app.app.close();
  rmSync(site.dir, { recursive: true, force: true });
});

async function start(witnessed: boolean, more: Record<string, string> = {}): Promise<void> {
  const policy = witnessed ? { LEDGER_POLICY: policyFile(...witness.policy) } : {};
  app = await startTestApp({ LEDGER_ORIGIN_BASE: 'ledger.hospital-a.example', LEDGER_WAIT_SECONDS: '5', ...policy, ...more }, site.dir);
}
async function seal(wait: string): Promise<Answer<Seal>> {
  const doctor = site.as(site.doctor, app.url);
  return doctor.api.post<Seal>(`/records/${await draftDiagnosis(doctor, site.patient.id)}/seal?wait=${wait}`);
}
const log = async () => (await app.anonymous.get<LogsResponse>('/ledger/logs')).body.logs[0];
const published = async (): Promise<string> => (await app.anonymous.get(`/ledger/logs/${site.hospitalId}/checkpoint`)).text;
const sizeOf = (note: string): number => Number(parseCheckpointText(parseNote(note).text).size);

/** What the owner of the database file does while the server runs. */
function asOwner(change: (db: RawDatabase) => void): void {
  const db = openAsOwner(app.foundations.config);
  try {
    db.transaction(change)(db);
  } finally {
    db.close();
  }
}
async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await what()) return;
    await sleep(50);
  }
  throw new Error('it did not happen in time');
}

/** Waits until nothing grows any more. @returns the size of the newest checkpoint */
async function rest(): Promise<number> {
  for (let before = -1; ;) {
    const signed = (await log())?.signedSize ?? 0;
    if (signed === before) return signed;
    before = signed;
    await sleep(300);
  }
}

describe('the server is no oracle that signs what the owner of the database wrote', () => {
  const notes = () => {
    const db = openRaw(app);
    const found = rows<{ size: number; note: string }>(db, 'SELECT size, note FROM log_checkpoint ORDER BY size');
    db.close();
    return found;
  };

  test('ATTACK edit a leaf while the server runs: the next tree does not continue the signed one, and is not signed', async () => {
    await start(false);
    expect((await seal('logged')).body.state).toBe('logged');
    const before = notes();
    asOwner((db) => db.exec('UPDATE log_leaf SET hash = randomblob(32) WHERE leafIndex = 0'));
    expect((await seal('logged')).body.state).toBe('sealed');
    expect(await log()).toMatchObject({ halted: 'CONSISTENCY_INVALID' });
    expect(notes()).toEqual(before);
    expect((await seal('sealed')).body['code']).toBe('log_halted');
  }, 60_000);

  test.each([
    ['the newest checkpoint', 'DELETE FROM log_checkpoint WHERE size = (SELECT MAX(size) FROM log_checkpoint)'],
    ['all checkpoints', 'DELETE FROM log_checkpoint'],
  ])(
    'ATTACK split view: %s is deleted and a leaf edited while the server runs; no second root is signed for the size',
    async (_what, sql) => {
      await start(false);
      await seal('logged');
      await seal('logged');
      const signed = notes();
      asOwner((db) => {
        db.exec('UPDATE log_leaf SET hash = randomblob(32) WHERE leafIndex = 0');
        db.exec(sql);
      });
      await sleep(2_500); // longer than the publisher's pause
      const rootsOf = (size: number) =>
        new Set([...signed, ...notes()].filter((one) => one.size === size).map(({ note }) => note.split('\n')[2]));
      for (const { size } of signed) expect(rootsOf(size).size).toBe(1);
      expect((await log())?.halted).toBe('ROLLBACK');
    },
    60_000,
  );
});

describe('a hostile witness, or somebody on the line to an honest one', () => {
  test('ATTACK witness race: a checkpoint that we signed meanwhile is held against an older offer; an honest log is not halted', async () => {
    await start(true);
    await seal('logged');
    const signed = sizeOf(await published());
    let held = false;
    witness.behave = async (body) => {
      if (body !== null) return { status: 409, body: formatSizeAnswer(2n ** 62n) };
      if (held) return { status: 404, body: '' };
      held = true;
      // The question for what it saw is held back until the log has grown.
      for (let tries = 0; tries < 60 && sizeOf(await published()) <= signed + 1; tries += 1) await sleep(20);
      return { status: 200, body: witness.cosigned(await published()) };
    };
    expect((await seal('logged')).status).toBe(201);
    await until(() => held);
    expect((await seal('logged')).status).toBe(201);
    await sleep(500);
    expect(sizeOf(await published())).toBeGreaterThan(signed);
    expect(await log()).toMatchObject({ halted: null });
    expect((await seal('logged')).body.state).toBe('logged');
  }, 60_000);

  test('ATTACK one false answer with our own size: the witness is asked again, and the newest checkpoint is witnessed', async () => {
    await start(true);
    const down = { status: 500, body: '' };
    witness.behave = () => down;
    await seal('logged');
    const quiet = await rest();
    const answers = [{ status: 409, body: formatSizeAnswer(BigInt(quiet)) }, down];
    witness.behave = (body) => (body === null ? { status: 404, body: '' } : (answers.shift() ?? witness.cosign(body)));
    app.clock.advance(120_000);
    await until(() => answers.length === 0);
    app.clock.advance(120_000);
    await until(async () => (await published()).includes('witness.example/hostile'));
    const [status] = await app.app.get(LogStatusService).all();
    expect(status?.witnesses).toEqual([{ name: 'witness.example/hostile', cosignedSize: sizeOf(await published()) }]);
  }, 60_000);

  test('ATTACK more witnesses than a note can carry: refused at the start, for no receipt could be read', async () => {
    const many = Array.from({ length: 32 }, (_none, at) => `witness w${at} ${formatVkey(newSigner(`w.example/${at}`, 4).key)}`);
    await expect(start(true, { LEDGER_POLICY: policyFile(...many, 'quorum none') })).rejects.toThrow('more than 31 witnesses');
    await start(false);
  }, 60_000);

  test('ATTACK a cosignature without a time says nothing about the newest tree: it is not kept', async () => {
    await start(true);
    witness.behave = (body) => (body === null ? { status: 404, body: '' } : witness.cosign(body, false));
    expect((await seal('logged')).body.state).toBe('logged');
    await until(() => witness.asked.length > 0);
    await sleep(300);
    expect(await published()).not.toContain('witness.example/hostile');
  }, 60_000);

  test.each([
    ['a huge answer', { status: 200, body: Buffer.alloc(5_000_000, 'a') }],
    ['a packed huge answer', { status: 200, body: gzipSync(Buffer.alloc(50_000_000, 'a')), headers: { 'content-encoding': 'gzip' } }],
    ['another address', { status: 307, body: '', headers: { location: 'http://127.0.0.1:1/' } }],
    ['a size that no tree has', { status: 409, body: '99999999999999999999\n' }],
    ['the largest size', { status: 409, body: formatSizeAnswer(2n ** 63n - 1n) }],
    ['refusal', { status: 422, body: 'inconsistent' }],
    ['bytes that are no text', { status: 200, body: Buffer.from([0xff, 0xfe, 0x0a]) }],
    ['a thousand signatures', { status: 200, body: `— witness.example/hostile ${Buffer.alloc(76).toString('base64')}\n`.repeat(1_000) }],
  ])(
    'ATTACK a hostile answer: %s; sealing goes on and nothing is halted',
    async (_what, answer) => {
      await start(true);
      witness.behave = () => answer;
      for (let round = 0; round < 2; round += 1) {
        app.clock.advance(120_000);
        expect((await seal('logged')).body.state).toBe('logged');
      }
      await until(() => witness.asked.length > 0);
      await sleep(200);
      expect(await log()).toMatchObject({ halted: null });
      expect(await published()).not.toContain('witness.example/hostile');
    },
    60_000,
  );
});

test.each([
  ['of an unknown kind', 'INSERT INTO log_pending (id, logId, kind, hash) SELECT -1, MAX(logId), 99, randomblob(32) FROM log_leaf'],
  ['with a hash that is none', "INSERT INTO log_pending (id, logId, kind, hash) SELECT -1, MAX(logId), 1, x'00' FROM log_leaf"],
  ['that has its leaf already', 'INSERT INTO log_pending (id, logId, kind, hash) SELECT -1, logId, kind, hash FROM log_leaf LIMIT 1'],
])(
  'ATTACK a poisoned pending entry %s: it is dropped, nothing else is lost, and the log goes on',
  async (_what, sql) => {
    await start(false, { LEDGER_WAIT_SECONDS: '2' });
    await seal('logged');
    const before = await rest();
    asOwner((db) => db.exec(sql));
    expect((await seal('logged')).body.state).toBe('logged');
    expect((await seal('logged')).body.state).toBe('logged');
    expect(await rest()).toBe(before + 2);
    asOwner((db) => expect(db.prepare('SELECT * FROM log_pending').all()).toEqual([]));
    await app.expectChainsIntact();
  },
  60_000,
);
