/** `npm run fuzz -- [--seconds 600] [--seed N] [--operation 'POST /api/v1/patients'] [--path P]`: exit code 1 when a rule was broken. */
import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { Walker } from './walker';

const say = (line: string) => process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seconds: { type: 'string' }, seed: { type: 'string' }, operation: { type: 'string' }, path: { type: 'string' } },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
  const seconds = Number(values.seconds ?? 600);
  say(`seed ${seed}, ${seconds} seconds`);
  const { operation, path } = values;
  const walker = new Walker({
    seed,
    seconds,
    runs: 60,
    tell: say,
    ...(operation === undefined ? {} : { operation }),
    ...(path === undefined ? {} : { path }),
  });
  const { requests, operations, statuses, failures } = await walker.run();
  const counted = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
  say(`${requests} requests to ${operations.size} operations; ${counted.join(', ')}; ${failures.length} failures`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

void main();
