/** `npm run test:cluster -- [--seals 100000] [--store sqlite|postgres] [--processes 2] [--clients 32]`: exit code 1 when something was lost, forked or invalid. */
import 'reflect-metadata';
import { parseArgs } from 'node:util';
import setUpPostgres, { tearDown } from '../support/postgres-setup';
import { clusterTrial, complaintsOf } from './trial';

const text = { type: 'string' } as const;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seals: text, store: text, processes: text, clients: text } });
  const seals = Number(values.seals ?? 100_000);
  if (values.store === 'postgres') setUpPostgres();
  try {
    const report = await clusterTrial({ seals, processes: Number(values.processes ?? 2), clients: Number(values.clients ?? 32) });
    const complaints = complaintsOf(report, seals);
    process.stdout.write(`${JSON.stringify({ ...report, complaints }, null, 2)}\n`);
    process.exitCode = complaints.length > 0 ? 1 : 0;
  } finally {
    tearDown();
  }
}

void main();
