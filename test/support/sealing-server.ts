/**
 * A child process for tests: the real server on a folder. It prints `ready <url>` and then serves until it is told to end.
 * Started with `node -r ./tools/swc-register.cjs test/support/sealing-server.ts <data folder> [<settings as JSON>] [<point of death>]`.
 */
import 'reflect-metadata';
import type { INestApplicationContext } from '@nestjs/common';
import { createApp, openFoundations } from '../../src/app';
import { readConfig } from '../../src/config/config';
import { endServer, onEndSignal } from '../../src/shutdown';
import { armFault, type Point, type Way } from './log-faults';
import { TEST_SETTINGS } from './test-app';

/** Kills this process at a point of the log's work: the transactions of that kind are let through `after` times before. */
function armDeath(app: INestApplicationContext, death: string): void {
  const { point, way, after } = JSON.parse(death) as { point: Point; way: Way; after: number };
  armFault(app, point, way, () => process.kill(process.pid, 'SIGKILL'), after);
}

async function main(): Promise<void> {
  const settings = JSON.parse(process.argv[3] ?? '{}') as Record<string, string>;
  const config = readConfig({ ...TEST_SETTINGS, DATA_DIR: process.argv[2], ...settings });
  const app = await createApp(await openFoundations(config));
  const death = process.argv[4] ?? '';
  if (death !== '') armDeath(app, death);
  await app.listen(config.port, '127.0.0.1');
  onEndSignal(() => endServer(app, config));
  process.stdout.write(`ready ${await app.getUrl()}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = 1;
});
