import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readConfig } from '../config/config';
import { newIncarnation, policyLines } from './ledger-operator';
import { runProgram, say, tellUsage, UsageError } from './program';

const USAGE = `For the operator of a server's transparency logs. The data folder is named by the server's own settings: set all of them as for the server
(DATA_DIR, KEYS_DIR, LEDGER_ORIGIN_BASE, WITNESS_NAME, LEDGER_POLICY …), for the keys depend on the names.

  npm run ledger -- keys [--url URL]
      Prints the lines that others put into their policies (LEDGER_POLICY) about this server: its logs and its key as a witness. Only reads; the
      server may be running. --url is the address at which others reach this server.

  npm run ledger -- new-incarnation --hospital ID --witnessed FILE
      After a restore from an old copy, when the log is halted (ROLLBACK): begins a new log for the hospital with all that the copy has. FILE is the
      former log's newest checkpoint as a witness shows it (GET <witness>/<SHA-256 of the origin>/checkpoint). The server must be stopped.

Exit code: 0 done, 1 refused, 2 the command line is wrong.
`;

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { url: { type: 'string' }, hospital: { type: 'string' }, witnessed: { type: 'string' }, help: { type: 'boolean' } },
  });
  const [command] = positionals;
  if (values.help || positionals.length !== 1) return tellUsage(USAGE, values.help);
  if (command === 'keys') {
    const url = values.url ?? 'http://127.0.0.1:3000';
    if (!isWebAddress(url)) throw new UsageError(`--url needs an address such as https://ehr.hospital-a.example, not ${url}`);
    (await policyLines(readConfig(), url)).forEach(say);
    return 0;
  }
  if (command === 'new-incarnation' && values.hospital !== undefined && values.witnessed !== undefined) {
    (await newIncarnation(readConfig(), values.hospital, readFileSync(values.witnessed, 'utf8'))).forEach(say);
    return 0;
  }
  return tellUsage(USAGE);
}

runProgram(main, { words: 'Nothing was changed: ', code: 1 });
