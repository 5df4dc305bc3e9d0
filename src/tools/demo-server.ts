import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp, openFoundations } from '../app';
import { SetupService } from '../auth/setup.service';
import { type Config, readConfig } from '../config/config';

export interface DemoServer {
  readonly url: string;
  readonly config: Config;
  readonly setupCode: string;
  /** Stops it; the folder stays. */
  stop(): Promise<void>;
  /** Starts it again on the same folder and port, with these settings beside its own. */
  start(settings: Readonly<Record<string, string>>): Promise<void>;
  /** Stops the server and removes its scratch folder. */
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const PORTS_TRIED = 100;
/** Limits are raised, for a story signs in more often in a minute than people do; logs go to files. */
const SETTINGS = {
  HOST,
  LOG_CONSOLE: 'false',
  REQUESTS_PER_MINUTE: '1000000',
  LOGINS_PER_MINUTE: '1000000',
  LOGINS_PER_MINUTE_ALL: '1000000',
};

/** The real server on a scratch folder. */
export async function startDemoServer(): Promise<DemoServer> {
  const port = await freePort(readConfig().port);
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-demo-'));
  const own = { ...SETTINGS, DATA_DIR: dir, PORT: String(port) };
  let app: NestFastifyApplication | undefined;
  const stop = async (): Promise<void> => {
    await app?.close();
    app = undefined;
  };
  const start = async (settings: Readonly<Record<string, string>>): Promise<NestFastifyApplication> => {
    app = await createApp(await openFoundations(readConfig({ ...own, ...settings })));
    await app.listen(port, HOST);
    return app;
  };
  const close = async (): Promise<void> => {
    await stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const started = await start({});
    const setupCode = (await started.get(SetupService).offerCode()) ?? '';
    return {
      url: await started.getUrl(),
      config: readConfig(own),
      setupCode,
      stop,
      start: async (more) => void (await start(more)),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Another hospital's server, as a process of its own. */
export interface Neighbour {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the compiled server on a folder and any free port; `policy` is a file in the form of C2SP tlog-policy. */
export async function startNeighbour(dir: string, policy: string): Promise<Neighbour> {
  const env = {
    ...SETTINGS,
    DATA_DIR: dir,
    PORT: '0',
    LEDGER_POLICY: policy,
    LEDGER_ORIGIN_BASE: 'ledger.neighbour.example',
  };
  const child = fork(join(__dirname, '..', 'main.js'), { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const url = await listening(child);
  return {
    url,
    stop: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      const url = /listens on (http\S+)/.exec(output)?.[1];
      if (url) resolve(url);
    });
    child.once('exit', () => reject(new Error('the neighbour did not start')));
  });
}

/** The wished port, or the next one that nobody listens on. */
async function freePort(wished: number): Promise<number> {
  for (let port = wished; port < Math.min(wished + PORTS_TRIED, 65_536); port += 1) if (await isFree(port)) return port;
  throw new Error(`No free port from ${wished} on`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, HOST, () => probe.close(() => resolve(true)));
  });
}
