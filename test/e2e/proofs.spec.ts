import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeHeader } from '../../src/ledger/core/header';
import { addPatient, createWorld, draftDiagnosis, sealedDiagnosis, type World } from '../support/world';

let world: World;
let dir: string;
let policy: string;
beforeAll(async () => {
  world = await createWorld();
  dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-proofs-'));
  await sealedDiagnosis(world.doctorA, world.patientA.id);
  policy = keep('policy.txt', (await world.anonymous.get(`/ledger/logs/${world.hospitalA.id}/policy`)).text);
});
afterAll(async () => {
  await world.expectChainsIntact();
  await world.close();
  rmSync(dir, { recursive: true, force: true });
});

const REPOSITORY = join(__dirname, '../..');

function keep(name: string, content: string | Buffer): string {
  const file = join(dir, name);
  writeFileSync(file, content);
  return file;
}

interface Told {
  file: string;
  format: string;
  verdict: string;
  witnessed: boolean;
  keep: boolean;
  facts: Record<string, unknown>;
  checkpoint?: { origin: string; size: string };
  findings: { code: string; field: string; height: number | null }[];
}

/** The command as a process of its own, in another folder and without any setting. */
function run(...args: string[]): { code: number | null; reports: Told[]; out: string; errors: string } {
  const register = join(REPOSITORY, 'tools/swc-register.cjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-r', register, join(REPOSITORY, 'src/tools/verify.ts'), ...args], {
    cwd: dir,
    env: {},
    encoding: 'utf8',
  });
  const reports = args.includes('--json')
    ? stdout
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Told)
    : [];
  return { code: status, reports, out: stdout, errors: stderr };
}

const lastRow = async (patientId: string) =>
  (await world.hospitalA.api.get<{ items: Record<string, unknown>[] }>(`/audit/events?patientId=${patientId}&limit=1`)).body.items[0];

test('a receipt shows that a record is in the log, and nothing of its content; the reading is on the trail', async () => {
  const id = await sealedDiagnosis(world.doctorA, world.patientA.id, 'a secret note');
  const answer = await world.patientA.api.get(`/records/${id}/receipt`);
  expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-disposition')]).toEqual([
    200,
    'text/plain; charset=utf-8',
    'attachment; filename="record.tlog-proof"',
  ]);
  expect(await lastRow(world.patientA.id)).toMatchObject({
    action: 'record.receipt',
    outcome: 'ok',
    actorId: world.patientA.id,
    subjectId: id,
  });
  const { code, reports } = run(keep('record.tlog-proof', answer.text), '--policy', policy, '--json', '--allow-unwitnessed');
  expect(code).toBe(0);
  expect(reports).toMatchObject([{ format: 'receipt', verdict: 'VALID_UNWITNESSED', findings: [] }]);
  expect(Buffer.byteLength(answer.text)).toBeLessThan(2_900); // fits a QR code
});

test('a bundle is verified by a process without server and database; a changed one is not valid; nobody’s witness is no success', async () => {
  const id = await sealedDiagnosis(world.doctorA, world.patientA.id, 'kg/m² 27.0');
  const answer = await world.doctorA.api.get(`/records/${id}/bundle`);
  const content = await world.doctorA.api.get(`/records/${id}/content`);
  const bundle = JSON.parse(answer.text) as Record<string, string>;
  expect(Buffer.from(bundle['payload'] ?? '', 'base64')).toEqual(content.bytes);
  const good = keep('bundle.json', answer.bytes);
  const unwitnessed = run(good, '--policy', policy, '--json');
  expect(unwitnessed.code).toBe(1);
  expect(unwitnessed.reports).toMatchObject([
    { format: 'bundle', verdict: 'VALID_UNWITNESSED', witnessed: false, facts: { recordId: id, kind: 2, author: { custody: 'server' } } },
  ]);
  expect(run(good, '--policy', policy, '--allow-unwitnessed').code).toBe(0);
  const changed = { ...bundle, payload: Buffer.from(content.text.replace('27.0', '72.0')).toString('base64') };
  const bad = run(keep('changed.json', JSON.stringify(changed)), good, '--policy', policy, '--json', '--allow-unwitnessed');
  expect(bad.code).toBe(1);
  expect(bad.reports.map(({ verdict }) => verdict)).toEqual(['TAMPERED', 'VALID_UNWITNESSED']);
  expect(bad.reports[0]?.findings).toMatchObject([{ code: 'CONTENT_MISMATCH', field: 'payload' }]);
  const human = run(good, '--policy', policy);
  expect(human.out).toContain('bundle.json: VALID_UNWITNESSED (bundle)');
  expect(human.out).toContain('ok  the content is the one that was sealed');
  expect(human.out).toContain('no witness vouches');
});

