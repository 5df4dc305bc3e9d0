/**
 * A child process for the crash test: the real server on a folder. It prints `ready <url>` and then serves until it is killed.
 * Started with `node -r ./tools/swc-register.cjs test/support/sealing-server.ts <data folder>`.
 */
import 'reflect-metadata';
import { createApp, openFoundations } from '../../src/app';
import { readConfig } from '../../src/config/config';
import { TEST_SETTINGS } from './test-app';

async function main(): Promise<void> {
  const app = await createApp(await openFoundations(readConfig({ ...TEST_SETTINGS, DATA_DIR: process.argv[2] })));
  await app.listen(0, '127.0.0.1');
  process.stdout.write(`ready ${await app.getUrl()}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = 1;
});
