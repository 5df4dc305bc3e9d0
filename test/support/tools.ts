import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(__dirname, '../..');

/** A program of ours (a path under src) as a process of its own, with these settings and no others. */
export function spawnProgram(
  program: 'main' | 'cluster' | `tools/${string}`,
  args: readonly string[],
  env: Record<string, string>,
): ChildProcessByStdio<null, Readable, Readable> {
  const script = ['-r', './tools/swc-register.cjs', join(ROOT, `src/${program}.ts`), ...args];
  return spawn(process.execPath, script, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs it to its end. */
export async function runProgram(
  program: 'main' | 'cluster' | `tools/${string}`,
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawnProgram(program, args, env);
  const texts = ['', ''];
  [child.stdout, child.stderr].forEach((stream, index) => stream.on('data', (part: Buffer) => (texts[index] += part.toString())));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout: texts[0] ?? '', stderr: texts[1] ?? '' };
}

/** The program of production, listening. */
export interface MainServer {
  readonly url: string;
  readonly pid: number;
  /** Code of the first start; '' later. */
  readonly setupCode: string;
  /** All that it printed so far. */
  readonly output: () => string;
  stop(): Promise<void>;
}

export async function startMain(env: Record<string, string>): Promise<MainServer> {
  const child = spawnProgram('main', [], env);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()));
  const gone = once(child, 'exit');
  const read = (pattern: RegExp) => pattern.exec(output)?.[1] ?? '';
  // The line about the code comes after the others, if it comes.
  for (let wait = 0; wait < 300 && (read(/listens on (\S+)/) === '' || !/Set-up code|Keys: /.test(output)); wait++) await sleep(100);
  await sleep(200);
  if (read(/listens on (\S+)/) === '') throw new Error(`the server did not start: ${output}`);
  return {
    url: read(/listens on (\S+)/),
    pid: child.pid ?? 0,
    setupCode: read(/printed only here\): (\S+)/),
    output: () => output,
    async stop() {
      child.kill();
      await gone;
    },
  };
}
