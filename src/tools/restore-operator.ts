import { readFileSync } from 'node:fs';
import type { EntityManager } from 'typeorm';
import { RevocationEntity } from '../auth/session.entity';
import type { Config } from '../config/config';
import { KeyRing } from '../crypto/key-ring.service';
import { openRootKeys } from '../crypto/open-root-keys';
import { RowTagger } from '../crypto/row-tag';
import type { DataSources } from '../database/database';
import { postgresMigrations } from '../database/migrations/postgres';
import { sqliteMigrations } from '../database/migrations/sqlite';
import { useRowTags } from '../database/row-tags';
import type { BegunLog } from '../tlog/incarnation';
import { auditData, type AuditSummary, linesOf, linesOfLog, rowLinesOf, trailLinesOf } from './audit-data';
import { isWhole, verdictLine } from './audit-verdict';
import type { BackupFrame, BackupManifest } from './backup-format';
import { readBackup, type ReadBackup } from './backup-read';
import { backedUpTables, moveCounters, storeRows, tableOf } from './backup-tables';
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
}

export interface Restored extends ReadBackup {
  readonly summary: AuditSummary;
  readonly begun: readonly BegunLog[];
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
  try {
    const sources = await place.open();
    let backup: ReadBackup;
    let summary: AuditSummary;
    let begun: BegunLog[] = [];
    try {
      backup = await readBackup(options.from, options.keyFile, keys, (frame) => take(sources, frame));
      await sources.writer.transaction(moveCounters);
      useRowTags([sources.writer, sources.reader], new RowTagger(keys));
      await new KeyRing(keys).verifyRoot(sources.writer.manager);
      summary = await verify(place.aside, options, tell);
      const notes = [...shown, ...(await shownCheckpoints(sources.writer.manager, config))];
      begun = await sources.writer.transaction((tx) => beginLogs(tx, config, keys, notes, options));
      await sources.writer.transaction(endAccess);
    } catch (error) {
      for (const source of [sources.reader, sources.writer]) await source.destroy();
      throw error;
    }
    const { manifest, closing } = backup;
    await withTrail(place.aside, sources, (database, note) =>
      database.transaction((tx) =>
        note(tx, {
          action: 'backup.restore',
          kind: manifest.store,
          subjectId: manifest.id,
          reason: [options.moved ? 'moved' : 'new-logs', ...(isWhole(summary) ? [] : ['not-intact'])].join(' '),
          count: Object.values(closing.rows).reduce((sum, rows) => sum + rows, 0),
        }),
      ),
    );
    await place.goLive();
    return { ...backup, summary, begun };
  } catch (error) {
    await place.clear();
    throw error;
  }
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
