import { createHash, randomInt } from 'node:crypto';
import { Database } from '../../src/database/database';
import { checkpointText } from '../../src/ledger/core/checkpoint';
import { cosignedBy } from '../../src/ledger/core/cosignature';
import { formatNote, parseNote, parseSignatureLines, signNote } from '../../src/ledger/core/note';
import { parsePolicy, verifyCheckpoint } from '../../src/ledger/core/policy';
import { formatVkey } from '../../src/ledger/core/vkey';
import { formatAddCheckpoint } from '../../src/ledger/core/witness-protocol';
import { LogKeys } from '../../src/tlog/log-keys';
import type { Answer } from '../support/api-client';
import { ForeignLog, newSigner, policyFile } from '../support/foreign-log';
import { openRaw, rows, tamper } from '../support/raw-database';
import { sendRaw } from '../support/raw-http';
import { startTestApp, type TestApp } from '../support/test-app';

let app: TestApp;
let log: ForeignLog;
let counter = 0;
const logs = Array.from({ length: 40 }, (_none, index) => new ForeignLog(`log.example/${index}`));
beforeAll(async () => {
  const policy = policyFile(...logs.map(({ vkey }) => `log ${vkey}`), 'quorum none');
  app = await startTestApp({ LEDGER_POLICY: policy });
});
afterAll(() => app.close());
beforeEach(() => {
  log = logs[counter++] ?? logs[0]!; // a log of its own for each test
});

const add = (body: string | Uint8Array, headers: Record<string, string> = { 'content-type': 'text/plain' }): Promise<Answer> =>
  app.anonymous.post('//witness/add-checkpoint', undefined, { raw: body, headers });
const hashOf = (origin: string): string => createHash('sha256').update(origin).digest('hex');
const latest = (origin = log.origin): Promise<Answer> => app.anonymous.get(`//witness/${hashOf(origin)}/checkpoint`);
const storedSize = (): number =>
  Number(readRows<{ size: string }>('SELECT size FROM witness_checkpoint WHERE origin = ?', log.origin)[0]?.size ?? 0);
function readRows<T>(sql: string, ...parameters: unknown[]): T[] {
  const db = openRaw(app);
  try {
    return rows<T>(db, sql, ...parameters);
  } finally {
    db.close();
  }
}
const witnessKey = () => app.app.get(LogKeys).witness.key;

/** The cosignature of an answer verifies over this checkpoint; gives its time. */
function expectCosigned(answer: Answer, checkpoint: string): bigint {
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
  const cosigned = cosignedBy({ text: parseNote(checkpoint).text, signatures: parseSignatureLines(answer.text) }, witnessKey());
  if (!cosigned) throw new Error('not cosigned');
  return cosigned.timestamp;
}

