import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import { openFoundations } from '../app';
import type { Config } from '../config/config';
import { openRootKeys } from '../crypto/open-root-keys';
import { Database } from '../database/database';
import { withBytea } from '../database/postgres-options';
import { HospitalEntity } from '../hospital/hospital.entity';
import { formatVkey } from '../ledger/core/vkey';
import { beginIncarnation } from '../tlog/incarnation';
import { LogKeys } from '../tlog/log-keys';
import { currentLog } from '../tlog/log-store';
import { readPolicy } from '../tlog/policy-file';
import { assertDatabase, assertStopped } from './operator';

/**
 * The lines that others put into their policies about this server. Keys are derived from names, so a log's key is known before its first entry.
 * @param url at which others reach this server
 * @throws OperatorError, CryptoError
 */
export async function policyLines(config: Config, url: string): Promise<string[]> {
  await assertDatabase(config);
  const keys = new LogKeys(openRootKeys(config, { create: false }), config);
  const source = await withBytea(new DataSource({ ...dataSourceOptions(config, true), migrationsRun: false })).initialize();
  try {
    const hospitals = await source.getRepository(HospitalEntity).find({ order: { id: 'ASC' } });
    const lines = ['# Compare these keys by another way (telephone, paper) before you trust them.'];
    for (const { id, ledgerOrigin } of hospitals) {
      const origin = (await currentLog(source.manager, id))?.origin ?? ledgerOrigin;
      lines.push(`log ${formatVkey(keys.log(origin).key)}`);
    }
    const { key } = keys.witness;
    return [...lines, `witness ${key.name.split('/')[0] ?? key.name} ${formatVkey(key)} ${url.replace(/(?<!\/)\/+$/, '')}/witness`];
  } finally {
    await source.destroy();
  }
}

/**
 * Begins the next log of a hospital (`beginIncarnation`) in a data folder on which no server runs.
 * @param witnessed the former log's newest checkpoint as a witness shows it
 * @returns what to tell the operator
 * @throws OperatorError, ApiError, ConfigError, CryptoError; then nothing was changed
 */
export async function newIncarnation(config: Config, hospitalId: string, witnessed: string): Promise<string[]> {
  await assertStopped(config);
  const policy = readPolicy(config.ledger.policyFile);
  const { keys: rootKeys, sources } = await openFoundations(config);
  const database = new Database(sources);
  try {
    const keys = new LogKeys(rootKeys, config);
    const begun = await database.transaction((tx) => beginIncarnation(tx, { keys, policy }, hospitalId, witnessed));
    const { log, former, witnessedSize } = begun;
    return [
      `Log ${former.origin} ends. ${former.size} of its entries survived; ${witnessedSize} were witnessed.`,
      `Log ${log.origin} begins with them. Start the server; it places them in the background.`,
      'Give this line to your witnesses, who keep the former one, and to those who verify:',
      `log ${formatVkey(keys.log(log.origin).key)}`,
    ];
  } finally {
    await database.onApplicationShutdown();
  }
}
