import { Inject, Injectable } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import { type EntityManager, IsNull, MoreThan } from 'typeorm';
import type { Actor } from '../common/actor';
import { AuditService } from '../audit/audit.service';
import { Clock, isoTime } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { Database } from '../database/database';
import { checkedRows, genuineRows, insertRow, selectRows, updateRow } from '../database/rows';
import { type AccountEntity, isLockedByGuesses } from './account.entity';
import { AccountStore } from './account-store';
import type { SessionResponse, TokenResponse } from './auth.dto';
import { RevocationsService } from './revocations.service';
import { PendingProofEntity } from './second-factor.entity';
import { RefreshTokenEntity, SessionEntity } from './session.entity';
import { TokensService } from './tokens.service';

/** A client whose answer was lost, or which asked several times at once, may present the same refresh token again within this time. */
const GRACE_MS = 10_000;

/** What a sign-in rests on: `amr` as the session keeps it, and the session in whose place it comes. */
export interface SignIn {
  readonly amr: string;
  readonly replaces: string | null;
}

function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

async function find(manager: EntityManager, id: string): Promise<SessionEntity | undefined> {
  return (await selectRows(manager, SessionEntity, 'id', [id]))[0];
}

/** An altered row opens nothing any more, so it needs no end; it must not keep the others open. */
async function openSessions(tx: EntityManager, accountId: string): Promise<SessionEntity[]> {
  return genuineRows(tx, SessionEntity, await tx.getRepository(SessionEntity).findBy({ accountId, endedAt: IsNull() }));
}

/** Sign-ins that go on: refresh tokens are opaque, stored hashed, single use; the second use of one ends its whole family (RFC 9700 section 4.14). */
@Injectable()
export class SessionsService {
  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly tokens: TokensService,
    private readonly revocations: RevocationsService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Opens a session for somebody who just proved who it is. The one that it replaces ends: a sign-in never goes on under an old id (SEC-24). */
  async open(tx: EntityManager, account: AccountEntity, { amr, replaces }: SignIn): Promise<TokenResponse> {
    const replaced = replaces === null ? null : await find(tx, replaces);
    if (replaced) await this.end(tx, replaced);
    const now = this.clock.now();
    const session = {
      id: newId(now),
      accountId: account.id,
      createdAt: now,
      lastUsedAt: now,
      expiresAt: now + this.config.token.sessionSeconds * 1000,
      endedAt: null,
      amr,
    };
    await insertRow(tx, SessionEntity, session);
    return this.tokensFor(account, session, (await this.addToken(tx, session)).token);
  }

  /** New tokens for a refresh token (R5). */
  async refresh(token: string, requestId: string): Promise<TokenResponse> {
    const answer = await this.database.transaction(async (tx) => {
      const [row] = await selectRows(tx, RefreshTokenEntity, 'hash', [tokenHash(token)]);
      const session = row && (await find(tx, row.sessionId));
      const account = session && (await this.store.find(tx, 'id', session.accountId));
      const now = this.clock.now();
      if (!row || !session || !account || session.endedAt !== null || session.expiresAt <= now) return null;
      if (account.status !== 'ACTIVE' && !isLockedByGuesses(account)) return null;
      if (row.usedAt !== null && !(await this.mayRepeat(tx, row, now))) {
        await this.end(tx, session);
        await this.audit.append(tx, {
          action: 'refresh',
          outcome: 'denied',
          actor: account,
          requestId,
          subjectId: session.id,
          hospitalId: account.hospitalId,
          reason: 'reused',
        });
        return null; // committed: the family is dead
      }
      if (row.usedAt === null && row.expiresAt <= now) return null;
      const next = await this.addToken(tx, session);
      await updateRow(tx, RefreshTokenEntity, row, { usedAt: row.usedAt ?? now, successor: next.hash });
      await updateRow(tx, SessionEntity, session, { lastUsedAt: now });
      await this.audit.append(tx, {
        action: 'refresh',
        outcome: 'ok',
        actor: account,
        requestId,
        subjectId: session.id,
        hospitalId: account.hospitalId,
      });
      return this.tokensFor(account, session, next.token);
    });
    if (!answer) throw new ApiError('invalid_refresh_token');
    return answer;
  }