test('a checkpoint is cosigned, then its continuation; the newest is shown with both signatures', async () => {
  const first = expectCosigned(await add(log.request(5)), log.note(5));
  expect(Math.abs(Number(first) - Date.now() / 1000)).toBeLessThan(10);
  expectCosigned(await add(log.request(300, 5)), log.note(300));
  const shown = await latest();
  expect([shown.status, shown.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
  const policy = parsePolicy(`log ${log.vkey}\nwitness w ${formatVkey(witnessKey())}\nquorum w\n`);
  expect(verifyCheckpoint(shown.text, policy)).toMatchObject({ checkpoint: { origin: log.origin, size: 300n }, witnessed: true });
});

test('a client that sends no content type, or another, is understood: the specification names none', async () => {
  const bytes = Buffer.from(log.request(3));
  const address = { method: 'POST', path: '/witness/add-checkpoint', body: bytes };
  expect((await sendRaw(app.url, { ...address, headers: { 'content-length': String(bytes.length) } })).status).toBe(200);
  expect((await add(log.request(3, 3), { 'content-type': 'application/octet-stream' })).status).toBe(200);
  expect((await add(log.request(4, 3), { 'content-type': 'text/plain; charset=utf-8' })).status).toBe(200);
});

test('the same checkpoint again is cosigned again, with the time of now', async () => {
  const first = expectCosigned(await add(log.request(7)), log.note(7));
  app.clock.advance(60_000);
  expect(expectCosigned(await add(log.request(7, 7)), log.note(7))).toBeGreaterThanOrEqual(first + 59n);
});

test('a clock that is set back does not make a cosignature older than the one before', async () => {
  const first = expectCosigned(await add(log.request(7)), log.note(7));
  app.clock.advance(-3_600_000);
  try {
    expect(expectCosigned(await add(log.request(9, 7)), log.note(9))).toBe(first);
  } finally {
    app.clock.advance(3_600_000);
  }
});

test('an empty tree is cosigned once it is the empty tree', async () => {
  const empty = createHash('sha256').digest();
  expect((await add(log.request(0, 0, log.note(0, Buffer.alloc(32, 1))))).status).toBe(422);
  expectCosigned(await add(log.request(0, 0, log.note(0, empty))), log.note(0, empty));
  expectCosigned(await add(log.request(2, 0)), log.note(2));
});

describe('refusals, each with the status that the specification gives', () => {
  test('400: malformed, not UTF-8, empty, the old size larger than the checkpoint', async () => {
    for (const body of ['nonsense', '', 'old 0\n', log.request(3).replace('old 0', 'old 00'), Buffer.from([0xff, 0xfe])])
      expect((await add(body)).status).toBe(400);
    const late = formatAddCheckpoint({ oldSize: 9n, proof: [], checkpoint: log.note(3) });
    expect((await add(late)).status).toBe(400);
  });

  test('400: more than 63 hashes', async () => {
    const line = `${Buffer.alloc(32).toString('base64')}\n`;
    expect((await add(`old 1\n${line.repeat(64)}\n${log.note(3)}`)).status).toBe(400);
  });

  test('403: another key under the name of the log; a signature that does not fit', async () => {
    expect((await add(log.request(3, 0, log.note(3, log.root(3), newSigner(log.origin))))).status).toBe(403);
    const { text } = parseNote(log.note(3));
    const forged = { ...signNote(text, log.signer), signature: Buffer.alloc(64, 1) };
    expect((await add(log.request(3, 0, formatNote({ text, signatures: [forged] })))).status).toBe(403);
    expect(storedSize()).toBe(0);
  });

  test('404: a log that the policy does not name', async () => {
    const stranger = new ForeignLog('log.stranger.example/1');
    expect((await add(stranger.request(3))).status).toBe(404);
    expect((await latest(stranger.origin)).status).toBe(404);
    expect((await latest()).status).toBe(404); // known, but nothing cosigned
    expect((await app.anonymous.get('//witness/not-a-hash/checkpoint')).status).toBe(404);
  });

  test('409 with the size, as text/x.tlog.size to the letter', async () => {
    await add(log.request(10));
    for (const body of [log.request(20, 5), log.request(20, 0), log.request(5, 0)]) {
      const answer = await add(body);
      expect([answer.status, answer.headers.get('content-type'), answer.text]).toEqual([409, 'text/x.tlog.size', '10\n']);
    }
  });

  test('422: a proof that does not hold, a proof from nothing, another root for the same size', async () => {
    const from = (oldSize: bigint, proof: Buffer[], checkpoint: string) => add(formatAddCheckpoint({ oldSize, proof, checkpoint }));
    expect((await from(0n, [Buffer.alloc(32)], log.note(3))).status).toBe(422);
    await add(log.request(10));
    expect((await from(10n, [Buffer.alloc(32)], log.note(20))).status).toBe(422);
    expect((await from(10n, [], log.note(20))).status).toBe(422);
    expect((await from(10n, [], log.forked().note(10))).status).toBe(422);
    expect(storedSize()).toBe(10);
  });

  test('413: more than 64 KiB, with and without a declared length; 415: JSON', async () => {
    const large = `old 0\n\n${'x'.repeat(70_000)}`;
    expect((await add(large)).status).toBe(413);
    const chunked = { method: 'POST', path: '/witness/add-checkpoint', headers: { 'transfer-encoding': 'chunked' }, body: large };
    expect((await sendRaw(app.url, chunked)).status).toBe(413);
    expect((await add('{}', { 'content-type': 'application/json' })).status).toBe(415);
  });
});

test('text/plain stays refused on every other route', async () => {
  const answer = await app.anonymous.post('/auth/login', undefined, { raw: 'old 0', headers: { 'content-type': 'text/plain' } });
  expect(answer.status).toBe(415);
});

test('answers are counted by class of status', async () => {
  await add(log.request(10));
  await add(log.request(10));
  const { text } = await app.anonymous.get('//metrics');
  for (const status of ['2xx', '4xx'])
    expect(text).toMatch(
      new RegExp(`http_request_duration_seconds_count\\{method="POST",route="/witness/add-checkpoint",status="${status}"\\} [1-9]`),
    );
});

test('foreign signatures in a request do not get into what we show', async () => {
  const { text, signatures } = parseNote(log.note(6));
  const stranger = newSigner('stranger.example/w');
  const checkpoint = formatNote({ text, signatures: [...signatures, signNote(text, stranger)] });
  expectCosigned(await add(log.request(6, 0, checkpoint)), checkpoint);
  expect((await latest()).text).not.toContain('stranger');
});

test('ATTACK witness rollback or race: sizes in random order at once; the stored size only grows and every 200 continues what was before', async () => {
  const sizes = Array.from({ length: 40 }, () => 1 + randomInt(600));
  let known = 0; // what an honest client would learn from a 409
  const seen: number[] = [];
  const granted: { size: number; text: string }[] = [];
  const one = async (size: number): Promise<void> => {
    for (let tries = 0; tries < 60; tries += 1) {
      const old = known;
      if (old > size) return;
      const answer = await add(log.request(size, old));
      if (answer.status === 409) known = Number(answer.text);
      else if (answer.status === 200) return (granted.push({ size, text: answer.text }), void (known = Math.max(known, size)));
      else throw new Error(`${answer.status} ${answer.text}`);
    }
  };
  const watch = setInterval(() => seen.push(storedSize()), 2);
  await Promise.all(sizes.map(one));
  clearInterval(watch);
  expect(granted.length).toBeGreaterThan(0);
  expect(storedSize()).toBe(Math.max(...granted.map(({ size }) => size)));
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  for (const { size, text } of granted) {
    const note = { text: parseNote(log.note(size)).text, signatures: parseSignatureLines(text) };
    expect(cosignedBy(note, witnessKey())).toBeTruthy();
  }
});

test('ATTACK witness rollback or race: two trees at once from one size; exactly one is cosigned', async () => {
  await add(log.request(10));
  const fork = log.forked();
  const honest = Array.from({ length: 10 }, () => add(log.request(20, 10)));
  // A thief of the key forges a proof as well as the tree; the root of the 10 leaves is not theirs, so no proof can hold.
  const forged = Array.from({ length: 10 }, () => add(fork.request(20, 10)));
  const statuses = (await Promise.all(honest)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  expect((await Promise.all(forged)).every(({ status }) => status === 422 || status === 409)).toBe(true);
  expect((await latest()).text).toContain(log.root(20).toString('base64'));
});

test('ATTACK split view: the second of two first checkpoints is refused', async () => {
  const answers = await Promise.all([add(log.request(8)), add(log.forked().request(8))]);
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses).toEqual([200, 409]);
  const loser = answers[0]?.status === 200 ? log.forked() : log;
  expect((await add(loser.request(8, 8))).status).toBe(422);
});

test('ATTACK stale checkpoint replay: an old checkpoint is never cosigned again', async () => {
  const old = log.request(5);
  await add(old);
  await add(log.request(50, 5));
  for (const body of [old, log.request(5, 5)]) expect([(await add(body)).text, storedSize()]).toEqual(['50\n', 50]);
  expect((await add(formatAddCheckpoint({ oldSize: 50n, proof: [], checkpoint: log.note(5) }))).status).toBe(400);
});

test('SEC-97 the database refuses to take a cosigned checkpoint back', async () => {
  await add(log.request(100));
  const db = openRaw(app);
  const where = `WHERE origin = '${log.origin}'`;
  try {
    for (const change of [`size = '20'`, `size = '9'`, `root = x'00'`, `origin = 'other.example'`])
      expect(() => db.exec(`UPDATE witness_checkpoint SET ${change} ${where}`)).toThrow('never goes back');
    expect(() => db.exec(`DELETE FROM witness_checkpoint ${where}`)).toThrow('never forgotten');
  } finally {
    db.close();
  }
});

test('ATTACK edit the witness’ memory: a row that contradicts itself is no ground to cosign on', async () => {
  await add(log.request(100));
  await tamper(
    app,
    ['witness_checkpoint'],
    (db) => db.prepare('UPDATE witness_checkpoint SET size = ?, root = ? WHERE origin = ?').run('20', log.root(20), log.origin),
    async () => expect((await add(log.forked().request(30, 20))).status).toBe(500),
  );
});

test('a log of 2^53 leaves and more is counted exactly', async () => {
  const size = 2n ** 60n + 1n;
  const text = checkpointText({ origin: log.origin, size, root: Buffer.alloc(32, 7) });
  const checkpoint = formatNote({ text, signatures: [signNote(text, log.signer)] });
  expectCosigned(await add(formatAddCheckpoint({ oldSize: 0n, proof: [], checkpoint })), checkpoint);
  expect((await add(formatAddCheckpoint({ oldSize: size - 1n, proof: [], checkpoint }))).text).toBe(`${size}\n`);
  expectCosigned(await add(formatAddCheckpoint({ oldSize: size, proof: [], checkpoint })), checkpoint);
});

test('a server refuses to start with a policy by which it would witness itself', async () => {
  const logsAnswer = await app.anonymous.get<{ witnessVkey: string }>('/ledger/logs');
  const keys = app.app.get(LogKeys);
  const own = formatVkey(keys.log('ledger.example/own').key);
  const start = (...lines: string[]) =>
    startTestApp({
      LEDGER_POLICY: policyFile(...lines),
      KEYS_DIR: app.foundations.config.keysDir,
      SQLITE_PATH: app.foundations.config.sqlitePath,
    });
  await expect(start(`witness me ${logsAnswer.body.witnessVkey}`, 'quorum me')).rejects.toThrow('LEDGER_POLICY');
  await expect(start(`log ${own}`, 'quorum none')).rejects.toThrow('LEDGER_POLICY');
  await expect(start('witness w nonsense', 'quorum w')).rejects.toThrow('LEDGER_POLICY: policy line 1');
});

test('ATTACK repeat the request for the newest checkpoint: within one second nothing is written again, and the answer stays true', async () => {
  const moment = app.clock.now();
  const now = jest.spyOn(app.clock, 'now').mockReturnValue(moment);
  const transaction = jest.spyOn(app.app.get(Database), 'transaction');
  try {
    const first = await add(log.request(9));
    expectCosigned(first, log.note(9));
    expect(transaction).toHaveBeenCalledTimes(1);
    const answers = await Promise.all(Array.from({ length: 200 }, () => add(log.request(9, 9))));
    for (const answer of answers) expect([answer.status, answer.text]).toEqual([200, first.text]);
    expect(transaction).toHaveBeenCalledTimes(1);
    now.mockReturnValue(moment + 1_000);
    expect(expectCosigned(await add(log.request(9, 9)), log.note(9))).toBe(BigInt(Math.floor(moment / 1000)) + 1n);
    expect(transaction).toHaveBeenCalledTimes(2);
  } finally {
    now.mockRestore();
    transaction.mockRestore();
  }
});
