import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown, Inject } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { describeError, LOGS, type Logs } from '../common/logger';
import { BlindIndex } from '../crypto/blind-index';
import { Database } from '../database/database';
import { queryRows } from '../database/dialect';

const MINUTE_MS = 60_000;
const SHARE_MS = 1_000;
/** A process keeps a client to itself until it has used a tenth of its limit: most never do, and cost the database nothing. */
const KEPT_SHARE = 0.1;
const MOST_CLIENTS = 50_000;
const MOST_SHARED = 1_000;

interface Count {
  /** Of this minute, in all processes as far as this one knows. */
  total: number;
  /** What of it the others do not know yet. */
  unsent: number;
}

/**
 * Counts requests by client and minute (SEC-33, SEC-72). Memory answers; processes on one database tell each other their sums, once a second, and at
 * once where passwords are guessed. A refused request is not counted, so a flood does not reach the database.
 */
@Injectable()
export class RateLimits implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly counts = new LRUCache<string, Count>({ max: MOST_CLIENTS });
  private readonly due = new Set<string>();
  private minute = 0;
  private purgedBefore = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: Database,
    private readonly blindIndex: BlindIndex,
    private readonly clock: Clock,
    @Inject(LOGS) private readonly logs: Logs,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      const clients = [...this.due].slice(0, MOST_SHARED);
      this.share(clients).catch((error: unknown) => this.logs.app.error({ err: describeError(error) }, 'request counts cannot be shared'));
    }, SHARE_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** Counts one request. @throws ApiError `too_many_requests` with Retry-After */
  pass(client: string, limit: number): void {
    const count = this.countOf(client);
    if (count.total >= limit) throw this.tooMany();
    count.total += 1;
    count.unsent += 1;
    if (count.total > limit * KEPT_SHARE) this.due.add(client);
  }

  /** The same, in all processes at once. @throws ApiError `too_many_requests`, `unavailable` */
  async passEverywhere(limits: ReadonlyMap<string, number>): Promise<void> {
    for (const [client, limit] of limits) this.pass(client, limit);
    await this.share([...limits.keys()]);
    for (const [client, limit] of limits) if (this.countOf(client).total > limit) throw this.tooMany();
  }

  private countOf(client: string): Count {
    const minute = Math.floor(this.clock.now() / MINUTE_MS);
    if (minute !== this.minute) {
      this.minute = minute;
      this.counts.clear();
      this.due.clear();
    }
    const known = this.counts.get(client);
    if (known) return known;
    const fresh = { total: 0, unsent: 0 };
    this.counts.set(client, fresh);
    return fresh;
  }

  private tooMany(): ApiError {
    const seconds = Math.ceil((MINUTE_MS - (this.clock.now() % MINUTE_MS)) / 1000);
    return new ApiError('too_many_requests', undefined, { headers: { 'retry-after': String(seconds) } });
  }

  /** Adds what these clients used here to the sums of all processes, and learns these, in one statement. */
  private async share(clients: readonly string[]): Promise<void> {
    if (clients.length === 0) return;
    const { minute } = this;
    const sent = clients.map((client) => {
      const count = this.countOf(client);
      const taken = { id: this.blindIndex.unique('all', 'rate_count.client', client), count, unsent: count.unsent };
      count.unsent = 0;
      this.due.delete(client);
      return taken;
    });
    const rows = sent.map(() => '(?, ?, ?)').join(', ');
    const text = `INSERT INTO "rate_count" ("minute", "client", "count") VALUES ${rows} ON CONFLICT ("minute", "client") DO UPDATE SET "count" = "rate_count"."count" + excluded."count" RETURNING "client", "count"`;
    const values = sent.flatMap(({ id, unsent }) => [minute, id, unsent]);
    const sums = await this.database
      .transaction(async (tx) => {
        if (this.purgedBefore < minute) await queryRows(tx, 'DELETE FROM "rate_count" WHERE "minute" < ?', [minute - 1]);
        return queryRows<{ client: Buffer; count: number }>(tx, text, values);
      })
      .catch((error: unknown) => {
        for (const { count, unsent } of sent) count.unsent += unsent;
        throw error;
      });
    this.purgedBefore = minute;
    const totals = new Map(sums.map(({ client, count }) => [client.toString('hex'), count]));
    // What was counted meanwhile is on top of the sum; an older answer than one that came before tells nothing new.
    for (const { id, count } of sent) count.total = Math.max(count.total, (totals.get(id.toString('hex')) ?? 0) + count.unsent);
  }
}
