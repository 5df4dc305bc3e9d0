import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

const ROOT = join(__dirname, '../..');

/** A command-line program of ours as a process of its own, with these settings and no others. */
export function spawnTool(
  tool: string,
  args: readonly string[],
  env: Record<string, string>,
): ChildProcessByStdio<null, Readable, Readable> {
  const script = ['-r', './tools/swc-register.cjs', join(ROOT, `src/tools/${tool}.ts`), ...args];
  return spawn(process.execPath, script, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs it to its end. */
export async function runTool(
  tool: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawnTool(tool, args, env);
  const texts = ['', ''];
  [child.stdout, child.stderr].forEach((stream, index) => stream.on('data', (part: Buffer) => (texts[index] += part.toString())));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout: texts[0] ?? '', stderr: texts[1] ?? '' };
}
