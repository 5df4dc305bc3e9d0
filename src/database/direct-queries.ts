import type Driver from 'better-sqlite3';
import { type DataSource, QueryFailedError, QueryResult, type QueryRunner } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';

const MAX_STATEMENTS = 500;

interface Prepared {
  readonly statement: Driver.Statement<unknown[]>;
  /** It gives rows. Asking the driver costs as much as a small statement. */
  readonly reader: boolean;
}

/**
 * SQLite: takes statements to the driver without TypeORM's ceremony around each one (subscribers, loggers, result objects), of which we use nothing and
 * which costs several times what a statement does. Prepared statements are kept by their text. What callers see is the same, builders included. To be
 * called after `initialize`; nothing changes on PostgreSQL.
 */
export function queryDirectly(source: DataSource): DataSource {
  if (source.options.type !== 'better-sqlite3') return source;
  const database = (source.driver as BetterSqlite3Driver).databaseConnection as Driver.Database;
  const statements = new Map<string, Prepared>();
  const preparedOf = (text: string): Prepared => {
    const known = statements.get(text);
    if (known) return known;
    if (statements.size >= MAX_STATEMENTS) statements.delete(statements.keys().next().value ?? '');
    const statement = database.prepare<unknown[]>(text);
    const made = { statement, reader: statement.reader };
    statements.set(text, made);
    return made;
  };
  const query = (text: string, values?: unknown[], structured = false): Promise<unknown> => {
    try {
      const { statement, reader } = preparedOf(text);
      const bound = values?.some(isBoolean) ? values.map((value) => (isBoolean(value) ? Number(value) : value)) : (values ?? []);
      const answer = reader ? statement.all(bound) : statement.run(bound);
      return Promise.resolve(structured ? resultOf(answer) : rawOf(answer));
    } catch (error) {
      return Promise.reject(new QueryFailedError(text, values, error as Error));
    }
  };
  const runner = source.createQueryRunner(); // this driver has one for its connection
  runner.query = query as QueryRunner['query'];
  return source;
}

/** SQLite has no booleans. */
function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean';
}

/** As TypeORM gives it: rows, or the id of the last row that was inserted. */
function rawOf(answer: unknown[] | Driver.RunResult): unknown {
  return Array.isArray(answer) ? answer : answer.lastInsertRowid;
}

function resultOf(answer: unknown[] | Driver.RunResult): QueryResult<unknown> {
  const result = new QueryResult<unknown>();
  result.raw = rawOf(answer);
  if (Array.isArray(answer)) result.records = answer;
  else result.affected = answer.changes;
  return result;
}
