import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../../src/ledger/core/bytes';
import { parseCheckpointText } from '../../src/ledger/core/checkpoint';
import { encodeEntry, EntryKind } from '../../src/ledger/core/entry';
import { parseIncarnation } from '../../src/ledger/core/incarnation';
import { formatNote, parseNote } from '../../src/ledger/core/note';
import { type CheckpointVerdict, parsePolicy, verifyCheckpoint } from '../../src/ledger/core/policy';
import { parseReceipt } from '../../src/ledger/core/receipt';
import { leafHash, verifyInclusion } from '../../src/ledger/core/tree';
import { formatVkey } from '../../src/ledger/core/vkey';
import { formatAddCheckpoint } from '../../src/ledger/core/witness-protocol';
import type { LedgerStatusResponse } from '../../src/ledger/ledger.dto';
import type { LogsResponse } from '../../src/tlog/tlog.dto';
import { ApiClient, type Answer } from '../support/api-client';
import { ForeignLog, policyFile } from '../support/foreign-log';
import { expectLogsSoundIn } from '../support/log-check';
import { prepareSite, type Server, type Site, startServer } from '../support/servers';
import { draftDiagnosis } from '../support/world';

interface Seal extends Record<string, unknown> {
  blockHash: string;
  state: string;
  leafIndex: number;
  receipt: string;
}

let a: Site;
let b: Site;
let c: Site;
let running: Server[] = [];
beforeAll(async () => {
  [a, b, c] = [await prepareSite('a'), await prepareSite('b'), await prepareSite('c')];
}, 240_000);
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop('SIGKILL')));
  running = [];
});
afterAll(() => [a, b, c].forEach(({ dir }) => rmSync(dir, { recursive: true, force: true })));

/** What a site's own policy file says: whose logs it witnesses, whom it asks. */
const policyOf = (witnesses: readonly Site[], quorum: string, logs: readonly Site[] = witnesses): string[] => [
  ...logs.map(({ logVkey }) => `log ${logVkey}`),
  ...witnesses.map(({ witnessLine }) => witnessLine),
  ...(witnesses.length > 1 ? [`group both all ${witnesses.map(({ name }) => name).join(' ')}`] : []),
  `quorum ${quorum}`,
];
async function start(site: Site, lines: readonly string[], more: Record<string, string> = {}): Promise<Server> {
  const base = { PORT: String(site.port), LEDGER_ORIGIN_BASE: `ledger.hospital-${site.name}.example`, LEDGER_POLICY: policyFile(...lines) };
  const server = await startServer(site.dir, { ...base, ...more });
  running.push(server);
  return server;
}
async function stop(server: Server): Promise<void> {
  await server.stop();
  running = running.filter((item) => item !== server);
}
async function seal(site: Site, wait: string, url?: string): Promise<Answer<Seal>> {
  const doctor = site.as(site.doctor, url);
  return doctor.api.post<Seal>(`/records/${await draftDiagnosis(doctor, site.patient.id)}/seal?wait=${wait}`);
}
/** A stranger's check of a receipt: the entry under a checkpoint of the site's log, under this policy. */
function checkReceipt(site: Site, { blockHash, receipt }: Seal, lines: readonly string[]): CheckpointVerdict {
  const { index, proof, checkpoint } = parseReceipt(receipt);
  const verdict = verifyCheckpoint(
    checkpoint,
    parsePolicy([`log ${site.logVkey}`, ...lines.filter((line) => !line.startsWith('log')), ''].join('\n')),
  );
  if ('invalid' in verdict) throw new Error(verdict.invalid);
  const leaf = leafHash(encodeEntry({ kind: EntryKind.block, hash: Buffer.from(blockHash, 'hex') }));
  expect(verifyInclusion(index, verdict.checkpoint.size, leaf, proof, verdict.checkpoint.root)).toBe(true);
  return verdict;
}
const statusOf = async (site: Site, url = `http://127.0.0.1:${site.port}`) =>
  (await new ApiClient(url, null).get<LogsResponse>('/ledger/logs')).body.logs[0];
