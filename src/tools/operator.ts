import { existsSync } from 'node:fs';
import { dataSourceOptions, type Store } from '../../ormconfig';
import { isUnserved, isUnstarted } from '../database/postgres-schema';
import { isUnused } from '../database/unused';

/** What stops an operator's command; the message is for the operator. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}

/** @throws OperatorError unless there is a database: opening would make a new one with new keys */
export async function assertDatabase(config: Store): Promise<void> {
  const options = dataSourceOptions(config);
  if (options.type !== 'postgres') {
    if (!existsSync(config.sqlitePath))
      throw new OperatorError(`There is no database at ${config.sqlitePath} (set DATA_DIR or SQLITE_PATH)`);
  } else if (await isUnstarted(options)) throw new OperatorError('No server has started on the database of DATABASE_URL yet');
}

/** @throws OperatorError unless there is a database on which no server runs */
export async function assertStopped(config: Store): Promise<void> {
  await assertDatabase(config);
  const options = dataSourceOptions(config);
  const isFree = options.type === 'postgres' ? await isUnserved(options) : isUnused(config.sqlitePath);
  if (!isFree) throw new OperatorError('A server runs here; stop it first');
}
