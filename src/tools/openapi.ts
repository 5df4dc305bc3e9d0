import 'reflect-metadata';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp, openFoundations } from '../app';
import { readConfig } from '../config/config';
import { openApiDocument } from '../docs';
import { runProgram, say } from './program';

const FILE = join(process.cwd(), 'openapi.json');

/** Writes openapi.json; with `--check` says whether the file is what the routes are now. */
async function main(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-openapi-'));
  try {
    const app = await createApp(await openFoundations(readConfig({ DATA_DIR: dir, LOG_CONSOLE: 'false' })));
    await app.init();
    const text = `${JSON.stringify(openApiDocument(app), null, 2)}\n`;
    await app.close();
    if (!process.argv.includes('--check')) writeFileSync(FILE, text);
    else if (readFileSync(FILE, 'utf8') !== text)
      throw new Error('openapi.json is not what the routes are; run `npm run openapi` and commit it');
    say(`openapi.json: ${Object.keys(openApiPaths(text)).length} paths`);
    return 0;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function openApiPaths(text: string): Record<string, unknown> {
  return (JSON.parse(text) as { paths: Record<string, unknown> }).paths;
}

runProgram(main, { code: 1 });
