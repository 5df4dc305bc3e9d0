import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { describeError, LOGS, type Logs } from '../common/logger';
import { CONFIG, type Config } from '../config/config';
import { Database } from '../database/database';
import { SOON } from '../database/executor';
import { RevocationEntity } from './session.entity';

const POLL_MS = 1_000;
const STALE_MS = 10_000;
/** Re-read a little of what was read before: a writer may commit after a reader with a later clock. */
const OVERLAP_MS = 60_000;

/** What a token says that a revocation can speak about. */
export interface RevocableClaims {
  readonly ep: number;
  readonly sub: string;
  readonly sid: string;
  readonly ten: string | null;
}

/**
 * Ends access tokens at once, without a query per request. A token carries the instant of its issue as `ep`; a revocation says that tokens of a subject
 * before an instant are void; the latest of all that apply counts. Revocations are held in memory, written in the transaction of the act that
 * causes them, pushed after its commit and polled each second for what other processes wrote. Cut off from the database for 10 s, it fails closed.
 */
@Injectable()
export class RevocationsService implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly notBefore = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;
  private seenUntil = 0;
  private freshAt = 0;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGS) private readonly logs: Logs,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.poll();
    const pollOrTell = () => {
      this.poll().catch((error: unknown) => this.logs.app.error({ err: describeError(error) }, 'revocations cannot be read'));
    };
    this.database.peers.onTold(({ about }) => about === 'revoked' && pollOrTell());
    this.timer = setInterval(pollOrTell, POLL_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** Voids all access tokens of the subject that were issued up to now; takes effect with the commit of `tx`. */
  async revoke(tx: EntityManager, subject: string): Promise<void> {
    const now = this.clock.now();
    const notBefore = Math.max(now, this.notBefore.get(subject) ?? 0) + 1;
    await tx.getRepository(RevocationEntity).upsert({ subject, notBefore, updatedAt: now }, ['subject']);
    this.database.afterCommit(() => {
      this.learn(subject, notBefore);
      this.database.peers.tell({ about: 'revoked' });
    });
  }

  /** The epoch for a token issued now: never one that is void already. */
  epoch(subjects: readonly (string | null)[]): number {
    return Math.max(this.clock.now(), this.latest(subjects));
  }

  /** True when the token was not revoked. Throws 503 when this process cannot know. */
  accepts(claims: RevocableClaims): boolean {
    if (Date.now() - this.freshAt > STALE_MS) throw new ApiError('unavailable', 'Revoked tokens cannot be told from valid ones now', SOON);
    return claims.ep >= this.latest([claims.sub, claims.sid, claims.ten]);
  }

  /** A token that was revoked while its request waited or was read changes nothing any more. @throws ApiError `unauthenticated`, `unavailable` */
  assertStillValid({ id: sub, sessionId: sid, hospitalId: ten, epoch: ep }: Actor): void {
    if (!this.accepts({ sub, sid, ten, ep })) throw new ApiError('unauthenticated');
  }

  private latest(subjects: readonly (string | null)[]): number {
    let latest = this.notBefore.get('*') ?? 0;
    for (const subject of subjects) if (subject !== null) latest = Math.max(latest, this.notBefore.get(subject) ?? 0);
    return latest;
  }

  private learn(subject: string, notBefore: number): void {
    this.notBefore.set(subject, Math.max(notBefore, this.notBefore.get(subject) ?? 0));
  }

  /** Tokens live `accessSeconds`, so older revocations have nothing left to revoke: memory stays bounded. */
  private async poll(): Promise<void> {
    const horizon = this.clock.now() - this.config.token.accessSeconds * 1000 - OVERLAP_MS;
    const since = Math.max(this.seenUntil - OVERLAP_MS, horizon);
    const rows = await this.database.reader.createQueryBuilder(RevocationEntity, 'r').where('r.updatedAt >= :since', { since }).getMany();
    for (const row of rows) {
      this.learn(row.subject, row.notBefore);
      this.seenUntil = Math.max(this.seenUntil, row.updatedAt);
    }
    for (const [subject, notBefore] of this.notBefore) if (notBefore < horizon) this.notBefore.delete(subject);
    this.freshAt = Date.now();
  }
}
