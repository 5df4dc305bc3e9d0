import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { formatVkey } from '../../src/ledger/core/vkey';
import { LogKeys } from '../../src/tlog/log-keys';
import { ApiClient } from './api-client';
import { startTestApp } from './test-app';
import { storeOf } from './test-store';
import { addDoctor, addHospital, addPatient, login, PASSWORD, type Person } from './world';

const ROOT = join(__dirname, '../..');

/** A server in a process of its own. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  /** The process ends, as asked; resolves when it has. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when the process has ended by itself. */
  readonly gone: Promise<unknown>;
}

/** Starts the real server on a data folder. `death` names the point at which it kills itself (test/support/log-faults.ts). */
export async function startServer(dir: string, more: Record<string, string> = {}, death = ''): Promise<Server> {
  const settings = { ...(await storeOf(dir)), ...more };
  const script = join(ROOT, 'test/support/sealing-server.ts');
  const child: ChildProcessByStdio<null, Readable, null> = spawn(
    process.execPath,
    ['-r', './tools/swc-register.cjs', script, dir, JSON.stringify(settings), death],
    // What libraries read by themselves is in the environment; the server's own settings are in the argument.
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...settings } },
  );
  const gone = once(child, 'exit');
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    child.kill(signal);
    await gone;
  };
  for await (const line of createInterface(child.stdout))
    if (line.startsWith('ready ')) return { url: line.split(' ')[1] ?? '', pid: child.pid ?? 0, stop, gone };
  throw new Error('the server did not start');
}

/** A port of the loopback interface that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A data folder with one hospital, and all that others need to know of it. No process runs on it. */
export interface Site {
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly hospitalId: string;
  readonly origin: string;
  readonly logVkey: string;
  readonly hospital: Person;
  readonly doctor: Person;
  readonly patient: Person;
  /** The policy's line by which others ask this server. */
  readonly witnessLine: string;
  readonly keys: LogKeys;
  /** A client of whatever process serves this site. */
  as(person: Person, url?: string): Person;
}

export async function prepareSite(name: string): Promise<Site> {
  const port = await freePort();
  const app = await startTestApp({ LEDGER_ORIGIN_BASE: `ledger.hospital-${name}.example` });
  const setup = { code: app.setupCode, name: 'Founder', username: `founder.${name}`, password: PASSWORD };
  const { id } = (await app.anonymous.post<{ id: string }>('/setup', setup)).body;
  const hospital = await addHospital(app, await login(app, id, setup.username), `Hospital ${name}`);
  const doctor = await addDoctor(app, hospital, 'Dr. Ada Yılmaz');
  const patient = await addPatient(app, doctor, 'Ayşe Demir');
  const keys = app.app.get(LogKeys);
  const origin = `ledger.hospital-${name}.example/${hospital.id}`;
  await app.app.close();
  const url = `http://127.0.0.1:${port}`;
  return {
    name,
    dir: app.dir,
    port,
    hospitalId: hospital.id,
    origin,
    logVkey: formatVkey(keys.log(origin).key),
    witnessLine: `witness ${name} ${formatVkey(keys.witness.key)} ${url}/witness`,
    hospital,
    doctor,
    patient,
    keys,
    as: (person, at = url) => ({ ...person, api: new ApiClient(at, person.api.token) }),
  };
}
