import type { Driver, EntityManager, EntityMetadata, EntityTarget, ObjectLiteral, QueryRunner } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { ApiError } from '../common/errors';
import { assertGenuine, countRows, isGenuine, newTag, tagColumn } from './row-tags';

/**
 * Hot writes without a query builder. TypeORM's builders write numbers into the text of a statement, so each one is compiled anew; here the text
 * of a statement depends on the entity only, and the driver's statement cache serves every row.
 */
const inserts = new WeakMap<EntityMetadata, { readonly text: string; readonly columns: readonly ColumnMetadata[] }>();

function runnerOf(tx: EntityManager): QueryRunner {
  if (!tx.queryRunner?.isTransactionActive) throw new Error('rows are written inside a transaction');
  return tx.queryRunner;
}

function stored(tx: EntityManager, column: ColumnMetadata, row: object): unknown {
  return tx.dataSource.driver.preparePersistentValue(Reflect.get(row, column.propertyName), column) as unknown;
}

function insertOf(tx: EntityManager, metadata: EntityMetadata): { readonly text: string; readonly columns: readonly ColumnMetadata[] } {
  const known = inserts.get(metadata);
  if (known) return known;
  const { driver } = tx.dataSource;
  const columns = metadata.columns.filter((column) => !column.isGenerated);
  const names = columns.map((column) => driver.escape(column.databaseName)).join(', ');
  const places = columns.map((column, index) => driver.createParameter(column.databaseName, index)).join(', ');
  const made = { text: `INSERT INTO ${driver.escape(metadata.tableName)} (${names}) VALUES (${places})`, columns };
  inserts.set(metadata, made);
  return made;
}

/**
 * Inserts one whole row; every column of the entity must be given but those that the database counts up (`Counted`) and the row's tag, which is made
 * here.
 */
export async function insertRow<T extends ObjectLiteral, Counted extends keyof T = never>(
  tx: EntityManager,
  entity: EntityTarget<T>,
  row: Omit<T, Counted | 'rowTag'>,
): Promise<void> {
  const metadata = tx.dataSource.getMetadata(entity);
  const { text, columns } = insertOf(tx, metadata);
  const rowTag = newTag(tx, metadata, row);
  const whole = rowTag ? { ...row, rowTag } : row;
  await runnerOf(tx).query(
    text,
    columns.map((column) => stored(tx, column, whole)),
  );
  await countRows(tx, metadata, [], [rowTag]);
}

/**
 * Updates the rows whose columns equal all of `where`; says how many. `where` must not be empty and holds no null: neither ever widens the match. Not
 * for tagged rows: see {@link updateRow}.
 */
export async function updateRows<T extends ObjectLiteral>(
  tx: EntityManager,
  entity: EntityTarget<T>,
  where: Partial<T>,
  changes: Partial<T>,
): Promise<number> {
  const metadata = tx.dataSource.getMetadata(entity);
  if (tagColumn(metadata)) throw new Error(`rows of ${metadata.tableName} are updated one by one, with their tags`);
  return update(tx, metadata, where, changes);
}

/**
 * Changes one tagged row and makes its tag anew; returns the row as it is then.
 * @param row as it was read and checked; where it is no longer so, nothing is written
 * @throws ApiError `unavailable` when it changed meanwhile
 */
export async function updateRow<T extends ObjectLiteral>(
  tx: EntityManager,
  entity: EntityTarget<T>,
  row: T,
  changes: Partial<T>,
): Promise<T> {
  const metadata = tx.dataSource.getMetadata(entity);
  const next = { ...row, ...changes };
  const [was, is] = [newTag(tx, metadata, row), newTag(tx, metadata, next)];
  const key = metadata.primaryColumns.map(({ propertyName }) => [propertyName, Reflect.get(row, propertyName) as unknown]);
  const where = { ...Object.fromEntries(key), rowTag: was } as Partial<T>;
  if ((await update(tx, metadata, where, { ...changes, rowTag: is })) !== 1)
    throw new ApiError('unavailable', 'The row changed meanwhile; try again');
  await countRows(tx, metadata, [was], [is]);
  return { ...next, rowTag: is };
}

/** Deletes the rows whose column has one of these values. Also altered ones: what is erased or done with must go. */
export async function deleteRows<T extends ObjectLiteral>(
  tx: EntityManager,
  entity: EntityTarget<T>,
  columnName: keyof T & string,
  values: readonly unknown[],
): Promise<void> {
  const metadata = tx.dataSource.getMetadata(entity);
  const rows = await storedRows(tx, entity, columnName, values);
  if (rows.length === 0) return;
  const { text, parameters } = matching(tx, metadata, columnName, values);
  await runnerOf(tx).query(`DELETE FROM ${tx.dataSource.driver.escape(metadata.tableName)} WHERE ${text}`, parameters);
  await countRows(
    tx,
    metadata,
    rows.map((row): unknown => row['rowTag']),
    [],
  );
}

