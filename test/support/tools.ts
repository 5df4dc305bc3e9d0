import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

const ROOT = join(__dirname, '../..');

/** A program of ours (a path under src) as a process of its own, with these settings and no others. */
export function spawnProgram(
  program: 'main' | `tools/${string}`,
  args: readonly string[],
  env: Record<string, string>,
): ChildProcessByStdio<null, Readable, Readable> {
  const script = ['-r', './tools/swc-register.cjs', join(ROOT, `src/${program}.ts`), ...args];
  return spawn(process.execPath, script, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs it to its end. */
export async function runProgram(
  program: 'main' | `tools/${string}`,
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawnProgram(program, args, env);
  const texts = ['', ''];
  [child.stdout, child.stderr].forEach((stream, index) => stream.on('data', (part: Buffer) => (texts[index] += part.toString())));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout: texts[0] ?? '', stderr: texts[1] ?? '' };
}