test('the patient takes the whole chain with its contents; others get it without keys, and the file is verified offline', async () => {
  const patient = await addPatient(world, world.doctorA, 'Chain Owner');
  const first = await sealedDiagnosis(world.doctorA, patient.id, 'one');
  await sealedDiagnosis(world.doctorA, patient.id, 'two');
  await world.doctorA.api.post(`/records/${first}/corrections`, { kind: 'retraction', reason: 'entered in error' });
  const own = await patient.api.get('/ledger/patients/me/export?contents=true');
  expect(own.status).toBe(200);
  expect(await lastRow(patient.id)).toMatchObject({ action: 'chain.export', kind: 'contents', count: 4, headHeight: 3 });
  const head = (await world.auditor.api.get<{ chainId: string }>(`/ledger/patients/${patient.id}/chain`)).body;
  const checked = run(keep('chain.json', own.bytes), '--policy', policy, '--json', '--allow-unwitnessed');
  expect(checked.code).toBe(0);
  expect(checked.reports).toMatchObject([
    { format: 'chain', verdict: 'VALID_UNWITNESSED', facts: { blocks: 4, opened: 3, chainId: head.chainId, height: 3 } },
  ]);
  for (const reader of [world.auditor, world.hospitalA, world.doctorA]) {
    const { status, text } = await reader.api.get(`/ledger/patients/${patient.id}/export`);
    expect(status).toBe(200);
    expect(text).not.toContain('recordKey');
    expect((await reader.api.get(`/ledger/patients/${patient.id}/export?contents=true`)).status).toBe(403);
  }
  expect((await patient.api.get(`/ledger/patients/${world.patientA.id}/export?contents=true`)).status).toBe(404);
  expect((await world.doctorA.api.get(`/ledger/patients/${patient.id}/export?contents=yes`)).status).toBe(400);
});

test('a draft has no proof, and neither has a patient for whom nothing was sealed', async () => {
  const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
  for (const what of ['receipt', 'bundle']) {
    const answer = await world.doctorA.api.get(`/records/${draft}/${what}`);
    expect([answer.status, answer.body['code']]).toEqual([409, 'conflict']);
  }
  const patient = await addPatient(world, world.hospitalA, 'Nothing Sealed');
  expect((await world.auditor.api.get(`/ledger/patients/${patient.id}/export`)).status).toBe(404);
});

test('a consent to read covers the proofs of what may be read, and nothing more', async () => {
  const { patientA, doctorB } = world;
  const id = await sealedDiagnosis(world.doctorA, patientA.id);
  expect((await doctorB.api.get(`/records/${id}/bundle`)).status).toBe(404);
  const validUntil = new Date(Date.now() + 3_600_000).toISOString();
  await patientA.api.post('/patients/me/consent/grants', { doctorId: doctorB.id, validUntil });
  for (const path of [`/records/${id}/bundle`, `/records/${id}/receipt`, `/ledger/patients/${patientA.id}/export`])
    expect((await doctorB.api.get(path)).status).toBe(200);
  expect((await world.hospitalB.api.get(`/records/${id}/bundle`)).status).toBe(404);
});

