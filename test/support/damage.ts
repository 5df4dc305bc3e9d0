import type { Store } from '../../ormconfig';
import type { ChainVerdict } from '../../src/ledger/verify-ledger';
import type { LogReport } from '../../src/tlog/log-report';
import { auditData, type AuditOptions, type AuditSummary, isIntact } from '../../src/tools/audit-data';
import { copyOf, openAsOwner } from './database-copy';
import type { RawDatabase } from './raw-database';
import type { TestApp } from './test-app';

export interface Audited {
  readonly summary: AuditSummary;
  readonly chains: ChainVerdict[];
  readonly logs: LogReport[];
  /** `<patient> <code> <height> <field>` of every finding in a chain. */
  readonly inChains: string[];
  /** `<code> <index> <field>` of every finding in a log. */
  readonly inLogs: string[];
}

/** An audit of a data folder whose server was stopped. */
export async function audited(app: Pick<TestApp, 'foundations'>, options: AuditOptions = {}, store?: Store): Promise<Audited> {
  const chains: ChainVerdict[] = [];
  const logs: LogReport[] = [];
  const config = { ...app.foundations.config, ...store };
  const summary = await auditData(config, { threads: 0, ...options, tellLog: (log) => logs.push(log) }, (chain) => chains.push(chain));
  const inChains = chains.flatMap((chain) => chain.findings.map((one) => `${chain.patientId} ${one.code} ${one.height} ${one.field}`));
  const inLogs = logs.flatMap((log) => log.findings.map((one) => `${one.code} ${one.index} ${one.field}`));
  expect(summary).toMatchObject({
    bad: chains.filter((one) => !isIntact(one)).length,
    badLogs: logs.filter((one) => one.findings.length > 0).length,
  });
  return { summary, chains, logs, inChains, inLogs };
}

/** Audits a copy of the database on which somebody who owns the file did `change`, past all triggers. */
export async function damaged(
  app: Pick<TestApp, 'foundations' | 'dir'>,
  change: (db: RawDatabase) => void,
  options: AuditOptions = {},
): Promise<Audited> {
  const copy = await copyOf(app);
  const db = openAsOwner(copy);
  db.transaction(change)(db);
  db.close();
  return audited(app, options, copy);
}
