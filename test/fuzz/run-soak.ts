/** `npm run soak -- [--requests 10000] [--seed N]`: exit code 1 when the server fell, answered 5xx or grew. */
import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { complaintsOf, soak } from './soak';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { requests: { type: 'string' }, seed: { type: 'string' } } });
  const report = await soak(Number(values.requests ?? 10_000), Number(values.seed ?? Date.now() % 1_000_000_000));
  const complaints = complaintsOf(report);
  process.stdout.write(`${JSON.stringify({ ...report, complaints }, null, 2)}\n`);
  process.exitCode = complaints.length > 0 ? 1 : 0;
}

void main();
