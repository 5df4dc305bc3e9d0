import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseIncarnation } from '../../src/ledger/core/incarnation';
import { parsePolicy, verifyCheckpoint } from '../../src/ledger/core/policy';
import { parseReceipt } from '../../src/ledger/core/receipt';
import type { LogsResponse } from '../../src/tlog/tlog.dto';
import { ApiClient } from '../support/api-client';
import { policyFile } from '../support/foreign-log';
import { startLoad } from '../support/load';
import { prepareSite, type Server, type Site, startServer } from '../support/servers';
import { runProgram, spawnProgram } from '../support/tools';
import { draftDiagnosis, login } from '../support/world';

interface Seal extends Record<string, unknown> {
  recordId: string;
  state: string;
  leafIndex: number;
  receipt: string;
}

let [site, witness]: (Site | undefined)[] = [];
const vault = mkdtempSync(join(tmpdir(), 'bjwt-ehr-vault-'));
const running: Server[] = [];
const a = (): Site => site as Site;
const b = (): Site => witness as Site;
beforeAll(async () => {
  [site, witness] = [await prepareSite('a'), await prepareSite('b')];
}, 240_000);
afterAll(async () => {
  await Promise.all(running.map((server) => server.stop('SIGKILL')));
  for (const dir of [a().dir, b().dir, vault]) rmSync(dir, { recursive: true, force: true });
});

/** What site a is started with: it asks b. */
const settings = (): Record<string, string> => ({
  PORT: String(a().port),
  LEDGER_ORIGIN_BASE: 'ledger.hospital-a.example',
  LEDGER_POLICY: policyFile(b().witnessLine, 'quorum b'),
});
const env = (): Record<string, string> => ({ ...settings(), DATA_DIR: a().dir });
async function start(one: Site, more: Record<string, string>): Promise<Server> {
  const server = await startServer(one.dir, { PORT: String(one.port), LEDGER_ORIGIN_BASE: `ledger.hospital-${one.name}.example`, ...more });
  running.push(server);
  return server;
}
async function seal(doctor = a().doctor, wait = 'witnessed') {
  return doctor.api.post<Seal>(`/records/${await draftDiagnosis(doctor, a().patient.id)}/seal?wait=${wait}`);
}
const tool = (name: 'backup' | 'restore', ...args: string[]) => runProgram(`tools/${name}`, args, env());
const databaseFiles = () => readdirSync(a().dir).filter((name) => name.startsWith('ehr.sqlite'));

