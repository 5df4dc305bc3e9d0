import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { setTimeout as sleep } from 'node:timers/promises';
import { primary } from './common/ipc';
import type { Config } from './config/config';
import { ConnectionsService } from './health/connections.service';

/** After the last request: for what was queued to be committed, and files and databases to be closed. */
const CLOSE_MS = 5_000;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Ends the server so that nobody notices who need not: readiness is over at once, then no more connections are taken, running requests are answered, what they
 * queued is committed, and only then the modules stop. @returns false when requests had to be cut off
 */
async function shutDown(app: NestFastifyApplication, { delaySeconds, seconds }: Config['shutdown']): Promise<boolean> {
  const connections = app.get(ConnectionsService);
  connections.announceEnd();
  await sleep(delaySeconds * 1_000);
  const isDrained = await connections.end(app.getHttpAdapter().getInstance(), seconds * 1_000);
  await app.close();
  return isDrained;
}

/** Calls `end` at the first signal, and once only; at the second one the process is over. A worker is told by its primary, for a terminal signals both. */
export function onEndSignal(end: () => void): void {
  let told = 0;
  const tell = (): void => {
    told += 1;
    if (told === 1) end();
    else process.exit(1);
  };
  if (!primary) return SIGNALS.forEach((signal) => void process.on(signal, tell));
  const tellOnce = (): void => void (told === 0 && tell());
  process.on('SIGTERM', tellOnce);
  primary.handle('end', tellOnce);
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => undefined);
}

/** Ends server and process: with exit code 0 if all was finished, with 1 if not. */
export function endServer(app: NestFastifyApplication, { shutdown }: Config): void {
  const fail = () => process.exit(1);
  setTimeout(fail, (shutdown.delaySeconds + shutdown.seconds) * 1_000 + CLOSE_MS).unref();
  shutDown(app, shutdown).then((isDrained) => process.exit(isDrained ? 0 : 1), fail);
}
