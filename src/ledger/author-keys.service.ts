import { Injectable } from '@nestjs/common';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import type { Actor } from '../common/actor';
import { AccountsService, accountSubject } from '../auth/accounts.service';
import { DecisionsService } from '../auth/decisions.service';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { newId } from '../common/ids';
import { KeyRing } from '../crypto/key-ring.service';
import { needAlone } from '../database/beside';
import { Database } from '../database/database';
import { insertRow, selectRows } from '../database/rows';
import { HospitalsService } from '../hospital/hospitals.service';
import { StaffService } from '../hospital/staff.service';
import { TlogService } from '../tlog/tlog.service';
import { b64u } from './core/bytes';
import { checkPublicJwk, thumbprint } from './core/jwk';
import { type KeyRegistration, type KeyRevocation, keyEventBody, keyEventHash, type RevocationReason } from './core/key-event';
import { AuthorKeyEntity, KeyEventEntity } from './ledger.entity';
import { authorKidOf, loggedKeys } from './logged-keys';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

/** The keys of one account. */
export interface AccountKeys {
  /** The one that signs now; null when there is none. */
  readonly active: AuthorKeyEntity | null;
  /** The account has registered a key of its own: from then on this server never signs for it again, not even after that key is revoked. */
  readonly clientSigns: boolean;
}

type About = 'iss' | 'at';
type NewEvent = Omit<KeyRegistration, About> | Omit<KeyRevocation, About>;

/** Keys of authors: which one signs for whom, and the events by which a hospital's log knows them. */
@Injectable()
export class AuthorKeysService {
  private readonly signing = new LRUCache<string, SigningKey>({ max: 2_000, ttl: 10 * 60_000 });

  /** Account by hospital and thumbprint. A registered key never changes hands, so this is remembered. */
  private readonly owners = new LRUCache<string, string>({ max: 10_000 });

