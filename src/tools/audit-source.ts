import { existsSync } from 'node:fs';
import { DataSource } from 'typeorm';
import { dataSourceOptions, type Store } from '../../ormconfig';
import type { Config } from '../config/config';
import { KeyRing } from '../crypto/key-ring.service';
import { openRootKeys } from '../crypto/open-root-keys';
import { RowTagger } from '../crypto/row-tag';
import { withBytea } from '../database/postgres-options';
import { useRowTags } from '../database/row-tags';
import { erasureRows } from '../erasure/erasure-rows';
import { consentRows } from '../ledger/consent-rows';
import type { RowKeeper } from '../ledger/row-keeper';
import { recordRows } from '../record/record-rows';
import type { LogTrust } from '../tlog/log-checkpoints';
import { LogKeys } from '../tlog/log-keys';
import { readPolicy } from '../tlog/policy-file';

/** There is nothing here that could be verified; the message is for the operator. */
export class AuditError extends Error {
  override readonly name = 'AuditError';
}

/** What an audit opens. Plain values: it is handed to other threads, and each opens its own. */
export interface AuditSetup {
  readonly config: Pick<Config, 'sqlitePath' | 'postgres' | 'keysDir' | 'pkcs11' | 'ledger'>;
  /** Leaves contents closed: for auditors who do not hold the keys. */
  readonly withoutKeys: boolean;
  /** The auditor's own policy (C2SP tlog-policy): keys of logs, witnesses, quorum. A log that it does not name is not believed. Null: the server's own, with keys derived from the key files. */
  readonly policyFile: string | null;
}

/** An open data folder. */
export interface AuditSource {
  readonly source: DataSource;
  readonly keyRing: KeyRing | null;
  /** Null without keys: then rows that no block speaks about stay unchecked. */
  readonly tagger: RowTagger | null;
  readonly trust: LogTrust;
}

/** Whose rows are compared with the blocks: all that the server has. */
export const ROW_KEEPERS: readonly RowKeeper[] = [consentRows, recordRows, erasureRows];

/**
 * Opens the database read-only: no migration, no write, no new key; it may run beside the server.
 * @throws AuditError when there is no database or it is not one of ours; CryptoError when keys are missing or wrong; ConfigError for a bad policy
 */
export async function openAuditSource({ config, withoutKeys, policyFile }: AuditSetup): Promise<AuditSource> {
  if (!config.postgres && !existsSync(config.sqlitePath))
    throw new AuditError(`There is no database at ${config.sqlitePath} (set DATA_DIR or SQLITE_PATH)`);
  const keys = withoutKeys ? null : openRootKeys(config, { create: false });
  const policy = policyFile === null ? readPolicy(config.ledger.policyFile) : readPolicy(policyFile, '--policy');
  const derived = keys && new LogKeys(keys, config);
  const source = await openReadOnly(config);
  try {
    const keyRing = keys && new KeyRing(keys);
    await keyRing?.verifyRoot(source.manager);
    const tagger = keys && new RowTagger(keys);
    useRowTags([source], tagger);
    const policyFor = (origin: string) => {
      const named = policy.logs.filter(({ key }) => key.name === origin);
      // Who brings a policy believes nobody else: the keys in the folder could sign for a log of any name.
      if (policyFile !== null || named.length > 0) return { ...policy, logs: named };
      return derived ? { ...policy, logs: [{ key: derived.log(origin).key }] } : null;
    };
    return { source, keyRing, tagger, trust: { policyFor } };
  } catch (error) {
    await source.destroy();
    throw error;
  }
}

const TABLES_OF = {
  sqlite: `sqlite_master WHERE type = 'table' AND name`,
  postgres: 'pg_tables WHERE schemaname = current_schema() AND tablename',
};

async function openReadOnly(store: Store): Promise<DataSource> {
  const source = withBytea(new DataSource({ ...dataSourceOptions(store, true), migrationsRun: false }));
  const place = store.postgres ? 'The database of DATABASE_URL' : store.sqlitePath;
  try {
    await source.initialize();
    const [row] = await source.query<{ found: number }[]>(
      `SELECT COUNT(*) AS "found" FROM ${store.postgres ? TABLES_OF.postgres : TABLES_OF.sqlite} IN ('ledger_chain', 'ledger_block', 'ledger_content', 'author_key', 'log')`,
    );
    if (row?.found === 5) return source;
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    throw new AuditError(`${place} cannot be opened as a database${typeof code === 'string' ? ` (${code})` : ''}`);
  }
  await source.destroy();
  throw new AuditError(`${place} is not a database of BJWT-EHR, or its first start was not finished`);
}