it('P-RESTORE the real programs: a backup under load, a server killed, its disk lost, the drill, the restore; the witness is not contradicted', async () => {
  const bServer = await start(b(), { LEDGER_POLICY: policyFile(`log ${a().logVkey}`, 'quorum none') });
  const server = await start(a(), settings());
  const doctor = a().as(a().doctor);
  const key = join(vault, 'backup.key');
  const made = await tool('backup', 'new-key', '--to', key);
  expect([made.code, made.stderr, made.stdout.includes('PRIVATE')]).toEqual([0, '', false]);
  expect(statSync(key).mode & 0o777).toBe(0o600);

  // Acknowledged before, while and after.
  const sealed: string[] = [];
  const work = async () => {
    const answer = await seal(doctor, 'logged');
    if (answer.status === 201) sealed.push(answer.body.recordId);
    return answer;
  };
  const load = startLoad([work, work, work, work]);
  while (load.done() < 20) await new Promise((resolve) => setTimeout(resolve, 10));
  const before = [...sealed];
  const backup = await tool('backup', '--to', vault, '--key', `${key}.pub`);
  expect([backup.code, backup.stderr]).toEqual([0, '']);
  await load.stop();
  expect(load.failures).toEqual([]);
  const [, path = '', sha256 = ''] = /^Backup \S+ of \S+ (.+)\n.* SHA-256 ([0-9a-f]{64})$/m.exec(backup.stdout) ?? [];
  const lost = await seal(doctor);
  expect(lost.body.state).toBe('witnessed');
  await server.stop('SIGKILL');

  // Usage, and a server's database that is still there.
  for (const args of [[], ['--from', path], ['--nonsense']]) expect((await tool('restore', ...args)).code).toBe(2);
  for (const args of [[], ['new-key'], ['--to', vault]]) expect((await tool('backup', ...args)).code).toBe(2);
  expect(await tool('restore', '--from', path, '--key', key)).toMatchObject({ code: 1, stderr: expect.stringContaining('empty place') });

  for (const name of databaseFiles()) renameSync(join(a().dir, name), join(vault, `old-${name}`));
  const check = await tool('restore', '--from', path, '--key', key, '--check');
  expect([check.code, check.stdout.includes(sha256)]).toEqual([0, true]);
  expect(databaseFiles()).toEqual([]);
  const policy = parsePolicy(`log ${a().logVkey}\nquorum none\n`);
  const note = /^(ledger\.[\s\S]+?\n\n(?:— .+\n)+)/m.exec(check.stdout)?.[1] ?? '';
  expect('invalid' in verifyCheckpoint(note, policy)).toBe(false);
  const trusted = join(vault, 'kept.checkpoint');
  writeFileSync(trusted, note);

  // Killed in its middle: nothing is in place, and the next one does it.
  const killed = spawnProgram('tools/restore', ['--from', path, '--key', key], env());
  while (!databaseFiles().some((name) => name.endsWith('.restoring'))) await new Promise((resolve) => setTimeout(resolve, 5));
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  expect(databaseFiles()).not.toContain('ehr.sqlite');
  const restored = await tool('restore', '--from', path, '--key', key, '--trust', trusted);
  expect([restored.stderr, restored.code]).toEqual(['', 0]);
  expect(restored.stdout).toContain('Intact: ');
  expect(databaseFiles()).toEqual(['ehr.sqlite']);
  expect(statSync(join(a().dir, 'ehr.sqlite')).mode & 0o777).toBe(0o600);

  // The witness learns of the new log; the server is not halted, has all that was acknowledged before, and goes on.
  const vkey = /^log (.+)$/m.exec(restored.stdout)?.[1] ?? '';
  await bServer.stop();
  await start(b(), { LEDGER_POLICY: policyFile(`log ${vkey}`, `log ${a().logVkey}`, 'quorum none') });
  const again = await start(a(), settings());
  const anonymous = new ApiClient(again.url, null);
  expect((await doctor.api.get('/auth/me')).status).toBe(401);
  const signedIn = await login({ anonymous }, a().doctor.id, a().doctor.username);
  for (const id of before) expect((await signedIn.api.get(`/records/${id}/content`)).status).toBe(200);
  expect((await signedIn.api.get(`/records/${lost.body.recordId}/content`)).status).toBe(404);
  const next = await seal(signedIn);
  expect([next.status, next.body.state]).toEqual([201, 'witnessed']);
  const [log] = (await anonymous.get<LogsResponse>('/ledger/logs')).body.logs;
  expect(log).toMatchObject({ halted: null, incarnation: 2, vkey, former: [{ origin: a().origin, vkey: a().logVkey }] });
  // The first entry names what the witness saw last: the loss is on record, and the receipt that is out proves it.
  const statement = parseIncarnation(log?.statement ?? '');
  const seen = verifyCheckpoint(statement.checkpoint, policy);
  if ('invalid' in seen) throw new Error(seen.invalid);
  expect(parseReceipt(lost.body.receipt).index).toBeGreaterThanOrEqual(statement.survivors);
  expect(seen.checkpoint.size).toBeGreaterThan(parseReceipt(lost.body.receipt).index);
  const audit = await runProgram('tools/audit', [], env());
  expect([audit.code, audit.stdout.includes('TAMPERED')]).toEqual([0, false]);
  for (const secret of ['root.key', 'ledger.key'].map((name) => readFileSync(join(a().dir, 'keys', name), 'latin1').trim()))
    for (const { stdout, stderr } of [made, backup, check, restored]) expect((stdout + stderr).includes(secret)).toBe(false);
}, 300_000);