const offerTo = (site: Site, body: string): Promise<Answer> =>
  new ApiClient(`http://127.0.0.1:${site.port}`, null).post('//witness/add-checkpoint', undefined, {
    raw: body,
    headers: { 'content-type': 'text/plain' },
  });
async function witnessed(by: Site, log: Site): Promise<{ note: string; size: number }> {
  const hash = createHash('sha256').update(log.origin).digest('hex');
  const { text } = await new ApiClient(`http://127.0.0.1:${by.port}`, null).get(`//witness/${hash}/checkpoint`);
  return { note: text, size: Number(parseCheckpointText(parseNote(text).text).size) };
}
interface Ran {
  readonly code: number;
  readonly text: string;
}
/** Runs the operator's program on a site's folder. */
function runTool(site: Site, lines: readonly string[], command: readonly string[]): Promise<Ran> {
  const env = {
    ...process.env,
    DATA_DIR: site.dir,
    LEDGER_POLICY: policyFile(...lines),
    LEDGER_ORIGIN_BASE: `ledger.hospital-${site.name}.example`,
  };
  return new Promise((resolve) => {
    const script = ['-r', './tools/swc-register.cjs', 'src/tools/ledger.ts', ...command];
    execFile(process.execPath, script, { cwd: join(__dirname, '../..'), env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, text: stdout + stderr }),
    );
  });
}
function runLedger(site: Site, lines: readonly string[], note: string): Promise<Ran> {
  const file = join(mkdtempSync(join(tmpdir(), 'bjwt-ehr-note-')), 'checkpoint');
  writeFileSync(file, note);
  return runTool(site, lines, ['new-incarnation', '--hospital', site.hospitalId, '--witnessed', file]);
}
async function until(what: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await what()) return;
    await sleep(100);
  }
  throw new Error('it did not happen in time');
}

test('two servers witness each other: a receipt whose quorum is met, verified without either', async () => {
  const [ofA, ofB] = [policyOf([b], 'b'), policyOf([a], 'a')];
  await start(b, ofB);
  await start(a, ofA);
  for (const site of [a, b]) {
    const lines = site === a ? ofA : ofB;
    const sealed = await seal(site, 'witnessed');
    expect([sealed.status, sealed.body.state]).toEqual([201, 'witnessed']);
    expect(checkReceipt(site, sealed.body, lines).witnessed).toBe(true);
    const { logs } = (await site.as(site.hospital).api.get<LedgerStatusResponse>('/ledger/status')).body;
    expect(logs[0]?.witnesses[0]?.cosignedSize).toBeGreaterThan(sealed.body.leafIndex);
  }
}, 240_000);

test('three servers, both others must cosign: one that is away delays it, and nothing else', async () => {
  const lines = policyOf([b, c], 'both');
  await start(b, policyOf([], 'none', [a]));
  const away = await start(c, policyOf([], 'none', [a]));
  await start(a, lines, { LEDGER_WAIT_SECONDS: '3' });
  const both = await seal(a, 'witnessed');
  expect(both.body.state).toBe('witnessed');
  expect(checkReceipt(a, both.body, lines)).toMatchObject({ witnessed: true, cosigners: [{ name: 'b' }, { name: 'c' }] });
  await stop(away);
  const one = await seal(a, 'witnessed');
  expect([one.status, one.body.state]).toEqual([201, 'logged']);
  expect(checkReceipt(a, one.body, lines)).toMatchObject({ witnessed: false });
  await start(c, policyOf([], 'none', [a]));
  await until(async () => (await seal(a, 'witnessed')).body.state === 'witnessed');
}, 240_000);

