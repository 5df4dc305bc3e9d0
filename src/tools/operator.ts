import { existsSync } from 'node:fs';
import type { Config } from '../config/config';
import { isUnused } from '../database/unused';

/** What stops an operator's command; the message is for the operator. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}

/** @throws OperatorError unless there is a database: opening would make a new one with new keys */
export function assertDatabase({ sqlitePath, postgres }: Pick<Config, 'sqlitePath' | 'postgres'>): void {
  if (!postgres && !existsSync(sqlitePath)) throw new OperatorError(`There is no database at ${sqlitePath} (set DATA_DIR or SQLITE_PATH)`);
}

/** @throws OperatorError unless there is a database on which no server runs */
export function assertStopped(config: Pick<Config, 'sqlitePath' | 'postgres'>): void {
  assertDatabase(config);
  if (!isUnused(config.sqlitePath)) throw new OperatorError('A server runs on this data folder; stop it first');
}
