import { existsSync } from 'node:fs';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import type { Config } from '../config/config';
import { loadKeyFiles } from '../crypto/key-files';
import { KeyRing } from '../crypto/key-ring.service';
import type { ChainVerdictResponse } from '../ledger/ledger.dto';
import { consentRows } from '../ledger/consent-rows';
import { recordRows } from '../record/record-rows';
import { verifyLedger } from '../ledger/verify-ledger';
import { auditTrail, type TrailVerdict } from '../ledger/verify-trail';

export interface AuditOptions {
  readonly patientId?: string;
  /** Leaves contents closed: for auditors who do not hold the keys. */
  readonly withoutKeys?: boolean;
}

export interface AuditSummary {
  readonly chains: number;
  readonly blocks: number;
  /** Chains that are neither VALID nor ERASED. */
  readonly bad: number;
  /** The trail against its batches; null when only one patient was asked for. */
  readonly trail: TrailVerdict | null;
  readonly seconds: number;
}

/** There is nothing here that could be verified; the message is for the operator. */
export class AuditError extends Error {
  override readonly name = 'AuditError';
}

/**
 * Walks every chain of a data folder, and the trail. The database is opened read-only: no migration, no write, no new key; it may run beside the server.
 * @throws AuditError when there is no database, it is not one of ours, or the asked patient has no chain; CryptoError when keys are missing or wrong
 */
export async function auditData(
  config: Pick<Config, 'sqlitePath' | 'keysDir'>,
  options: AuditOptions,
  tell: (verdict: ChainVerdictResponse) => void,
): Promise<AuditSummary> {
  if (!existsSync(config.sqlitePath)) throw new AuditError(`There is no database at ${config.sqlitePath} (set DATA_DIR or SQLITE_PATH)`);
  const keys = options.withoutKeys ? null : loadKeyFiles(config.keysDir, { create: false });
  const source = await openReadOnly(config.sqlitePath);
  try {
    const keyRing = keys && new KeyRing(keys);
    await keyRing?.verifyRoot(source.manager);
    return await walk(source, keyRing, options.patientId, tell);
  } finally {
    await source.destroy();
  }
}

async function walk(
  source: DataSource,
  keyRing: KeyRing | null,
  patientId: string | undefined,
  tell: (verdict: ChainVerdictResponse) => void,
): Promise<AuditSummary> {
  const start = performance.now();
  let [chains, blocks, bad] = [0, 0, 0];
  for await (const verdict of verifyLedger(source.manager, keyRing, [consentRows, recordRows], patientId)) {
    chains += 1;
    blocks += verdict.blocks;
    if (!isIntact(verdict)) bad += 1;
    tell(verdict);
  }
  if (patientId !== undefined && chains === 0) throw new AuditError(`No chain here is of patient ${patientId}`);
  const trail = patientId === undefined ? await auditTrail(source.manager) : null;
  return { chains, blocks, bad, trail, seconds: (performance.now() - start) / 1000 };
}

/** Nothing contradicts and nothing is missing that should be there. */
export function isIntact({ verdict }: Pick<ChainVerdictResponse, 'verdict'>): boolean {
  return verdict === 'VALID' || verdict === 'ERASED';
}

/** One line for the chain, one for each finding. */
export function linesOf({ verdict, patientId, blocks, height, headHash, findings }: ChainVerdictResponse): string[] {
  const head = height === null ? 'no head' : `head ${height} ${headHash ?? 'unknown'}`;
  const place = findings.map(
    (finding) =>
      `${verdict} patient ${patientId} height ${finding.height} field ${finding.field} ${finding.code}` +
      (finding.recordId === null ? '' : ` record ${finding.recordId}`),
  );
  return [`${verdict} patient ${patientId} blocks ${blocks} ${head}`, ...place.map((line) => `  ${line}`)];
}

/** The same for the trail. */
export function trailLinesOf({ verdict, batches, rows, open, findings, omitted }: TrailVerdict): string[] {
  const place = findings.map(
    ({ code, height, field, recordId }) =>
      `  ${verdict} batch ${height} field ${field} ${code}${recordId === undefined ? '' : ` id ${recordId}`}`,
  );
  const more = omitted > 0 ? [`  ${omitted} further findings`] : [];
  return [`${verdict} trail batches ${batches} rows ${rows} not yet sealed ${open}`, ...place, ...more];
}

async function openReadOnly(file: string): Promise<DataSource> {
  const source = new DataSource({ ...dataSourceOptions(file, true), migrationsRun: false });
  try {
    await source.initialize();
    const [row] = await source.query<{ found: number }[]>(
      `SELECT COUNT(*) AS "found" FROM sqlite_master WHERE type = 'table' AND name IN ('ledger_chain', 'ledger_block', 'ledger_content', 'author_key', 'trail_batch')`,
    );
    if (row?.found === 5) return source;
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    throw new AuditError(`${file} cannot be opened as a database${typeof code === 'string' ? ` (${code})` : ''}`);
  }
  await source.destroy();
  throw new AuditError(`${file} is not a database of BJWT-EHR, or its first start was not finished`);
}
