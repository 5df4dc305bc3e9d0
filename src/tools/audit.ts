import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { readConfig } from '../config/config';
import { auditData, linesOf, linesOfLog, rowLinesOf, trailLinesOf } from './audit-data';
import { isWhole, verdictLine } from './audit-verdict';
import { runProgram, say, tellUsage, UsageError } from './program';
import { ProgressBar } from './progress-bar';

const USAGE = `Verifies a whole data folder and says whether anything sealed was changed, and where: every chain, every log with its checkpoints, and the trail of accesses.

  npm run audit -- [--patient ID] [--without-keys | --hashes-only] [--policy FILE] [--trust FILE] [--threads N] [--json]

The folder is named by the server's own settings (DATA_DIR, KEYS_DIR, SQLITE_PATH). It is only read; the server may be running.
  --patient ID     only the chain of this patient, proven under the newest checkpoint
  --without-keys   checks hashes, links and signatures, and leaves contents closed
  --hashes-only    leaves authors' signatures out too: a quick check between full ones
  --policy FILE    keys of the logs, witnesses and quorum that the auditor trusts (C2SP tlog-policy); else those of the folder itself
  --trust FILE     a signed checkpoint that the auditor kept: the log must still begin with its tree. May be given several times
  --threads N      0 works without threads of its own; else as many as the machine has, unless the ledger is small
  --json           one JSON object a line: each chain's verdict, each log's, then the summary
Exit code: 0 everything is VALID (or lawfully ERASED), 1 something is not, 2 nothing could be verified.
`;
const MAX_THREADS = 64;

function readArguments() {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      patient: { type: 'string' },
      'without-keys': { type: 'boolean', default: false },
      'hashes-only': { type: 'boolean', default: false },
      policy: { type: 'string' },
      trust: { type: 'string', multiple: true, default: [] },
      threads: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 0 && threads <= MAX_THREADS))
    throw new UsageError(`--threads needs a number from 0 to ${MAX_THREADS}`);
  return {
    json: values.json,
    help: values.help,
    options: {
      withoutKeys: values['without-keys'],
      hashesOnly: values['hashes-only'],
      trust: values.trust,
      ...(values.patient !== undefined && { patientId: values.patient }),
      ...(values.policy !== undefined && { policyFile: values.policy }),
      ...(threads !== undefined && { threads }),
    },
  };
}

async function main(): Promise<number> {
  const { json, help, options } = readArguments();
  if (help) return tellUsage(USAGE, true);
  let bar = new ProgressBar(process.stderr, 0);
  const print = (lines: readonly string[]) => {
    bar.end();
    lines.forEach(say);
  };
  const summary = await auditData(
    readConfig(),
    {
      ...options,
      tellLog: (report) => print(json ? [JSON.stringify({ log: report })] : linesOfLog(report)),
      progress: { begin: (total) => (bar = new ProgressBar(process.stderr, total)), advance: () => bar.advance() },
    },
    (verdict) => print(json ? [JSON.stringify(verdict)] : linesOf(verdict)),
  );
  bar.end();
  if (summary.trail && !json) trailLinesOf(summary.trail).forEach(say);
  if (summary.rows && !json) rowLinesOf(summary.rows).forEach(say);
  const closed = options.withoutKeys || options.hashesOnly;
  if (json) say(JSON.stringify({ summary: { ...summary, contentsOpened: !closed, signaturesChecked: !options.hashesOnly } }));
  else say(verdictLine(summary, options.hashesOnly ? ' (hashes only)' : closed ? ' (contents were not opened)' : ''));
  return isWhole(summary) ? 0 : 1;
}

runProgram(main, { words: 'The audit did not finish: ', code: 2 });