  /** Ends one of the caller's own sessions; its refresh and access tokens are void at once. */
  async logout(actor: Actor, sessionId: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      const session = await find(tx, sessionId);
      if (session?.accountId !== actor.id) throw notFound();
      await this.end(tx, session);
      await this.audit.append(tx, {
        action: 'logout',
        outcome: 'ok',
        actor,
        requestId: actor.requestId,
        subjectId: sessionId,
        hospitalId: actor.hospitalId,
      });
    });
  }

  /** Whether the session with which the caller came is open still. */
  async isOpen(tx: EntityManager, actor: Pick<Actor, 'id' | 'sessionId'>): Promise<boolean> {
    const session = await find(tx, actor.sessionId);
    return session?.accountId === actor.id && session.endedAt === null;
  }

  /** Access and refresh tokens of an account end with the transaction: no session outlives a decision about its account or a lock. */
  async endAll(tx: EntityManager, accountId: string): Promise<void> {
    await this.revocations.revoke(tx, accountId);
    await tx.getRepository(PendingProofEntity).delete({ accountId });
    for (const session of await openSessions(tx, accountId)) await updateRow(tx, SessionEntity, session, { endedAt: this.clock.now() });
  }

  /** Ends every session of an account except one, and every sign-in that waits for its second factor. */
  async endOthers(tx: EntityManager, accountId: string, keep: string): Promise<void> {
    await tx.getRepository(PendingProofEntity).delete({ accountId });
    for (const session of await openSessions(tx, accountId)) if (session.id !== keep) await this.end(tx, session);
  }

  /** Ends the caller's other sessions, or all. */
  async endOwn(actor: Actor, keep: 'current' | undefined): Promise<void> {
    await this.database.transaction(async (tx) => {
      if (keep) await this.endOthers(tx, actor.id, actor.sessionId);
      else await this.endAll(tx, actor.id);
      await this.audit.append(tx, {
        action: 'session.end',
        outcome: 'ok',
        actor,
        requestId: actor.requestId,
        subjectId: actor.id,
        hospitalId: actor.hospitalId,
      });
    });
  }

  own(actor: Actor): Promise<SessionResponse[]> {
    return this.list(this.database.reader, actor.id, actor.sessionId);
  }

  /** Open sessions of an account, the newest first; `current` is the one that asks. */
  async list(manager: EntityManager, accountId: string, current: string | null): Promise<SessionResponse[]> {
    const now = this.clock.now();
    const rows = await manager
      .getRepository(SessionEntity)
      .find({ where: { accountId, endedAt: IsNull(), expiresAt: MoreThan(now) }, order: { id: 'DESC' }, take: 100 });
    return checkedRows(manager, SessionEntity, rows).map((row) => ({
      id: row.id,
      createdAt: isoTime(row.createdAt),
      lastUsedAt: isoTime(row.lastUsedAt),
      expiresAt: isoTime(row.expiresAt),
      amr: row.amr.split(' '),
      current: row.id === current,
    }));
  }

  private async end(tx: EntityManager, session: SessionEntity): Promise<void> {
    if (session.endedAt === null) await updateRow(tx, SessionEntity, session, { endedAt: this.clock.now() });
    await this.revocations.revoke(tx, session.id);
  }

  /**
   * Within the grace time a used token works again when its successor was never used. The successor is then void: it stays, used and without a
   * successor of its own, so that whoever presents it (the victim, when a thief had repeated the token) ends the family.
   */
  private async mayRepeat(tx: EntityManager, row: RefreshTokenEntity, now: number): Promise<boolean> {
    if (row.usedAt === null || now - row.usedAt > GRACE_MS || row.successor === null) return false;
    const [successor] = await selectRows(tx, RefreshTokenEntity, 'hash', [row.successor]);
    if (!successor || successor.usedAt !== null) return false;
    await updateRow(tx, RefreshTokenEntity, successor, { usedAt: now, successor: null });
    return true;
  }

  private async addToken(tx: EntityManager, session: { id: string; expiresAt: number }): Promise<{ token: string; hash: Buffer }> {
    const token = `rt_${randomBytes(32).toString('base64url')}`;
    const now = this.clock.now();
    const expiresAt = Math.min(now + this.config.token.refreshIdleSeconds * 1000, session.expiresAt);
    const hash = tokenHash(token);
    await insertRow(tx, RefreshTokenEntity, { hash, sessionId: session.id, createdAt: now, expiresAt, usedAt: null, successor: null });
    return { token, hash };
  }

  private tokensFor(account: AccountEntity, session: { id: string; createdAt: number; amr: string }, refreshToken: string): TokenResponse {
    const accessToken = this.tokens.issue(account, session);
    return { accessToken, tokenType: 'Bearer', expiresIn: this.config.token.accessSeconds, refreshToken };
  }
}
