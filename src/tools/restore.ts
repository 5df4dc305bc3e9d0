import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { readConfig } from '../config/config';
import { openRootKeys } from '../crypto/open-root-keys';
import { formatVkey } from '../ledger/core/vkey';
import { LogKeys } from '../tlog/log-keys';
import type { ReadBackup } from './backup-read';
import { runProgram, say, tellUsage } from './program';
import { count } from './progress-bar';
import { checkBackup, restoreBackup, type Restored } from './restore-operator';

const USAGE = `Restores a backup into an empty place: no database there, no server running. Set the environment as for the server, with the key files (KEYS_DIR)
of the time of the backup in their place. DATABASE_URL may name an empty PostgreSQL database whatever the backup was made of.

  npm run restore -- --from FILE --key FILE [options]

  --key FILE          the backup key that was made by: npm run backup -- new-key
  --check             reads and verifies the whole file, and restores nothing
  --moved             nothing was written after this backup was made (the server was stopped first): its logs go on. Without it every hospital
                      begins a new log, for more may have been signed than the backup knows
  --witnessed FILE    a log's newest checkpoint as a witness shows it. May be repeated; witnesses of LEDGER_POLICY that answer are asked too
  --trust FILE        a signed checkpoint that you kept, older than the backup: the restored log must begin with its tree. May be repeated
  --erasures FILE     a list made by: npm run backup -- erasures. What was erased after the backup is erased again. May be repeated
  --accept-findings   makes the data live although the verification found something; it stays visible

Exit code: 0 done, 1 refused and nothing is in place, 2 the command line is wrong.
`;

function parse() {
  return parseArgs({
    options: {
      from: { type: 'string' },
      key: { type: 'string' },
      check: { type: 'boolean', default: false },
      moved: { type: 'boolean', default: false },
      'accept-findings': { type: 'boolean', default: false },
      witnessed: { type: 'string', multiple: true, default: [] },
      erasures: { type: 'string', multiple: true, default: [] },
      trust: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean' },
    },
  });
}

function tell({ manifest, closing, sha256 }: ReadBackup): void {
  const rows = Object.values(closing.rows).reduce((sum, some) => sum + some, 0);
  say(`Backup ${manifest.id} of ${manifest.madeAt} (${manifest.store}): whole, ${count(rows)} rows, SHA-256 ${sha256}`);
  for (const { origin, size, checkpoint } of closing.logs) say(`  Log ${origin}: ${count(size)} entries\n${checkpoint ?? ''}`);
}

function tellLogs({ begun, erased }: Restored, keys: LogKeys): void {
  say('It is in place. Everybody signs in again. What was done after the backup is gone: docs/backup.md says what to look through.');
  for (const { id, patientId, recordId } of erased)
    say(`Erased again (${id}): ${recordId === null ? `patient ${patientId}` : `record ${recordId}`}`);
  for (const { log, former, witnessedSize } of begun) {
    say(
      `Log ${former.origin} ends with ${former.size} entries; ${witnessedSize} are known to be signed. In its place, for witnesses and verifiers:`,
    );
    say(`log ${formatVkey(keys.log(log.origin).key)}`);
  }
}

async function main(): Promise<number> {
  const { values } = parse();
  const { from, key: keyFile, check, moved, witnessed, trust, erasures } = values;
  if (values.help || from === undefined || keyFile === undefined) return tellUsage(USAGE, values.help);
  const config = readConfig();
  if (check) {
    tell(await checkBackup(config, { from, keyFile }));
    return 0;
  }
  const options = { from, keyFile, moved, witnessed, trust, erasures, acceptFindings: values['accept-findings'] };
  const restored = await restoreBackup(config, options, say);
  tell(restored);
  tellLogs(restored, new LogKeys(openRootKeys(config, { create: false }), config));
  return 0;
}

runProgram(main, { words: 'Nothing was restored: ', code: 1 });
