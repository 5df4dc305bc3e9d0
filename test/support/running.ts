import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnProgram } from './tools';

/** `npm start` or `npm run start:cluster`, listening. */
export interface Running {
  readonly url: string;
  /** Of the process that was started: the primary of a cluster. */
  readonly pid: number;
  /** Of a cluster's workers, in the order of their numbers, as they were started first. */
  readonly workers: readonly number[];
  /** All that it printed so far. */
  output(): string;
  /** Resolves once it has printed this. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Sends a signal. @returns its exit code, or the signal that killed it */
  end(signal?: NodeJS.Signals): Promise<number | string>;
  /** For the end of a test that failed: nothing of it stays. */
  kill(): void;
  /** Resolves with the same when it ends by itself. */
  readonly gone: Promise<number | string>;
}

const PATIENCE_MS = 120_000;

export async function startRunning(program: 'main' | 'cluster', env: Record<string, string>): Promise<Running> {
  const child = spawnProgram(program, [], { PATH: process.env['PATH'] ?? '', ...env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()));
  const gone = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  let hasEnded = false;
  void gone.then(() => (hasEnded = true));
  const printed = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (const start = performance.now(); ; await sleep(20)) {
      const found = pattern.exec(output);
      if (found) return found;
      if (hasEnded || performance.now() - start > PATIENCE_MS) throw new Error(`${program} never printed ${pattern.source}: ${output}`);
    }
  };
  const [, pids = ''] = program === 'cluster' ? await printed(/\(pids ([\d, ]+)\)/) : [];
  const [, url = ''] = await printed(/listens on (\S+)/);
  return {
    url,
    pid: child.pid ?? 0,
    workers: pids.split(', ').filter(Boolean).map(Number),
    output: () => output,
    printed,
    kill: () => void child.kill('SIGKILL'),
    gone,
    end: (signal = 'SIGTERM') => {
      child.kill(signal);
      return gone;
    },
  };
}