async function update<T extends ObjectLiteral>(
  tx: EntityManager,
  metadata: EntityMetadata,
  where: Partial<T>,
  changes: Partial<T>,
): Promise<number> {
  const { driver } = tx.dataSource;
  const values: unknown[] = [];
  const assign = (part: Partial<T>): string[] =>
    Object.keys(part).map((name) => {
      const column = metadata.findColumnWithPropertyName(name);
      if (!column) throw new Error(`${metadata.name} has no column ${name}`);
      values.push(stored(tx, column, part));
      return `${driver.escape(column.databaseName)} = ${driver.createParameter(column.databaseName, values.length - 1)}`;
    });
  const set = assign(changes);
  const match = assign(where);
  if (match.length === 0 || Object.values(where).some((value) => value === null || value === undefined))
    throw new Error('an update needs a filter');
  const text = `UPDATE ${driver.escape(metadata.tableName)} SET ${set.join(', ')} WHERE ${match.join(' AND ')}`;
  const result = await runnerOf(tx).query(text, values, true);
  return result.affected ?? 0;
}

/**
 * The rows whose column has one of these values, in no order. The counterpart for hot reads: a builder costs several times what the statement does.
 * Not for lists: they page, sort and filter.
 * @throws CryptoError `row_rejected` when one of them is not as this server wrote it
 */
export async function selectRows<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityTarget<T>,
  columnName: keyof T & string,
  values: readonly unknown[],
): Promise<T[]> {
  return checkedRows(manager, entity, await storedRows(manager, entity, columnName, values));
}

/** Those of the rows that are as this server wrote them: where one of somebody else’s making must not stop what is done with the others. Nobody is told. */
export function genuineRows<T extends ObjectLiteral>(manager: EntityManager, entity: EntityTarget<T>, rows: readonly T[]): T[] {
  const metadata = manager.dataSource.getMetadata(entity);
  return rows.filter((row) => isGenuine(manager.dataSource, metadata, row));
}

/**
 * The same rows, which a builder read whole. For tagged entities nothing may be believed that did not pass here or through {@link selectRows}.
 * @throws CryptoError `row_rejected` when one of them is not as this server wrote it
 */
export function checkedRows<T extends ObjectLiteral>(manager: EntityManager, entity: EntityTarget<T>, rows: T[]): T[] {
  return assertGenuine(manager.dataSource, manager.dataSource.getMetadata(entity), rows);
}

/** The same as they are stored, whoever wrote them: for verifiers, which report what does not fit instead of stopping at it. */
export async function storedRows<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityTarget<T>,
  columnName: keyof T & string,
  values: readonly unknown[],
): Promise<T[]> {
  if (values.length === 0) return [];
  const metadata = manager.dataSource.getMetadata(entity);
  const { driver } = manager.dataSource;
  const names = metadata.columns.map((column) => driver.escape(column.databaseName)).join(', ');
  const { text, parameters } = matching(manager, metadata, columnName, values);
  const rows = await manager.query<Record<string, unknown>[]>(
    `SELECT ${names} FROM ${driver.escape(metadata.tableName)} WHERE ${text}`,
    parameters,
  );
  return hydrated<T>(metadata, driver, rows);
}

/** A condition whose text depends on the number of the values only. */
function matching(
  manager: EntityManager,
  metadata: EntityMetadata,
  columnName: string,
  values: readonly unknown[],
): { readonly text: string; readonly parameters: unknown[] } {
  const { driver } = manager.dataSource;
  const match = metadata.findColumnWithPropertyName(columnName);
  if (!match || values.some((value) => value === null || value === undefined)) throw new Error('rows are found by a column and its values');
  const places = values.map((_value, index) => driver.createParameter(match.databaseName, index)).join(', ');
  return {
    text: `${driver.escape(match.databaseName)} IN (${places})`,
    parameters: values.map((value) => driver.preparePersistentValue(value, match) as unknown),
  };
}

function hydrated<T>(metadata: EntityMetadata, driver: Driver, rows: readonly Record<string, unknown>[]): T[] {
  return rows.map((row) => {
    const found: Record<string, unknown> = {};
    for (const column of metadata.columns)
      found[column.propertyName] = driver.prepareHydratedValue(row[column.databaseName], column) as unknown;
    return found as T;
  });
}
