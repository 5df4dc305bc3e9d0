import { setTimeout as sleep } from 'node:timers/promises';
import type Sqlite from 'better-sqlite3';
import type { Client, Connection, QueryResult as PgResult } from 'pg';
import { type DataSource, QueryFailedError, QueryResult, type QueryRunner } from 'typeorm';
import type { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';

const MAX_STATEMENTS = 500;
const HANG_UP_MS = 1_000;

type Query = (text: string, values?: unknown[], structured?: boolean) => Promise<unknown>;

/**
 * Takes statements to the driver without TypeORM's ceremony around each one (subscribers, loggers, result objects), of which we use nothing and which costs
 * several times what a statement does, and prepares each text once. What callers see is the same, builders included. To be called after `initialize`.
 */
export function queryDirectly(source: DataSource): DataSource {
  const { driver } = source;
  if (source.options.type === 'better-sqlite3') {
    const runner = source.createQueryRunner(); // this driver has one for its connection
    runner.query = sqliteQuery((driver as BetterSqlite3Driver).databaseConnection as Sqlite.Database) as QueryRunner['query'];
  } else {
    const create = driver.createQueryRunner.bind(driver);
    driver.createQueryRunner = (mode) => {
      const runner = create(mode);
      runner.query = postgresQuery(runner) as QueryRunner['query'];
      return runner;
    };
  }
  return source;
}

interface Prepared {
  readonly statement: Sqlite.Statement<unknown[]>;
  /** It gives rows. Asking the driver costs as much as a small statement. */
  readonly reader: boolean;
}

function sqliteQuery(database: Sqlite.Database): Query {
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
  return (text, values, structured = false) => {
    try {
      const { statement, reader } = preparedOf(text);
      const bound = values?.some(isBoolean) ? values.map((value) => (isBoolean(value) ? Number(value) : value)) : (values ?? []);
      if (reader) {
        const rows = statement.all(bound);
        return Promise.resolve(structured ? resultOf(rows, rows, undefined) : rows);
      }
      const { changes, lastInsertRowid } = statement.run(bound);
      return Promise.resolve(structured ? resultOf(lastInsertRowid, [], changes) : lastInsertRowid);
    } catch (error) {
      return Promise.reject(new QueryFailedError(text, values, error as Error));
    }
  };
}

/** SQLite has none. */
function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean';
}

/** Names of prepared statements, the same on every connection. */
const names = new Map<string, string>();

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= MAX_STATEMENTS) return known;
  const name = `s${names.size}`;
  names.set(text, name);
  return name;
}

function postgresQuery(runner: QueryRunner): Query {
  return async (text, values, structured = false) => {
    const client = (await runner.connect()) as Client;
    try {
      const name = nameOf(text);
      const answer: PgResult<Record<string, unknown>> = await client.query({
        ...(name !== undefined && { name }),
        text,
        values: values ?? [],
      });
      // To commit a transaction of which a statement failed is to roll it back, and PostgreSQL says so in the command's name only.
      if (text === 'COMMIT' && answer.command !== 'COMMIT')
        throw new Error('A statement failed in this transaction: nothing of it was stored');
      const raw = rawOf(answer);
      return structured ? resultOf(raw, answer.rows, answer.rowCount ?? undefined) : raw;
    } catch (error) {
      if (text === 'ROLLBACK' || isSilence(error)) await hangUp(client);
      throw new QueryFailedError(text, values, error as Error);
    }
  };
}

/** What `query_timeout` throws. */
function isSilence(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/**
 * Nobody else gets this connection: it says nothing any more, or its transaction may still be open. Resolves when the client knows that it has ended, for
 * then the pool does not hand it on.
 */
export async function hangUp(client: Client): Promise<void> {
  const { stream } = (client as unknown as { connection: Connection }).connection;
  if (stream.destroyed) return;
  const ended = new Promise<void>((resolve) => void client.once('end', resolve));
  stream.destroy();
  await Promise.race([ended, sleep(HANG_UP_MS, undefined, { ref: false })]);
}

/** As TypeORM gives it. */
function rawOf({ command, rows, rowCount }: PgResult): unknown {
  return command === 'UPDATE' || command === 'DELETE' ? [rows, rowCount] : rows;
}

function resultOf(raw: unknown, records: unknown[], affected: number | undefined): QueryResult<unknown> {
  const result = new QueryResult<unknown>();
  return Object.assign(result, { raw, records }, affected === undefined ? {} : { affected });
}
