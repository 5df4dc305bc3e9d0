import { parseArgs } from 'node:util';
import { runProgram, say, tellUsage } from './program';
import { verifyFiles, VerifyError } from './verify-files';
import { humanLines, jsonLine } from './verify-words';

const USAGE = `Verifies receipts, bundles and exported chains. Needs neither server nor database nor network.

  npm run verify -- FILE... --policy POLICY [options]

  --policy FILE        whom you trust (C2SP tlog-policy): the log's key, the witnesses, the quorum. The hospital offers one at
                       /api/v1/ledger/logs/<hospital>/policy; compare its keys with what you were told elsewhere
  --trust FILE         your memory: the newest checkpoint that you saw of each log. Made when it is not there
  --consistency FILE   proof that the log continues what you remember: /api/v1/ledger/logs/<hospital>/consistency?from=N&to=M
  --key=KID:X          an author's key that you know; then no other key is believed. May be repeated
  --head TEXT          head of a chain as a print carries it (bjwt-ehr:chain:...): an exported chain must contain it
  --allow-unwitnessed  is content without enough witnesses
  --json               one JSON object a line, one for each file
Exit code: 0 all are VALID (or lawfully ERASED) and witnessed, 1 one is not, 2 one could not be verified.
`;

const complain = (text: string): void => void process.stderr.write(`${text}\n`);

function main(): 0 | 1 | 2 {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      policy: { type: 'string' },
      trust: { type: 'string' },
      consistency: { type: 'string', multiple: true, default: [] },
      key: { type: 'string', multiple: true, default: [] },
      head: { type: 'string', multiple: true, default: [] },
      'allow-unwitnessed': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return tellUsage(USAGE, true);
  if (positionals.length === 0) throw new VerifyError('Name the files to verify; --help explains');
  if (values.policy === undefined) throw new VerifyError('Name your policy with --policy; without one nobody is trusted');
  return verifyFiles(
    {
      files: positionals,
      policy: values.policy,
      trust: values.trust,
      consistency: values.consistency,
      keys: values.key,
      heads: values.head,
      allowUnwitnessed: values['allow-unwitnessed'],
    },
    (file, report) => say(values.json ? jsonLine(file, report) : humanLines(file, report).join('\n')),
    complain,
  );
}

runProgram(main, { code: 2 });
