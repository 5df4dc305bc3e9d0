import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { readConfig } from '../config/config';
import { auditData, isIntact, linesOf, trailLinesOf } from './audit-data';

const USAGE = `Walks every chain of a data folder and the trail of accesses, and says whether anything sealed was changed, and where.

  npm run audit -- [--patient ID] [--without-keys] [--json]

The folder is named by the server's own settings (DATA_DIR, KEYS_DIR, SQLITE_PATH). It is only read; the server may be running.
  --patient ID     only the chain of this patient
  --without-keys   checks hashes, links and signatures, and leaves contents closed
  --json           one JSON object a line: each chain's verdict, then the summary
Exit code: 0 everything is VALID (or lawfully ERASED), 1 something is not, 2 nothing could be verified.
`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      patient: { type: 'string' },
      'without-keys': { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const options = { withoutKeys: values['without-keys'], ...(values.patient !== undefined && { patientId: values.patient }) };
  const summary = await auditData(readConfig(), options, (verdict) => {
    if (values.json) say(JSON.stringify(verdict));
    else linesOf(verdict).forEach(say);
  });
  const { chains, blocks, bad, trail, seconds } = summary;
  const intact = bad === 0 && (trail === null || isIntact(trail));
  if (trail && !values.json) trailLinesOf(trail).forEach(say);
  if (values.json) say(JSON.stringify({ summary: { ...summary, contentsOpened: !options.withoutKeys } }));
  else if (intact)
    say(`Intact: ${chains} chains, ${blocks} blocks, ${seconds.toFixed(2)} s${options.withoutKeys ? ' (contents were not opened)' : ''}`);
  else
    say(
      `NOT INTACT: ${bad} of ${chains} chains${trail ? `, the trail is ${trail.verdict}` : ''} (${blocks} blocks, ${seconds.toFixed(2)} s)`,
    );
  return intact ? 0 : 1;
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`The audit did not finish: ${error instanceof Error ? error.message : 'unknown error'}\n`);
    process.exitCode = 2;
  },
);
