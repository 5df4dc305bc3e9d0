import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { inPostgres, statementsInPostgres } from './postgres-words';

/** What tests use of better-sqlite3, so that one attack is tried on both databases. */
export interface RawDatabase {
  prepare(sql: string): RawStatement;
  exec(sql: string): unknown;
  transaction<A extends unknown[], T>(work: (...values: A) => T): (...values: A) => T;
  close(): unknown;
}
export interface RawStatement {
  all(...values: unknown[]): unknown[];
  get(...values: unknown[]): unknown;
  run(...values: unknown[]): { changes: number | bigint };
}

interface Answer {
  readonly rows: Record<string, unknown>[];
  readonly changes: number;
  readonly error?: string;
}

const WORKER = `
const { workerData: { pg, url, signal, port } } = require('node:worker_threads');
const { Client, types } = require(pg);
types.setTypeParser(types.builtins.INT8, Number);
const client = new Client({ connectionString: url });
const connected = client.connect();
port.on('message', async ({ sql, values }) => {
  let answer;
  try {
    await connected;
    if (sql === null) { await client.end(); port.close(); }
    const found = sql === null ? { rows: [] } : await client.query(sql, values.map((v) => (v instanceof Uint8Array ? Buffer.from(v) : v)));
    const { rows, rowCount } = Array.isArray(found) ? found.at(-1) : found;
    answer = { rows, changes: rowCount ?? 0 };
  } catch (error) {
    answer = { rows: [], changes: 0, error: error.message };
  }
  if (sql !== null) port.postMessage(answer);
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
});
`;

/** Synchronous access to PostgreSQL: another thread asks, this one stands still meanwhile. */
export class RawPostgres implements RawDatabase {
  private readonly signal = new Int32Array(new SharedArrayBuffer(4));
  private readonly port: MessagePort;

  constructor(url: string) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    port1.unref();
    const workerData = { pg: require.resolve('pg'), url, signal: this.signal, port: port2 };
    new Worker(WORKER, { eval: true, workerData, transferList: [port2] }).unref();
  }

  prepare(sql: string): RawStatement {
    const names = [...sql.matchAll(/@(\w+)/g)].map(([, name]) => name ?? '');
    const text = inPostgres(sql);
    const ask = (values: unknown[]): Answer => {
      const named = names.length > 0 ? (values[0] as Record<string, unknown>) : undefined;
      return this.ask(text, named ? names.map((name) => named[name]) : values);
    };
    return {
      all: (...values) => ask(values).rows,
      get: (...values) => ask(values).rows[0],
      run: (...values) => ({ changes: ask(values).changes }),
    };
  }

  exec(sql: string): void {
    for (const text of statementsInPostgres(sql)) this.ask(text, []);
  }

  transaction<A extends unknown[], T>(work: (...values: A) => T): (...values: A) => T {
    return (...values) => {
      this.ask('BEGIN', []);
      try {
        const value = work(...values);
        this.ask('COMMIT', []);
        return value;
      } catch (error) {
        this.ask('ROLLBACK', []);
        throw error;
      }
    };
  }

  close(): void {
    this.send(null, []);
  }

  /** Lets changes of this connection through that triggers and foreign keys refuse, as the owner of the server can. */
  skipTriggers(): void {
    this.ask('SET session_replication_role = replica', []);
  }

  private ask(sql: string, values: unknown[]): Answer {
    this.send(sql, values);
    const answer = (receiveMessageOnPort(this.port) as { message: Answer } | undefined)?.message;
    if (!answer) throw new Error('no answer');
    if (answer.error !== undefined) throw new Error(answer.error);
    for (const row of answer.rows)
      for (const [name, value] of Object.entries(row)) if (value instanceof Uint8Array) row[name] = Buffer.from(value);
    return answer;
  }

  private send(sql: string | null, values: unknown[]): void {
    Atomics.store(this.signal, 0, 0);
    this.port.postMessage({ sql, values });
    // Again after the waking call of the answer before, which may come late.
    while (Atomics.load(this.signal, 0) === 0)
      if (Atomics.wait(this.signal, 0, 0, 30_000) === 'timed-out') throw new Error('PostgreSQL does not answer');
  }
}
