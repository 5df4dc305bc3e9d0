import type Database from 'better-sqlite3';
import { Client } from 'pg';
import { sqliteDriver } from '../../src/database/sqlite-options';

/** What is looked at each second (logs, erasures), and what processes tell each other. */
const BACKGROUND = /FROM "log" |FROM "erasure" |pg_notify|pg_try_advisory_lock/;

/** Calls `seen` for every SQL statement of this process, on whatever connection, until the returned function is called. */
export function watchStatements(seen: (sql: string) => void): () => void {
  const probe = new (sqliteDriver() as typeof Database)(':memory:');
  const patched: [object, string, unknown][] = [];
  const watch = (target: object, name: string, text: (self: unknown, argument: unknown) => string) => {
    const original = Reflect.get(target, name) as (...list: unknown[]) => unknown;
    patched.push([target, name, original]);
    Reflect.set(target, name, function (this: unknown, ...list: unknown[]) {
      seen(text(this, list[0]));
      return original.apply(this, list);
    });
  };
  const statement = Object.getPrototypeOf(probe.prepare('SELECT 1')) as object;
  for (const name of ['run', 'get', 'all', 'iterate']) watch(statement, name, (self) => String(Reflect.get(self as object, 'source')));
  watch(Object.getPrototypeOf(probe) as object, 'exec', (_self, sql) => String(sql));
  watch(Client.prototype, 'query', (_self, query) => (typeof query === 'string' ? query : (query as { text: string }).text));
  return () => {
    for (const [target, name, original] of patched) Reflect.set(target, name, original);
    probe.close();
  };
}

/** Every SQL statement that runs in this process while `work` does, but those of the log's own background work. */
export async function statementsOf(work: () => Promise<void>): Promise<string[]> {
  const seen: string[] = [];
  const stop = watchStatements((sql) => seen.push(sql));
  try {
    await work();
  } finally {
    stop();
  }
  return seen.filter((sql) => !BACKGROUND.test(sql));
}
