import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { type BundleFolder, readBundleFolder } from './bundle-files';
import { DemoConsole } from './demo-console';
import { type DemoServer, startDemoServer } from './demo-server';
import { Stage } from './demo-stage';
import { type DemoLogin, tellStory } from './demo-story';
import { runProgram, tellUsage } from './program';
import { sampleFolder } from './sample-folder';

const USAGE = `Starts the server on a scratch folder and tells, over HTTP, the story of everything it can do.

  npm run demo -- [--once] [--data DIR]

  --once       ends after the story and removes the folder; without it the server keeps running
  --data DIR   imports this folder of FHIR R4 bundles instead of the project's own sample patients
The port is PORT, or 3000, or the next free one. Exit code: 0 every expectation held, 1 one did not, 2 the story could not begin.
`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { once: { type: 'boolean' }, data: { type: 'string' }, help: { type: 'boolean' } } });
  if (values.help) return tellUsage(USAGE, true);
  const folder = values.data === undefined ? sampleFolder() : await openFolder(values.data);
  const console = new DemoConsole(process.stdout);
  const server = await startDemoServer();
  closeOnSignal(server);
  const people: DemoLogin[] = [];
  await play(console, server, folder, values.data ?? 'the project’s own sample patients', people);
  if (values.once) {
    await server.close();
    console.line('The scratch folder is removed; without --once it stays while the server runs.');
  } else keepServing(console, server, people);
  return console.failures > 0 ? 1 : 0;
}

async function openFolder(dir: string): Promise<BundleFolder> {
  const folder = await readBundleFolder(dir).catch(() => null);
  if (!folder || folder.sources.length === 0) throw new Error(`${dir} is not a folder with FHIR bundles (*.json, *.json.gz)`);
  return folder;
}

async function play(console: DemoConsole, server: DemoServer, folder: BundleFolder, from: string, people: DemoLogin[]): Promise<void> {
  const start = performance.now();
  console.line(console.bold('BJWT-EHR, from the first start to a forged record'));
  console.note(`${server.url}, data in ${server.config.dataDir}; the server's log is in ${server.config.logDir}`);
  try {
    await tellStory(new Stage(console, server.url, server.config, server.setupCode), server, folder, from, people);
  } catch (error) {
    console.broken(error instanceof Error ? error.message : 'unknown error');
  }
  console.summary((performance.now() - start) / 1000);
}

function keepServing(console: DemoConsole, server: DemoServer, people: readonly DemoLogin[]): void {
  const row = (cells: readonly string[]): string => `  ${cells.map((cell, i) => cell.padEnd([10, 18, 16][i] ?? 0)).join('')}`;
  console.line(`\nThe server keeps running. Try it yourself: ${console.bold(`${server.url}/docs`)}\n`);
  console.line(console.bold(row(['role', 'name', 'user name', 'password'])));
  for (const { role, who } of people) console.line(row([role, who.name, who.username, who.password]));
  console.line(`\nPOST /api/v1/auth/login gives the token for "Authorize". Prints: ${server.config.dataDir}`);
  console.line('Stop with Ctrl-C: the folder and everything in it is removed.');
}

/** Nest would end the process after closing; here the scratch folder goes too. */
function closeOnSignal(server: DemoServer): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.removeAllListeners(signal);
    process.once(signal, () => {
      void server.close().finally(() => process.exit());
    });
  }
}

runProgram(main, { code: 2 });
