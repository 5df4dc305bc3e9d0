import { randomUUID } from 'node:crypto';
import { Client, type ClientConfig, type QueryResult } from 'pg';
import { OneAtATime } from '../common/one-at-a-time';
import { ADVISORY } from './advisory-locks';
import { hangUp } from './direct-queries';

/** What processes on one database tell each other. Told again it must do no harm, and it may be lost: who needs to know looks for itself too, if later. */
export type News =
  | { readonly about: 'queued' }
  | { readonly about: 'revoked' }
  | { readonly about: 'erased' }
  | { readonly about: 'published'; readonly logId: number; readonly size: number }
  | { readonly about: 'halted'; readonly logId: number; readonly halt: string };

/** The other processes on the same database. */
export interface Peers {
  /** Whether this process does what one of them does for all: the first to ask, until it ends. */
  leads(): Promise<boolean>;
  tell(news: News): void;
  onTold(listener: (news: News) => void): void;
  close(): Promise<void>;
}

/** A SQLite file has one server: one process, or a cluster. Where somebody starts two, each step of what both do is safe, for it is one transaction. */
export class NoPeers implements Peers {
  leads(): Promise<boolean> {
    return Promise.resolve(true);
  }
  tell(): void {
    // nobody listens
  }
  onTold(): void {
    // nobody tells
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

const CHANNEL = 'bjwt_ehr';
const ANSWER_MS = 10_000;
/** What is not told is looked up. */
const MAX_UNTOLD = 1_000;

/**
 * PostgreSQL: a connection of its own that listens (`LISTEN`) and holds the leader's advisory lock. When it breaks, leadership is over, for the lock went
 * with it; the next question connects again.
 */
export class PostgresPeers implements Peers {
  private readonly listeners: ((news: News) => void)[] = [];
  /** A connection asks one thing at a time. */
  private readonly turns = new OneAtATime(MAX_UNTOLD);
  private connecting: Promise<Client> | undefined;
  /** Of which `connecting` is. */
  private current: Client | undefined;
  private leading: Client | undefined;
  private closed = false;
  /** So that this process does not hear itself. */
  private readonly self = randomUUID();

  constructor(private readonly store: ClientConfig) {
    this.connection().catch(() => undefined);
  }

  async leads(): Promise<boolean> {
    const client = await this.connection();
    return this.leading === client || this.turns.run(() => this.lead());
  }

  tell(news: News): void {
    const text = JSON.stringify({ from: this.self, news });
    this.turns.run(async () => this.ask(await this.connection(), 'SELECT pg_notify($1, $2)', [CHANNEL, text])).catch(() => undefined);
  }

  onTold(listener: (news: News) => void): void {
    this.listeners.push(listener);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.connecting?.then((client) => client.end()).catch(() => undefined);
  }

  private async lead(): Promise<boolean> {
    const client = await this.connection();
    const { rows } = await this.ask(client, 'SELECT pg_try_advisory_lock($1) AS led', [ADVISORY.leading]);
    const [row] = rows as { led: boolean }[];
    if (row?.led === true) this.leading = client;
    return row?.led === true;
  }

  /** A connection that does not answer is given up, and leadership with it. */
  private async ask(client: Client, text: string, values: unknown[]): Promise<QueryResult> {
    try {
      return await client.query(text, values);
    } catch (error) {
      await hangUp(client);
      throw error;
    }
  }

  private connection(): Promise<Client> {
    return (this.connecting ??= this.connect());
  }

  private async connect(): Promise<Client> {
    const client = new Client({ ...this.store, query_timeout: ANSWER_MS });
    const over = () => {
      if (this.leading === client) this.leading = undefined;
      if (this.current !== client) return; // it ends twice, and the next one may be there
      this.current = undefined;
      this.connecting = undefined;
    };
    this.current = client;
    client.on('error', over);
    client.on('end', over);
    client.on('notification', ({ payload }) => this.hear(payload));
    try {
      if (this.closed) throw new Error('closed');
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      return client;
    } catch (error) {
      over();
      void hangUp(client);
      throw error;
    }
  }

  private hear(payload: string | undefined): void {
    const heard = readNews(payload);
    if (!heard || heard.from === this.self) return;
    for (const listener of this.listeners) listener(heard.news);
  }
}

/** Null for what no process of ours says: whoever may connect to the database may notify. */
function readNews(payload = ''): { from: unknown; news: News } | null {
  try {
    const { from, news } = JSON.parse(payload) as { from?: unknown; news?: unknown };
    return isNews(news) ? { from, news } : null;
  } catch {
    return null;
  }
}

function isNews(value: unknown): value is News {
  if (typeof value !== 'object' || value === null) return false;
  const member = (name: string): unknown => Reflect.get(value, name);
  switch (member('about')) {
    case 'queued':
    case 'revoked':
    case 'erased':
      return true;
    case 'published':
      return Number.isSafeInteger(member('logId')) && Number.isSafeInteger(member('size'));
    case 'halted':
      return Number.isSafeInteger(member('logId')) && typeof member('halt') === 'string';
    default:
      return false;
  }
}
