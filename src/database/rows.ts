import type { EntityManager, EntityTarget, ObjectLiteral, QueryRunner } from 'typeorm';
import { ApiError } from '../common/errors';
import { type RowShape, type ShapeColumn, shapeOf } from './row-shape';
import { assertGenuine, countRows, isGenuine, newTag } from './row-tags';

/*
 * Hot reads and writes without a query builder. TypeORM's builders write numbers into the text of a statement, so each one is compiled anew; here the text
 * of a statement depends on the entity only, and one prepared statement serves every row.
 */

function runnerOf(tx: EntityManager): QueryRunner {
  if (!tx.queryRunner?.isTransactionActive) throw new Error('rows are written inside a transaction');
  return tx.queryRunner;
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
  const shape = shapeOf(tx, entity);
  const rowTag = newTag(tx, shape, row);
  const whole = rowTag ? { ...row, rowTag } : row;
  const values = shape.inserted.map(({ property, toStored }) => toStored(Reflect.get(whole, property)));
  await runnerOf(tx).query(shape.insertText, values);
  await countRows(tx, shape.metadata, [], [rowTag]);
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
  const shape = shapeOf(tx, entity);
  if (shape.isTagged) throw new Error(`rows of ${shape.table} are updated one by one, with their tags`);
  return update(tx, shape, where, changes);
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
  const shape = shapeOf(tx, entity);
  const next = { ...row, ...changes };
  const [was, is] = [newTag(tx, shape, row), newTag(tx, shape, next)];
  const key = shape.metadata.primaryColumns.map(({ propertyName }) => [propertyName, Reflect.get(row, propertyName) as unknown]);
  const where = { ...Object.fromEntries(key), rowTag: was } as Partial<T>;
  if ((await update(tx, shape, where, { ...changes, rowTag: is })) !== 1)
    throw new ApiError('unavailable', 'The row changed meanwhile; try again');
  await countRows(tx, shape.metadata, [was], [is]);
  return { ...next, rowTag: is };
}

/** Deletes the rows whose column has one of these values. Also altered ones: what is erased or done with must go. */
export async function deleteRows<T extends ObjectLiteral>(
  tx: EntityManager,
  entity: EntityTarget<T>,
  columnName: keyof T & string,
  values: readonly unknown[],
): Promise<void> {
  const shape = shapeOf(tx, entity);
  const rows = await storedRows(tx, entity, columnName, values);
  if (rows.length === 0) return;
  const column = shape.column(columnName);
  await runnerOf(tx).query(shape.deleteText(column, values.length), sought(column, values));
  await countRows(
    tx,
    shape.metadata,
    rows.map((row): unknown => row['rowTag']),
    [],
  );
}

async function update<T extends ObjectLiteral>(
  tx: EntityManager,
  shape: RowShape,
  where: Partial<T>,
  changes: Partial<T>,
): Promise<number> {
  const [set, match] = [changes, where].map((part) => Object.keys(part).map((property) => shape.column(property)));
  if (!set || !match?.length || Object.values(where).some((value) => value === null || value === undefined))
    throw new Error('an update needs a filter');
  const valuesOf = (part: Partial<T>, columns: readonly ShapeColumn[]): unknown[] =>
    columns.map(({ property, toStored }) => toStored(Reflect.get(part, property)));
  const result = await runnerOf(tx).query(shape.updateText(set, match), [...valuesOf(changes, set), ...valuesOf(where, match)], true);
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
  const shape = shapeOf(manager, entity);
  return rows.filter((row) => isGenuine(manager.dataSource, shape, row));
}

/**
 * The same rows, which a builder read whole. For tagged entities nothing may be believed that did not pass here or through {@link selectRows}.
 * @throws CryptoError `row_rejected` when one of them is not as this server wrote it
 */
export function checkedRows<T extends ObjectLiteral>(manager: EntityManager, entity: EntityTarget<T>, rows: T[]): T[] {
  return assertGenuine(manager.dataSource, shapeOf(manager, entity), rows);
}

/** The same as they are stored, whoever wrote them: for verifiers, which report what does not fit instead of stopping at it. */
export async function storedRows<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityTarget<T>,
  columnName: keyof T & string,
  values: readonly unknown[],
): Promise<T[]> {
  if (values.length === 0) return [];
  const shape = shapeOf(manager, entity);
  const column = shape.column(columnName);
  const rows = await manager.query<Record<string, unknown>[]>(shape.selectText(column, values.length), sought(column, values));
  return rows.map((row) => shape.read(row) as T);
}

function sought(column: ShapeColumn, values: readonly unknown[]): unknown[] {
  if (values.some((value) => value === null || value === undefined)) throw new Error('rows are found by a column and its values');
  return values.map(column.toStored);
}
