import type { NestFastifyApplication } from '@nestjs/platform-fastify';
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
  /** Stops the server and removes its scratch folder. */
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const PORTS_TRIED = 100;

/** The real server on a scratch folder. Its limits are raised, for a story signs in more often in a minute than people do; its log goes to files. */
export async function startDemoServer(): Promise<DemoServer> {
  const port = await freePort(readConfig().port);
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-demo-'));
  let app: NestFastifyApplication | undefined;
  const close = async (): Promise<void> => {
    await app?.close();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const limits = { REQUESTS_PER_MINUTE: '1000000', LOGINS_PER_MINUTE: '1000000' };
    const config = readConfig({ DATA_DIR: dir, HOST, PORT: String(port), LOG_CONSOLE: 'false', ...limits });
    app = await createApp(await openFoundations(config));
    await app.listen(port, HOST);
    const setupCode = (await app.get(SetupService).offerCode()) ?? '';
    return { url: await app.getUrl(), config, setupCode, close };
  } catch (error) {
    await close();
    throw error;
  }
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
