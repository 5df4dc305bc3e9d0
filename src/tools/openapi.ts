import 'reflect-metadata';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp, openFoundations } from '../app';
import { readConfig } from '../config/config';
import { openApiDocument } from '../docs';

const FILE = join(process.cwd(), 'openapi.json');

/** Writes openapi.json; with `--check` says whether the file is what the routes are now. */
async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-openapi-'));
  try {
    const app = await createApp(await openFoundations(readConfig({ DATA_DIR: dir, LOG_CONSOLE: 'false' })));
    await app.init();
    const text = `${JSON.stringify(openApiDocument(app), null, 2)}\n`;
    await app.close();
    if (!process.argv.includes('--check')) writeFileSync(FILE, text);
    else if (readFileSync(FILE, 'utf8') !== text)
      throw new Error('openapi.json is not what the routes are; run `npm run openapi` and commit it');
    process.stdout.write(`openapi.json: ${Object.keys(openApiPaths(text)).length} paths\n`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function openApiPaths(text: string): Record<string, unknown> {
  return (JSON.parse(text) as { paths: Record<string, unknown> }).paths;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = 1;
});
