import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { readToolSettings } from '../config/tool-settings';
import { type BundleFolder, readBundleFolder } from './bundle-files';
import { HttpClient } from './http-client';
import { importWithProgress, summaryLine } from './import-bundles';
import { runProgram, say, tellUsage } from './program';
import { ask, askSecretly } from './prompt';
import { sampleFolder } from './sample-folder';

const USAGE = `Imports a folder of FHIR R4 bundles (*.json, *.json.gz) into a running server, as a hospital or a doctor.

  npm run import -- [DIR] [--url http://127.0.0.1:3000] [--username NAME]

Without DIR the project's own sample patients are imported. The password is asked for, or taken from the variable EHR_PASSWORD;
so is the code of an account with a second factor (EHR_CODE).
Exit code: 0 all imported, 1 at least one file refused, 2 nothing tried.
`;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { url: { type: 'string', default: 'http://127.0.0.1:3000' }, username: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) return tellUsage(USAGE, true);
  if (positionals.length > 1) throw new Error('One folder at a time');
  const url = serverUrl(values.url);
  const folder = await open(positionals[0]);
  if (folder.sources.length === 0) throw new Error('The folder holds no FHIR bundle (*.json, *.json.gz)');
  const username = values.username ?? (await ask('User name: '));
  const settings = readToolSettings();
  const password = settings.password ?? (await askSecretly('Password: '));
  const client = await HttpClient.login(url, username, password, () => settings.code ?? askSecretly('Code of the second factor: '));
  for (const name of folder.skipped) say(`- ${name}  skipped: JSON without a resourceType is not FHIR`);
  const summary = await importWithProgress(client, folder.sources, process.stdout);
  say(summaryLine(summary));
  return summary.refused.length > 0 ? 1 : 0;
}

async function open(dir: string | undefined): Promise<BundleFolder> {
  if (dir === undefined) return sampleFolder();
  try {
    return await readBundleFolder(dir);
  } catch {
    throw new Error(`${dir} is not a folder that can be read`);
  }
}

/** Passwords and health data go to another machine only under TLS. */
function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw new Error('--url must be an http or https address');
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) throw new Error('--url: plain http only to this machine; use https');
  return url.origin;
}

/** Says what to do when there is no connection. */
function unreachable(error: unknown): never {
  if (error instanceof TypeError && error.message === 'fetch failed')
    throw new Error('No server answers there; start it (npm start) or name another address with --url');
  throw error;
}

runProgram(() => main().catch(unreachable), { code: 2 });
