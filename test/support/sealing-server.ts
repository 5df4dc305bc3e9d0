/**
 * A child process for tests: the real server on a folder. It prints `ready <url>` and then serves until it is killed.
 * Started with `node -r ./tools/swc-register.cjs test/support/sealing-server.ts <data folder> [<settings as JSON>] [<point of death>]`.
 */
import 'reflect-metadata';
import { createApp, openFoundations } from '../../src/app';
import { readConfig } from '../../src/config/config';
import { TEST_SETTINGS } from './test-app';

async function main(): Promise<void> {
  const settings = JSON.parse(process.argv[3] ?? '{}') as Record<string, string>;
  const config = readConfig({ ...TEST_SETTINGS, DATA_DIR: process.argv[2], ...settings });
  const app = await createApp(await openFoundations(config));
  await app.listen(config.port, '127.0.0.1');
  process.stdout.write(`ready ${await app.getUrl()}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = 1;
});