test('the verifier remembers the log: a grown one needs a consistency proof, another one is found out', async () => {
  const trust = join(dir, 'trust.txt');
  const receiptOf = async (note: string, name: string) => {
    const id = await sealedDiagnosis(world.doctorA, world.patientA.id, note);
    return keep(name, (await world.doctorA.api.get(`/records/${id}/receipt`)).text);
  };
  const verify = (...args: string[]) => run(...args, '--policy', policy, '--trust', trust, '--json', '--allow-unwitnessed');
  const [old, later] = [await receiptOf('first', 'old.tlog-proof'), await receiptOf('second', 'later.tlog-proof')];
  const seen = verify(old);
  expect([seen.code, seen.reports[0]?.keep]).toEqual([0, true]);
  const grown = verify(later);
  expect([grown.code, grown.reports[0]?.verdict]).toEqual([1, 'INCOMPLETE']);
  const [from, to] = [seen, grown].map(({ reports }) => reports[0]?.checkpoint?.size);
  const answer = await world.anonymous.get(`/ledger/logs/${world.hospitalA.id}/consistency?from=${from}&to=${to}`);
  expect([answer.status, answer.text.split('\n')[0]]).toEqual([200, `old ${from}`]);
  const proof = keep('consistency.txt', answer.text);
  expect(verify(later, '--consistency', proof).code).toBe(0);
  expect(readFileSync(trust, 'utf8').split('\n')[1]).toBe(to);
  expect(verify(old).reports[0]?.findings).toMatchObject([{ code: 'ROLLBACK' }]);
  expect(verify(old, '--consistency', proof).code).toBe(0);
  expect(readFileSync(trust, 'utf8').split('\n')[1]).toBe(to); // the memory never goes back
  expect((await world.anonymous.get(`/ledger/logs/${world.hospitalA.id}/consistency?from=999999`)).status).toBe(404);
  expect((await world.anonymous.get(`/ledger/logs/${world.hospitalA.id}/consistency`)).status).toBe(400);
});

test('what cannot be verified is exit code 2, with a sentence', () => {
  const file = keep('note.txt', 'hello\n');
  for (const args of [
    [],
    [file],
    [file, '--policy', join(dir, 'none')],
    [file, '--policy', file],
    [file, '--policy', policy, '--head', 'x'],
    ['--wrong'],
  ]) {
    const { code, out, errors } = run(...args);
    expect([code, out]).toEqual([2, '']);
    expect(errors).not.toMatch(/at .*\.ts/);
  }
  expect(run(file, join(dir, 'none'), '--policy', policy).errors).toContain('is neither a receipt nor a bundle');
  expect(run('--help').code).toBe(0);
});

test('the verifier loads no package: it can be kept, and read, on its own', () => {
  const script = `require('./tools/swc-register.cjs'); const before = new Set(Object.keys(require.cache));
    process.argv = ['node', 'verify', '--help']; require('./src/tools/verify.ts');
    process.stderr.write(JSON.stringify(Object.keys(require.cache).filter((file) => !before.has(file))));`;
  const { stderr } = spawnSync(process.execPath, ['-e', script], { cwd: REPOSITORY, encoding: 'utf8', env: {} });
  const loaded = JSON.parse(stderr) as string[];
  expect(loaded.length).toBeGreaterThan(10);
  expect(loaded.filter((file) => !/src\/(tools\/(verify|program)|ledger\/core\/)/.test(file))).toEqual([]);
});

const withPoppler = spawnSync('pdftotext', ['-v']).error ? test.skip : test;
withPoppler('R10 the print carries the receipt of the newest block as a QR code', async () => {
  const answer = await world.patientA.api.get('/patients/me/print');
  expect([answer.status, answer.text.slice(0, 5)]).toEqual([200, '%PDF-']);
  const { stdout } = spawnSync('pdftotext', ['-', '-'], { input: answer.bytes, encoding: 'utf8' });
  expect(stdout).toContain('Receipt of the newest block');
});

test('the header in a receipt is the header of the block that the answer to the seal named', async () => {
  const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
  const sealed = await world.doctorA.api.post<{ blockHash: string; height: number; receipt: string }>(`/records/${draft}/seal`);
  const { text } = await world.doctorA.api.get(`/records/${draft}/receipt`);
  const header = Buffer.from(/^extra (.*)$/m.exec(text)?.[1] ?? '', 'base64');
  expect(createHash('sha256').update(header).digest('hex')).toBe(sealed.body.blockHash);
  expect(decodeHeader(header).height).toBe(sealed.body.height);
});