describe('yesterday', () => {
  const lines = (): string[] => policyOf([b], 'b');
  let yesterday: string;
  let kept: Answer<Seal>;
  let lost: Answer<Seal>;
  /** A copy is made, something more is sealed and witnessed, and the copy takes the place of the data folder. */
  beforeAll(async () => {
    await start(b, policyOf([], 'none', [a]));
    const before = await start(a, lines());
    kept = await seal(a, 'witnessed');
    await stop(before);
    yesterday = mkdtempSync(join(tmpdir(), 'bjwt-ehr-yesterday-'));
    cpSync(a.dir, yesterday, { recursive: true });
    const today = await start(a, lines());
    lost = await seal(a, 'witnessed');
    await stop(today);
    expect([kept.body.state, lost.body.state]).toEqual(['witnessed', 'witnessed']);
    renameSync(a.dir, `${a.dir}-today`);
    cpSync(yesterday, a.dir, { recursive: true });
    await Promise.all(running.map((server) => server.stop('SIGKILL')));
    running = [];
  }, 240_000);
  afterAll(() => {
    rmSync(a.dir, { recursive: true, force: true });
    renameSync(`${a.dir}-today`, a.dir);
    rmSync(yesterday, { recursive: true, force: true });
  });

  test("ATTACK restore yesterday's backup: the server refuses to seal and to sign, and says so", async () => {
    await start(b, policyOf([], 'none', [a]));
    await start(a, lines());
    const signed = (await statusOf(a))?.signedSize;
    expect(await statusOf(a)).toMatchObject({ halted: 'ROLLBACK', incarnation: 1, statement: null, former: [] });
    const refused = await seal(a, 'sealed');
    expect([refused.status, refused.body['code']]).toEqual([503, 'log_halted']);
    await sleep(1_500); // longer than the publisher's pause
    expect((await statusOf(a))?.signedSize).toBe(signed);
    expect((await witnessed(b, a)).size).toBeGreaterThan(signed ?? 0);
  }, 240_000);

  test("the operator's way out: a new log with what survived; receipts of the former stay valid", async () => {
    const witness = await start(b, policyOf([], 'none', [a]));
    const halted = await start(a, lines());
    const { note, size } = await witnessed(b, a);
    expect(await runLedger(a, lines(), note)).toMatchObject({ code: 1, text: expect.stringContaining('stop it first') });
    await stop(halted);
    const bare = formatNote({ ...parseNote(note), signatures: parseNote(note).signatures.slice(0, 1) });
    expect(await runLedger(a, lines(), bare)).toMatchObject({ code: 1, text: expect.stringContaining('No witness') });
    const other = new ForeignLog('log.other.example/1').note(500);
    expect(await runLedger(a, lines(), other)).toMatchObject({ code: 1, text: expect.stringContaining('no checkpoint') });
    const begun = await runLedger(a, lines(), note);
    expect(begun.code).toBe(0);
    const vkey = /^log (.+)$/m.exec(begun.text)?.[1] ?? '';
    await stop(witness);
    await start(b, [`log ${vkey}`, ...policyOf([], 'none', [a])]);
    await start(a, lines());
    const next = await seal(a, 'witnessed');
    expect([next.status, next.body.state]).toEqual([201, 'witnessed']);
    const log = await statusOf(a);
    expect(log).toMatchObject({
      halted: null,
      incarnation: 2,
      origin: `${a.origin}/2`,
      vkey,
      former: [{ origin: a.origin, vkey: a.logVkey }],
    });
    const statement = parseIncarnation(log?.statement ?? '');
    expect(statement).toMatchObject({ origin: `${a.origin}/2`, formerOrigin: a.origin, checkpoint: note });
    expect(Number(statement.survivors)).toBeLessThan(size);
    // The first entry is the statement; what survived follows in its order, one place further.
    const first = await new ApiClient(`http://127.0.0.1:${a.port}`, null).get(`/ledger/logs/${a.hospitalId}/tile/entries/000.p/1`);
    expect(first.bytes.subarray(2).equals(encodeEntry({ kind: EntryKind.incarnation, hash: sha256(log?.statement ?? '') }))).toBe(true);
    const again = await a.as(a.doctor).api.post<Seal>(`/records/${String(kept.body['recordId'])}/seal?wait=witnessed`);
    expect([again.body.blockHash, again.body.leafIndex]).toEqual([kept.body.blockHash, kept.body.leafIndex + 1]);
    // One policy, as the server hands it out, for the receipts of both logs: also for what was lost.
    const { text } = await new ApiClient(`http://127.0.0.1:${a.port}`, null).get(`/ledger/logs/${a.hospitalId}/policy`);
    for (const { body } of [kept, lost, next, again])
      expect(verifyCheckpoint(parseReceipt(body.receipt).checkpoint, parsePolicy(text))).toMatchObject({ witnessed: true });
    expectLogsSoundIn(
      join(a.dir, 'ehr.sqlite'),
      a.keys,
      [kept, next, again].map(({ body }) => body),
    );
    expect(await runLedger(a, lines(), note)).toMatchObject({ code: 1 });
  }, 240_000);

  test('a log that lost nothing is not begun anew', async () => {
    await start(b, [...policyOf([], 'none', [a])]);
    const { note } = await witnessed(b, a);
    const whole = { ...a, dir: `${a.dir}-today` };
    expect(await runLedger(whole, lines(), note)).toMatchObject({ code: 1, text: expect.stringContaining('fits what was witnessed') });
  }, 240_000);
});

