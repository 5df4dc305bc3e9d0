import { readFileSync } from 'node:fs';
import type { EntityManager } from 'typeorm';
import { openFoundations } from '../app';
import { RevocationEntity } from '../auth/session.entity';
import type { Config } from '../config/config';
import { openRootKeys } from '../crypto/open-root-keys';
import type { DataSources } from '../database/database';
import { postgresMigrations } from '../database/migrations/postgres';
import { sqliteMigrations } from '../database/migrations/sqlite';
import type { ExecutedErasure } from '../erasure/erasures.service';
import type { BegunLog } from '../tlog/incarnation';
import { auditData, type AuditSummary, linesOf, linesOfLog, rowLinesOf, trailLinesOf } from './audit-data';
import { isWhole, verdictLine } from './audit-verdict';
import type { BackupFrame, BackupManifest } from './backup-format';
import { readBackup, type ReadBackup } from './backup-read';
import { backedUpTables, moveCounters, storeRows, tableOf } from './backup-tables';
import { readErasures, repeatErasures } from './erasure-list';
import { withTrail } from './keys-operator';
import { OperatorError } from './operator';
import { beginLogs, shownCheckpoints } from './restore-logs';
import { restorePlace } from './restore-place';

type Tell = (line: string) => void;

export interface RestoreOptions {
  readonly from: string;
  /** The private half of the backup key. */
  readonly keyFile: string;
  /** Nothing was written since the backup was made: the logs go on. */
  readonly moved: boolean;
  /** Makes the data live although the verification found something. */
  readonly acceptFindings: boolean;
  /** Files with the newest checkpoints of the logs, as witnesses show them. */
  readonly witnessed: readonly string[];
  /** Files with checkpoints that somebody kept: the restored logs must begin with their trees. */
  readonly trust: readonly string[];
  /** Files with lists of executed erasures: those that the backup does not know are executed again. */
  readonly erasures: readonly string[];
}

export interface Restored extends ReadBackup {
  readonly summary: AuditSummary;
  readonly begun: readonly BegunLog[];
  readonly erased: readonly ExecutedErasure[];
}

/** Reads a backup to its end and restores nothing. @throws OperatorError, CryptoError when anything is not as it was written */
export async function checkBackup(config: Config, { from, keyFile }: Pick<RestoreOptions, 'from' | 'keyFile'>): Promise<ReadBackup> {
  return readBackup(from, keyFile, openRootKeys(config, { create: false }), () => Promise.resolve());
}

/**
 * Restores a backup into an empty place: aside first, then verified as `npm run audit` does, and made live in one step. Whatever stops it, the place is empty
 * still.
 * @throws OperatorError, CryptoError, AuditError, ConfigError
 */
export async function restoreBackup(config: Config, options: RestoreOptions, tell: Tell): Promise<Restored> {
  const place = await restorePlace(config);
  const keys = openRootKeys(config, { create: false });
  const shown = options.witnessed.map((file) => readFileSync(file, 'utf8'));
  const erasures = options.erasures.flatMap((file) => readErasures(file, keys));
  try {
    const backup = await load(await place.open(), (use) => readBackup(options.from, options.keyFile, keys, use));
    const summary = await verify(place.aside, options, tell);
    const erased = erasures.length === 0 ? [] : await repeatErasures(place.aside, erasures);
    const begun = await settle(place.aside, backup, options, shown, summary);
    await place.goLive();
    return { ...backup, summary, begun, erased };
  } finally {
    await place.clear();
  }
}

/** Fills the empty tables aside, and closes them. */
async function load(
  sources: DataSources,
  readAll: (use: (frame: BackupFrame) => Promise<void>) => Promise<ReadBackup>,
): Promise<ReadBackup> {
  try {
    const backup = await readAll((frame) => take(sources, frame));
    await sources.writer.transaction(moveCounters);
    return backup;
  } finally {
    for (const source of [sources.reader, sources.writer]) await source.destroy();
  }
}

/** What a restored state needs before anybody works on it: logs that contradict nothing, no open sign-ins, and a row on its trail. */
async function settle(
  aside: Config,
  { manifest, closing }: ReadBackup,
  { moved }: RestoreOptions,
  shown: readonly string[],
  summary: AuditSummary,
): Promise<BegunLog[]> {
  const { keys, sources } = await openFoundations(aside);
  return withTrail(aside, sources, async (database, note) => {
    const { writer } = sources; // not the server's queue of units, which have a time limit: a log may be large
    const notes = [...shown, ...(await shownCheckpoints(writer.manager, aside))];
    const begun = await writer.transaction((tx) => beginLogs(tx, aside, keys, notes, { moved }));
    await writer.transaction(endAccess);
    const count = Object.values(closing.rows).reduce((sum, rows) => sum + rows, 0);
    const reason = [moved ? 'moved' : 'new-logs', ...(isWhole(summary) ? [] : ['not-intact'])].join(' ');
    await database.transaction((tx) => note(tx, { action: 'backup.restore', kind: manifest.store, subjectId: manifest.id, reason, count }));
    return begun;
  });
}

async function take({ writer }: DataSources, frame: BackupFrame): Promise<void> {
  if (frame.kind === 'manifest') assertSameRelease(frame.manifest, [...backedUpTables(writer).values()].map(tableOf));
  if (frame.kind === 'rows') await writer.transaction((tx) => storeRows(tx, frame.table, frame.rows));
}

/** @throws OperatorError when the rows mean, or may mean, something else here */
function assertSameRelease({ store, migrations, tables }: BackupManifest, ours: BackupManifest['tables']): void {
  const known = (store === 'postgres' ? postgresMigrations : sqliteMigrations).map(({ name }) => name);
  if (migrations.join() !== known.join() || JSON.stringify(tables) !== JSON.stringify(ours))
    throw new OperatorError('The backup was made by another release: restore it with that one, and upgrade then');
}

/** As `npm run audit` with keys. */
async function verify(aside: Config, { trust, acceptFindings }: RestoreOptions, tell: Tell): Promise<AuditSummary> {
  const summary = await auditData(aside, { trust, tellLog: (report) => linesOfLog(report).forEach(tell) }, (chain) => {
    if (chain.verdict !== 'VALID') linesOf(chain).forEach(tell);
  });
  if (summary.trail) trailLinesOf(summary.trail).forEach(tell);
  if (summary.rows) rowLinesOf(summary.rows).forEach(tell);
  tell(verdictLine(summary));
  if (!isWhole(summary) && !acceptFindings)
    throw new OperatorError('What was restored is not intact; --accept-findings would make it live all the same');
  return summary;
}

/** Who was signed in at the time of the backup, and may have been locked or have left since, signs in again. */
async function endAccess(tx: EntityManager): Promise<void> {
  const now = Date.now();
  await tx.getRepository(RevocationEntity).upsert({ subject: '*', notBefore: now + 1, updatedAt: now }, ['subject']);
}
