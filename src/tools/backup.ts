import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { readConfig } from '../config/config';
import { makeBackup, makeBackupKey, type MadeBackup } from './backup-operator';
import { listErasures } from './erasure-list';
import { runProgram, say, tellUsage } from './program';
import { count } from './progress-bar';

const USAGE = `Makes an encrypted backup of all data, of one moment; the server may be running. Set the environment as for the server.

  npm run backup -- new-key --to FILE
      Makes a backup key: FILE opens backups and belongs away from the server, FILE.pub makes them.
  npm run backup -- --to FILE|DIR --key FILE.pub
      Makes a backup. Nothing is overwritten. Key files (KEYS_DIR) are not in it: back them up apart, for a backup opens with both only.
  npm run backup -- erasures --to FILE|DIR
      Writes the list of all executed erasures (ids and codes): a restore executes again what a backup does not know. Make it often.

docs/backup.md says how often, where to keep what, and how to restore (npm run restore).
Exit code: 0 done, 1 refused, 2 the command line is wrong.
`;

/** The checkpoints are what to hold against the restored state, or against what a witness shows. */
function tell({ path, bytes, sha256, manifest, closing }: MadeBackup): void {
  const rows = Object.values(closing.rows).reduce((sum, some) => sum + some, 0);
  say(`Backup ${manifest.id} of ${manifest.madeAt}: ${path}`);
  say(`  ${count(bytes)} bytes, ${count(rows)} rows in ${manifest.tables.length} tables, SHA-256 ${sha256}`);
  for (const { origin, size, checkpoint } of closing.logs) {
    say(`  Log ${origin}: ${count(size)} entries${checkpoint === null ? ', nothing signed yet' : '; its newest checkpoint:'}`);
    if (checkpoint !== null) say(checkpoint);
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { to: { type: 'string' }, key: { type: 'string' }, help: { type: 'boolean' } },
  });
  const { to, key, help } = values;
  const words = positionals.join(' ');
  if (!help && to !== undefined && key === undefined && words === 'new-key') {
    const path = makeBackupKey(readConfig(), to);
    say(`${path} opens backups: keep it off this machine, two copies in two places. Without it no backup opens.`);
    say(`${path}.pub makes them: it stays here.`);
    return 0;
  }
  if (!help && to !== undefined && key === undefined && words === 'erasures') {
    const list = await listErasures(readConfig(), to);
    say(`${list.path}: ${list.count} erasures`);
    return 0;
  }
  if (!help && to !== undefined && key !== undefined && words === '') {
    tell(await makeBackup(readConfig(), to, key));
    return 0;
  }
  return tellUsage(USAGE, help);
}

runProgram(main, { words: 'No backup was made: ', code: 1 });
