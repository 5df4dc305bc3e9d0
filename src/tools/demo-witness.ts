import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DemoServer, type Neighbour, startNeighbour } from './demo-server';
import { type Person, type Stage } from './demo-stage';
import { auditData } from './audit-data';

interface Logs {
  readonly logs: readonly { readonly hospitalId: string; readonly origin: string; readonly vkey: string; readonly halted: string | null }[];
  readonly witnessVkey: string;
}
interface Sealed {
  readonly recordId: string;
  readonly state: string;
  readonly leafIndex: number;
}

/** What the acts share: files of the auditor, and the servers. */
interface Scene {
  readonly stage: Stage;
  readonly server: DemoServer;
  readonly doctor: Person;
  readonly patientId: string;
  /** A folder that the operator of the server does not own. */
  readonly folder: string;
}

/** A neighbour cosigns; a receipt is checked offline; a database put back to an old state is caught. Leaves the server running as it was found. */
export async function witnessing(stage: Stage, server: DemoServer, doctor: Person, patientId: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bjwt-demo-auditor-'));
  const scene: Scene = { stage, server, doctor, patientId, folder };
  let neighbour: Neighbour | undefined;
  try {
    const logs = await readLogs(scene);
    neighbour = await meetNeighbour(scene, logs);
    const policy = await introduce(scene, neighbour);
    await server.stop();
    cpSync(server.config.sqlitePath, join(folder, 'last-night.sqlite'));
    await server.start(policy);
    const recordId = await sealWitnessed(scene, 'A doctor seals and waits until the neighbour has cosigned');
    await verifyOffline(scene, recordId);
    await restoreLastNight(scene, policy);
    await sealWitnessed(scene, 'The true database is put back: the ledger goes on');
    await server.stop();
    await server.start({});
  } finally {
    await neighbour?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function readLogs({ stage }: Scene): Promise<Logs> {
  stage.console.step('Another hospital witnesses our ledgers: it has our public keys, and sees hashes only');
  const { body } = await stage.act<Logs>({
    who: null,
    as: 'The neighbour',
    call: 'GET /ledger/logs',
    status: 200,
    does: 'reads which logs there are:',
    shows: ({ logs }) => `${logs.length}, each with its key`,
  });
  return body;
}

async function meetNeighbour({ stage, folder }: Scene, { logs }: Logs): Promise<Neighbour> {
  const policy = join(folder, 'neighbour-policy.txt');
  writeFileSync(policy, [...logs.map(({ vkey }) => `log ${vkey}`), 'quorum none', ''].join('\n'));
  const neighbour = await startNeighbour(join(folder, 'neighbour'), policy);
  stage.console.note(`a second server, ${neighbour.url}, with our keys in its policy`);
  return neighbour;
}

/** Writes our policy: the neighbour is asked, and one cosignature is the quorum. */
async function introduce({ folder }: Scene, neighbour: Neighbour): Promise<Record<string, string>> {
  const { witnessVkey } = (await (await fetch(`${neighbour.url}/api/v1/ledger/logs`)).json()) as Logs;
  const file = join(folder, 'policy.txt');
  writeFileSync(file, `witness neighbour ${witnessVkey} ${neighbour.url}/witness\nquorum neighbour\n`);
  return { LEDGER_POLICY: file };
}

async function sealWitnessed({ stage, doctor, patientId }: Scene, title: string): Promise<string> {
  stage.console.step(title);
  const { body: draft } = await stage.act<{ id: string }>({
    who: doctor,
    call: `POST /patients/${patientId}/diagnoses`,
    status: 201,
    does: 'drafts a diagnosis',
    request: { json: { code: 'I10', display: 'Essential hypertension', note: 'Blood pressure 150/95 on two days.' } },
  });
  const { body } = await stage.act<Sealed>({
    who: doctor,
    call: `POST /records/${draft.id}/seal?wait=witnessed`,
    status: 201,
    does: 'seals it:',
    shows: ({ state, leafIndex }) => `${state}, leaf ${leafIndex} of the hospital’s log`,
  });
  stage.expect('the answer carries a receipt under a checkpoint that the neighbour has cosigned', 'witnessed', body.state);
  return draft.id;
}

/** The command-line verifier in a process of its own, with nothing but two files. */
async function verifyOffline(scene: Scene, recordId: string): Promise<void> {
  const { stage, doctor, folder } = scene;
  stage.console.step('The proof is checked offline, by a program that needs neither server nor database');
  const { bytes } = await stage.act({
    who: doctor,
    call: `GET /records/${recordId}/bundle`,
    status: 200,
    does: 'takes the record and its proof along',
  });
  const { logs } = (await (await fetch(`${stage.url}/api/v1/ledger/logs`)).json()) as Logs;
  const { body: me } = await stage.act<{ hospitalId: string }>({
    who: doctor,
    call: 'GET /auth/me',
    status: 200,
    does: 'asks which hospital keeps it',
  });
  const log = logs.find((item) => item.hospitalId === me.hospitalId);
  const policy = await fetch(`${stage.url}/api/v1/ledger/logs/${log?.hospitalId ?? ''}/policy`);
  writeFileSync(join(folder, 'verifier-policy.txt'), await policy.text());
  const bundle = join(folder, 'bundle.json');
  writeFileSync(bundle, bytes);
  const good = verify(scene, bundle);
  for (const line of good.lines) stage.console.note(line);
  stage.expect('npm run verify -- bundle.json --policy policy.txt: VALID', 0, good.code);
  const parsed = JSON.parse(bytes.toString('utf8')) as { payload: string };
  const payload = Buffer.from(parsed.payload, 'base64').toString('utf8').replace('150/95', '120/80');
  writeFileSync(bundle, JSON.stringify({ ...parsed, payload: Buffer.from(payload, 'utf8').toString('base64') }));
  stage.expect('with 120/80 for 150/95 in it: not valid', 1, verify(scene, bundle).code);
}

function verify({ folder }: Scene, file: string): { code: number | null; lines: string[] } {
  const program = join(__dirname, 'verify.js');
  const ran = spawnSync(process.execPath, [program, file, '--policy', join(folder, 'verifier-policy.txt')], { encoding: 'utf8' });
  return { code: ran.status, lines: ran.stdout.split('\n').filter((line) => line !== '') };
}

/** The operator's database is replaced by an older one that is whole in itself: only who stands outside can tell. */
async function restoreLastNight({ stage, server, doctor, patientId, folder }: Scene, policy: Record<string, string>): Promise<void> {
  stage.console.step('Somebody puts last night’s database back: the newest records were never there');
  const { sqlitePath } = server.config;
  await server.stop();
  cpSync(sqlitePath, join(folder, 'true.sqlite'));
  cpSync(join(folder, 'last-night.sqlite'), sqlitePath);
  const summary = await auditData(server.config, {}, () => undefined);
  stage.expect('in itself the old database is intact: its chains verify', 0, summary.bad);
  await server.start(policy);
  const { body } = await stage.act<Logs>({
    who: null,
    as: 'Everybody',
    call: 'GET /ledger/logs',
    status: 200,
    does: 'can read what the neighbour knows',
  });
  stage.expect(
    'the log is halted: the neighbour has seen a larger one, signed by us',
    true,
    body.logs.some(({ halted }) => halted === 'ROLLBACK'),
  );
  await stage.act({
    who: doctor,
    call: `GET /patients/${patientId}/records?limit=1`,
    status: 200,
    does: 'can still read',
  });
  const { body: draft } = await stage.act<{ id: string }>({
    who: doctor,
    call: `POST /patients/${patientId}/diagnoses`,
    status: 201,
    does: 'can still draft',
    request: { json: { code: 'I10', display: 'Essential hypertension' } },
  });
  await stage.act({
    who: doctor,
    call: `POST /records/${draft.id}/seal`,
    status: 503,
    code: 'log_halted',
    does: 'seals nothing on top of it',
  });
  await server.stop();
  cpSync(join(folder, 'true.sqlite'), sqlitePath);
  await server.start(policy);
}
