import type { Driver, EntityManager, EntityMetadata, EntityTarget, ObjectLiteral, QueryRunner } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';

/**
 * Hot writes without a query builder. TypeORM's builders write numbers into the text of a statement, so each one is compiled anew; here the text
 * of a statement depends on the entity only, and the driver's statement cache serves every row.
 */
const inserts = new WeakMap<EntityMetadata, { readonly text: string; readonly columns: readonly ColumnMetadata[] }>();

type Dialect = 'sqlite' | 'postgres';

export function dialectOf({ dataSource }: EntityManager): Dialect {
  return dataSource.options.type === 'postgres' ? 'postgres' : 'sqlite';
}

const numbered = new Map<string, string>();

/**
 * Rows of a statement with a question mark for each value, as both databases understand it; PostgreSQL wants its places numbered. For statements that are
 * constants: each is remembered.
 */
export function queryRows<T>(manager: EntityManager, text: string, values: readonly unknown[]): Promise<T[]> {
  if (dialectOf(manager) === 'sqlite') return manager.query<T[]>(text, [...values]);
  let known = numbered.get(text);
  if (known === undefined) {
    let place = 0;
    numbered.set(text, (known = text.replace(/\?/g, () => `$${++place}`)));
  }
  return manager.query<T[]>(known, [...values]);
}

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

/** Inserts one whole row; every column of the entity must be given but those that the database counts up (`Counted`). */
export async function insertRow<T extends ObjectLiteral, Counted extends keyof T = never>(
  tx: EntityManager,
  entity: EntityTarget<T>,
  row: Omit<T, Counted>,
): Promise<void> {
  const { text, columns } = insertOf(tx, tx.dataSource.getMetadata(entity));
  await runnerOf(tx).query(
    text,
    columns.map((column) => stored(tx, column, row)),
  );
}

/** Updates the rows whose columns equal all of `where`; says how many. `where` must not be empty and holds no null: neither ever widens the match. */
export async function updateRows<T extends ObjectLiteral>(
  tx: EntityManager,
  entity: EntityTarget<T>,
  where: Partial<T>,
  changes: Partial<T>,
): Promise<number> {
  const metadata = tx.dataSource.getMetadata(entity);
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
 */
export async function selectRows<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityTarget<T>,
  columnName: keyof T & string,
  values: readonly unknown[],
): Promise<T[]> {
  if (values.length === 0) return [];
  const metadata = manager.dataSource.getMetadata(entity);
  const { driver } = manager.dataSource;
  const match = metadata.findColumnWithPropertyName(columnName);
  if (!match || values.some((value) => value === null || value === undefined)) throw new Error('rows are found by a column and its values');
  const names = metadata.columns.map((column) => driver.escape(column.databaseName)).join(', ');
  const places = values.map((_value, index) => driver.createParameter(match.databaseName, index)).join(', ');
  const text = `SELECT ${names} FROM ${driver.escape(metadata.tableName)} WHERE ${driver.escape(match.databaseName)} IN (${places})`;
  const parameters = values.map((value) => driver.preparePersistentValue(value, match) as unknown);
  return hydrated<T>(metadata, driver, await manager.query<Record<string, unknown>[]>(text, parameters));
}

function hydrated<T>(metadata: EntityMetadata, driver: Driver, rows: readonly Record<string, unknown>[]): T[] {
  return rows.map((row) => {
    const found: Record<string, unknown> = {};
    for (const column of metadata.columns)
      found[column.propertyName] = driver.prepareHydratedValue(row[column.databaseName], column) as unknown;
    return found as T;
  });
}
