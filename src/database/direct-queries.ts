import type Driver from 'better-sqlite3';
import { type DataSource, QueryFailedError, QueryResult, type QueryRunner } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';

const MAX_STATEMENTS = 500;

/**
 * SQLite: takes statements to the driver without TypeORM's ceremony around each one (subscribers, loggers, result objects), of which we use nothing and
 * which costs several times what a statement does. Prepared statements are kept by their text. What callers see is the same, builders included. To be
 * called after `initialize`; nothing changes on PostgreSQL.
 */
export function queryDirectly(source: DataSource): DataSource {
  if (source.options.type !== 'better-sqlite3') return source;
  const database = (source.driver as BetterSqlite3Driver).databaseConnection as Driver.Database;
  const statements = new Map<string, Driver.Statement<unknown[]>>();
  const statementOf = (text: string): Driver.Statement<unknown[]> => {
    const known = statements.get(text);
    if (known) return known;
    if (statements.size >= MAX_STATEMENTS) statements.delete(statements.keys().next().value ?? '');
    const made = database.prepare(text);
    statements.set(text, made);
    return made;
  };
  const query = (text: string, values: unknown[] = [], structured = false): Promise<unknown> => {
    try {
      const answer = run(statementOf(text), values);
      return Promise.resolve(structured ? answer : answer.raw);
    } catch (error) {
      return Promise.reject(new QueryFailedError(text, values, error as Error));
    }
  };
  const runner = source.createQueryRunner(); // this driver has one for its connection
  runner.query = query as QueryRunner['query'];
  return source;
}

function run(statement: Driver.Statement<unknown[]>, values: readonly unknown[]): QueryResult<unknown> {
  const bound = values.map((value) => (typeof value === 'boolean' ? Number(value) : value)); // SQLite has no booleans
  const result = new QueryResult<unknown>();
  if (statement.reader) result.raw = result.records = statement.all(...bound);
  else {
    const { changes, lastInsertRowid } = statement.run(...bound);
    result.affected = changes;
    result.raw = lastInsertRowid;
  }
  return result;
}