test('npm run ledger -- keys prints what others need, before anything was sealed', async () => {
  const { code, text } = await runTool(a, policyOf([], 'none'), ['keys', '--url', 'https://ehr.hospital-a.example/']);
  expect(code).toBe(0);
  const policy = parsePolicy(`${text}quorum none\n`);
  expect(policy.logs.map(({ key }) => formatVkey(key))).toEqual([a.logVkey]);
  expect(policy.witnesses).toMatchObject([{ key: a.keys.witness.key, url: 'https://ehr.hospital-a.example/witness' }]);
}, 240_000);

test('ATTACK split view: two servers from copies of one folder; the second is refused and halts', async () => {
  const lines = policyOf([b], 'b');
  await start(b, policyOf([], 'none', [a]));
  const first = await start(a, lines);
  await seal(a, 'witnessed');
  await stop(first);
  const copy = mkdtempSync(join(tmpdir(), 'bjwt-ehr-copy-'));
  cpSync(a.dir, copy, { recursive: true });
  try {
    await start(a, lines);
    const twin = await start({ ...a, dir: copy }, lines, { PORT: '0', LEDGER_WAIT_SECONDS: '3' });
    expect((await statusOf(a, twin.url))?.halted).toBeNull();
    expect((await seal(a, 'witnessed')).body.state).toBe('witnessed');
    const forked = await seal(a, 'witnessed', twin.url);
    expect([forked.status, forked.body.state]).toEqual([201, 'logged']); // it is signed, but nobody vouches for it
    const { checkpoint } = parseReceipt(forked.body.receipt);
    const { size } = await witnessed(b, a);
    expect((await offerTo(b, formatAddCheckpoint({ oldSize: BigInt(size), proof: [], checkpoint }))).status).toBe(422);
    expect((await offerTo(b, formatAddCheckpoint({ oldSize: 0n, proof: [], checkpoint }))).status).toBe(409);
    await until(async () => (await statusOf(a, twin.url))?.halted === 'ROLLBACK');
    expect((await seal(a, 'logged', twin.url)).status).toBe(503);
    expect((await seal(a, 'witnessed')).body.state).toBe('witnessed'); // the first goes on
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}, 240_000);

test('ATTACK recompute everything and re-sign with the stolen ledger key: the witness refuses; ATTACK stale checkpoint replay', async () => {
  await start(b, policyOf([], 'none', [a]));
  await start(a, policyOf([b], 'b'));
  const old = parseReceipt((await seal(a, 'witnessed')).body.receipt).checkpoint;
  await seal(a, 'witnessed');
  const { size, note } = await witnessed(b, a);
  const forged = new ForeignLog(a.origin, a.keys.log(a.origin), 'recomputed', size + 50);
  for (const [bytes, status] of [
    [forged.request(size + 50, size), 422],
    [forged.request(size, size), 422],
    [forged.request(size + 50), 409],
    [formatAddCheckpoint({ oldSize: 0n, proof: [], checkpoint: old }), 409],
    [formatAddCheckpoint({ oldSize: BigInt(size), proof: [], checkpoint: old }), 400],
  ] as const)
    expect((await offerTo(b, bytes)).status).toBe(status);
  expect((await witnessed(b, a)).note).toBe(note);
}, 240_000);
