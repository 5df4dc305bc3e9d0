import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import { AccountsService } from '../auth/accounts.service';
import { IdempotencyService } from '../auth/idempotency.service';
import { RevocationsService } from '../auth/revocations.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { cursorId, toPage, type Page, type PageQuery } from '../common/page';
import { Database } from '../database/database';
import { selectRows } from '../database/rows';
import { HospitalsService } from '../hospital/hospitals.service';
import { AuthorKeysService } from './author-keys.service';
import { isNear } from './core/block';
import { b64u, FormatError } from './core/bytes';
import { checkPublicJwk, type PublicJwk, thumbprint } from './core/jwk';
import type { RevocationReason } from './core/key-event';
import { verifyKeyProof } from './core/key-proof';
import type { AuthorKeyResponse, KeyEventResponse, RegisterKeyDto } from './key.dto';
import { AuthorKeyEntity, KeyEventEntity } from './ledger.entity';
import { type Logged, type LoggedKey, loggedKeys } from './logged-keys';

/** Keys of authors as people see and change them: a doctor registers the own one, keys end, and verifiers read them. */
@Injectable()
export class KeyRegistryService {
  constructor(
    private readonly database: Database,
    private readonly accounts: AccountsService,
    private readonly hospitals: HospitalsService,
    private readonly authorKeys: AuthorKeysService,
    private readonly idempotency: IdempotencyService,
    private readonly revocations: RevocationsService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Takes the public half of a key that the actor's client keeps. From then on this server signs nothing for the account.
   * @throws ApiError `invalid_key` with the part at fault, `already_exists`, `conflict` while another key of the actor's own is in use
   */
  register(actor: Actor, dto: RegisterKeyDto): Promise<AuthorKeyResponse> {
    return this.idempotency.transaction(actor, async (tx) => {
      this.revocations.assertStillValid(actor);
      const { hospitalId } = actor;
      if (hospitalId === null) throw notFound();
      const jwk = await this.proven(actor, hospitalId, dto);
      const kid = b64u(thumbprint(jwk));
      if ((await selectRows(tx, AuthorKeyEntity, 'kid', [kid])).length > 0)
        throw new ApiError('already_exists', 'This key is registered already');
      const { active } = await this.authorKeys.keysOf(tx, actor.id);
      if (active?.custody === 'client') throw new ApiError('conflict', 'Revoke the key that is in use first');
      if (active) await this.authorKeys.revoke(tx, active.kid, 'retired');
      await this.authorKeys.add(tx, hospitalId, { kid, accountId: actor.id, x: jwk.x, custody: 'client', privateKey: null });
      await this.note(tx, actor, 'key.register', { id: actor.id, hospitalId }, 'client');
      return this.shown(tx, hospitalId, kid);
    });
  }

  /**
   * Ends a key in every log that knows it; what it signed before stays valid. For its holder, the holder's hospital and the founder.
   * @throws ApiError `not_found`, `conflict` when it has ended already
   */
  async revoke(actor: Actor, kid: string, reason: RevocationReason): Promise<AuthorKeyResponse> {
    const { reader } = this.database;
    const [row] = await selectRows(reader, AuthorKeyEntity, 'kid', [kid]);
    const home = row ? ((await this.accounts.people(reader, [row.accountId])).get(row.accountId)?.hospitalId ?? null) : null;
    const allowed =
      row && (actor.id === row.accountId || actor.role === 'ADMIN' || (actor.role === 'HOSPITAL' && actor.hospitalId === home));
    if (!allowed) {
      const { requestId } = actor;
      await this.audit.record({
        action: 'key.revoke',
        outcome: 'denied',
        actor,
        requestId,
        hospitalId: home,
        subjectId: row?.accountId ?? null,
      });
      throw notFound();
    }
    return this.database.transaction(async (tx) => {
      this.revocations.assertStillValid(actor);
      const events = await selectRows(tx, KeyEventEntity, 'kid', [kid]);
      const [first] = events;
      if (!first) throw notFound();
      if (events.some((item) => item.event === 'revoke')) throw new ApiError('conflict', 'This key has ended already');
      await this.authorKeys.revoke(tx, kid, reason);
      await this.note(tx, actor, 'key.revoke', { id: row.accountId, hospitalId: home }, row.custody, reason);
      return this.shown(tx, events.find((item) => item.hospitalId === home)?.hospitalId ?? first.hospitalId, kid);
    });
  }

  /** The keys that the logs know, oldest first: what a verifier needs beside the blocks. A hospital sees those of its own log. */
  async list(actor: Actor, query: PageQuery): Promise<Page<AuthorKeyResponse>> {
    const { reader } = this.database;
    const builder = reader
      .createQueryBuilder(KeyEventEntity, 'e')
      .where(`e.event = 'register'`)
      .orderBy('e.id')
      .limit(query.limit + 1);
    if (actor.role === 'HOSPITAL') builder.andWhere('e.hospitalId = :hospitalId', { hospitalId: actor.hospitalId });
    const after = cursorId(query);
    if (after !== undefined) builder.andWhere('e.id > :after', { after });
    const page = toPage(
      await builder.getMany(),
      query.limit,
      (row) => row.id,
      (row) => row,
    );
    const byHospital = new Map<string, Map<string, LoggedKey>>();
    for (const hospitalId of new Set(page.items.map((row) => row.hospitalId))) {
      const kids = page.items.filter((row) => row.hospitalId === hospitalId).map((row) => row.kid);
      byHospital.set(hospitalId, await this.logged(reader, hospitalId, kids));
    }
    const items = page.items.flatMap(({ kid, hospitalId }) => {
      const key = byHospital.get(hospitalId)?.get(kid);
      return key ? [toResponse(hospitalId, key)] : []; // what is in no log is no key: a verdict says so
    });
    const { requestId, hospitalId } = actor;
    await this.audit.record({ action: 'key.list', outcome: 'ok', actor, requestId, hospitalId, ids: page.items.map((row) => row.id) });
    return { items, nextCursor: page.nextCursor };
  }

  /** The key of a request that proves to be held by the actor, for this ledger and now. */
  private async proven(actor: Actor, hospitalId: string, dto: RegisterKeyDto): Promise<PublicJwk> {
    const origin = await this.hospitals.ledgerOrigin(hospitalId);
    try {
      const jwk = checkPublicJwk(dto.jwk);
      const { iss, sub, iat } = verifyKeyProof(dto.proof, jwk);
      if (iss !== origin) throw new FormatError('proof.iss', `must be ${origin}`);
      if (sub !== actor.id) throw new FormatError('proof.sub', 'must be the own account');
      if (!isNear(iat, this.clock.now())) throw new FormatError('proof.iat', 'must be within ten minutes of now');
      return jwk;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const message = error.message.replace(`${error.field} `, '');
      throw new ApiError('invalid_key', error.message, { errors: [{ path: error.field, message }] });
    }
  }

  private async shown(manager: EntityManager, hospitalId: string, kid: string): Promise<AuthorKeyResponse> {
    const key = (await this.logged(manager, hospitalId, [kid])).get(kid);
    if (!key) throw new ApiError('integrity_error', 'The log does not know this key');
    return toResponse(hospitalId, key);
  }

  private async logged(manager: EntityManager, hospitalId: string, kids: readonly string[]): Promise<Map<string, LoggedKey>> {
    return loggedKeys(manager, hospitalId, await this.hospitals.ledgerOrigin(hospitalId), kids);
  }

  private note(
    tx: EntityManager,
    actor: Actor,
    action: 'key.register' | 'key.revoke',
    holder: { id: string; hospitalId: string | null },
    custody: string,
    reason: string | null = null,
  ): Promise<void> {
    const { requestId } = actor;
    const { id: subjectId, hospitalId } = holder;
    return this.audit.append(tx, { action, outcome: 'ok', actor, requestId, hospitalId, subjectId, kind: custody, reason });
  }
}

function toResponse(hospitalId: string, { registered, revoked }: LoggedKey): AuthorKeyResponse {
  const { kid, x, custody, account, at } = registered.event;
  return {
    kid,
    x,
    custody,
    accountId: account,
    hospitalId,
    registeredAt: isoTime(at),
    revokedAt: revoked ? isoTime(revoked.event.at) : null,
    events: [toEvent(registered), ...(revoked ? [toEvent(revoked)] : [])],
  };
}

function toEvent({ event, body, place }: Logged<LoggedKey['registered']['event']> | NonNullable<LoggedKey['revoked']>): KeyEventResponse {
  const reason = event.event === 'revoke' ? event.reason : null;
  return { event: event.event, at: isoTime(event.at), reason, body, leafIndex: place.leafIndex };
}