  constructor(
    private readonly database: Database,
    private readonly people: AccountsService,
    private readonly hospitals: HospitalsService,
    private readonly staff: StaffService,
    private readonly decisions: DecisionsService,
    private readonly tlog: TlogService,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {
    // Who leaves a hospital, or whose login ends for another reason, signs nothing any more (R11).
    const end = async (tx: EntityManager, id: string, reason: RevocationReason) => {
      const { active } = await this.keysOf(tx, id);
      if (active) await this.revoke(tx, active.kid, reason);
    };
    this.staff.onDeparture((tx, { id }) => end(tx, id, 'departed'));
    this.decisions.onClosed((tx, { id }) => end(tx, id, 'retired'));
  }

  /**
   * The key with which this server signs for the actor in a hospital's ledger; made and registered where it is used for the first time. Remembered
   * only after the commit: a rolled-back key must never sign.
   * @throws ApiError `client_signature_required` when the account signs with a key of its own
   */
  async of(tx: EntityManager, actor: Actor, hospitalId: string): Promise<SigningKey> {
    const known = this.signing.get(actor.id);
    // Asked each time: another process may have revoked it.
    if (known && (await this.useIn(tx, known.kid, hospitalId))) return known;
    const { active, clientSigns } = await this.keysOf(tx, actor.id);
    if (clientSigns) throw new ApiError('client_signature_required');
    const key = active ? await this.opened(tx, actor, active) : await this.create(tx, actor, hospitalId);
    if (active && !(await this.useIn(tx, active.kid, hospitalId))) await this.register(tx, hospitalId, active);
    this.database.afterCommit(() => this.signing.set(actor.id, key));
    return key;
  }

  /** Drops a signing key from memory: its account was erased. */
  forget(accountId: string): void {
    this.signing.delete(accountId);
  }

  /** The keys of an account, by their events. */
  async keysOf(manager: EntityManager, accountId: string): Promise<AccountKeys> {
    const rows = await selectRows(manager, AuthorKeyEntity, 'accountId', [accountId]);
    const events = await selectRows(
      manager,
      KeyEventEntity,
      'kid',
      rows.map((row) => row.kid),
    );
    const ended = new Set(events.filter((item) => item.event === 'revoke').map((item) => item.kid));
    const clientSigns = rows.some((row) => row.custody === 'client');
    const usable = rows.filter((row) => !ended.has(row.kid) && (row.custody === 'client' || !clientSigns));
    return { active: usable.sort((a, b) => b.createdAt - a.createdAt)[0] ?? null, clientSigns };
  }

  /** Whose keys attest these blocks of a hospital's ledger: the account with which the log has registered the key that a header (274 bytes) names, or null. */
  async accounts(manager: EntityManager, hospitalId: string, headers: readonly Buffer[]): Promise<(header: Buffer) => string | null> {
    const nameOf = (header: Buffer) => `${hospitalId}/${authorKidOf(header) ?? ''}`;
    const kids = [...new Set(headers.flatMap((header) => authorKidOf(header) ?? []))];
    const missing = kids.filter((kid) => !this.owners.has(`${hospitalId}/${kid}`));
    if (missing.length > 0) {
      const origin = await this.hospitals.ledgerOrigin(hospitalId);
      for (const [kid, { registered, row, misfit }] of await loggedKeys(manager, hospitalId, origin, missing))
        if (row && misfit === undefined) this.owners.set(`${hospitalId}/${kid}`, registered.event.account);
    }
    return (header) => this.owners.get(nameOf(header)) ?? null;
  }

  /** Stores a key and lets a hospital's log say that it counts from now on. */
  async add(tx: EntityManager, hospitalId: string, key: Omit<AuthorKeyEntity, 'createdAt'>): Promise<void> {
    await insertRow(tx, AuthorKeyEntity, { ...key, createdAt: this.clock.now() });
    await this.register(tx, hospitalId, key);
  }

  /** Ends a key in every log that knows it. Whoever asked has the right to. */
  async revoke(tx: EntityManager, kid: string, reason: RevocationReason): Promise<void> {
    const events = await selectRows(tx, KeyEventEntity, 'kid', [kid]);
    const ended = new Set(events.filter((item) => item.event === 'revoke').map((item) => item.hospitalId));
    const [row] = await selectRows(tx, AuthorKeyEntity, 'kid', [kid]);
    if (!row) throw new ApiError('integrity_error', 'A key has events and no row');
    for (const { hospitalId } of events) {
      if (ended.has(hospitalId)) continue;
      ended.add(hospitalId);
      await this.append(tx, hospitalId, { event: 'revoke', kid, account: row.accountId, reason });
    }
    this.database.afterCommit(() => this.signing.delete(row.accountId));
  }

  /** Whether a key may sign in a hospital's ledger as things are: registered there, and revoked nowhere. */
  async useIn(tx: EntityManager, kid: string, hospitalId: string): Promise<boolean> {
    const events = await selectRows(tx, KeyEventEntity, 'kid', [kid]);
    return events.some((item) => item.hospitalId === hospitalId) && events.every((item) => item.event === 'register');
  }

  /**
   * Lets a hospital's log say that a key counts from now on.
   * @throws ApiError `unauthenticated` when its account has ended: a process that has not heard of it yet gives no key that nobody would revoke
   */
  async register(tx: EntityManager, hospitalId: string, key: Pick<AuthorKeyEntity, 'kid' | 'x' | 'custody' | 'accountId'>): Promise<void> {
    const { kid, x, custody, accountId: account } = key;
    const { status = 'CLOSED' } = (await this.people.people(tx, [account])).get(account) ?? {};
    if (status === 'CLOSED' || status === 'REJECTED') throw new ApiError('unauthenticated'); // every other state ends by a close, which revokes
    await this.append(tx, hospitalId, { event: 'register', kid, x, custody, account });
  }

  private async append(tx: EntityManager, hospitalId: string, event: NewEvent): Promise<void> {
    needAlone(tx); // a seal beside it would not know whether it comes before or after
    const at = this.clock.now();
    const body = keyEventBody({ ...event, iss: await this.hospitals.ledgerOrigin(hospitalId), at });
    const hash = keyEventHash(body);
    await insertRow(tx, KeyEventEntity, { id: newId(at), kid: event.kid, hospitalId, event: event.event, body, hash });
    await this.tlog.queue(tx, hospitalId, 'key-event', hash);
  }

  private async opened(tx: EntityManager, actor: Actor, { kid, privateKey }: AuthorKeyEntity): Promise<SigningKey> {
    if (!privateKey) throw new ApiError('integrity_error', 'A key in the server’s custody is missing');
    const vault = await this.keyRing.vault(tx, accountSubject(actor));
    const key = vault.openBytes('account.signing_key', kid, privateKey);
    return { kid, privateKey: createPrivateKey({ key, format: 'der', type: 'pkcs8' }) };
  }

  private async create(tx: EntityManager, actor: Actor, hospitalId: string): Promise<SigningKey> {
    needAlone(tx); // two first seals would make two keys
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const jwk = checkPublicJwk(publicKey.export({ format: 'jwk' }));
    const kid = b64u(thumbprint(jwk));
    const vault = await this.keyRing.vault(tx, accountSubject(actor));
    const sealed = vault.seal('account.signing_key', kid, privateKey.export({ format: 'der', type: 'pkcs8' }));
    await this.add(tx, hospitalId, { kid, accountId: actor.id, x: jwk.x, custody: 'server', privateKey: sealed });
    return { kid, privateKey };
  }
}
