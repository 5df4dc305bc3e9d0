import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor, Role } from '../common/actor';
import { AuditService } from '../audit/audit.service';
import type { SystemAction } from '../audit/actions';
import { Clock, isoTime } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { cursorId, toPage, type Page } from '../common/page';
import { CONFIG, type Config } from '../config/config';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing, vaultKey } from '../crypto/key-ring.service';
import { Sealed } from '../crypto/sealed';
import type { Subject } from '../crypto/vault';
import { Database } from '../database/database';
import { AccountEntity, type AccountStatus } from './account.entity';
import { AccountStore } from './account-store';
import type { AccountQuery, AccountResponse, IssuedCodeResponse } from './auth.dto';
import { FactorStore } from './factor-store';
import { codeHash, newCode } from './one-time-code';
import { SessionsService } from './sessions.service';

/** Tenant of accounts that belong to no hospital (founder, auditors). */
const SYSTEM_TENANT = '00000000-0000-0000-0000-000000000000';

export interface NewAccount {
  readonly id: string;
  readonly role: Role;
  readonly hospitalId: string | null;
  readonly name: string;
}

/** Told inside the transaction in which an account becomes ACTIVE by approval. */
export type ApprovalListener = (tx: EntityManager, account: { id: string; role: Role; hospitalId: string | null }) => Promise<void>;

interface Decision {
  readonly action: Extract<SystemAction, `account.${string}`>;
  readonly from: readonly AccountStatus[];
  readonly to: AccountStatus;
}
const DECISIONS = {
  approve: { action: 'account.approve', from: ['PENDING'], to: 'ACTIVE' },
  reject: { action: 'account.reject', from: ['PENDING'], to: 'REJECTED' },
  lock: { action: 'account.lock', from: ['ACTIVE'], to: 'LOCKED' },
  unlock: { action: 'account.unlock', from: ['LOCKED'], to: 'ACTIVE' },
  close: { action: 'account.close', from: ['PENDING', 'ISSUED', 'ACTIVE', 'LOCKED'], to: 'CLOSED' },
} as const satisfies Record<string, Decision>;
export type DecisionName = keyof typeof DECISIONS;

/** The sealing context of an account. */
export function accountSubject(account: { id: string; hospitalId: string | null }): Subject {
  return { subjectId: account.id, tenantId: account.hospitalId ?? SYSTEM_TENANT };
}

/** Logins: how they come to be, who decides about them, and what they are called. */
@Injectable()
export class AccountsService {
  private readonly listeners: ApprovalListener[] = [];

  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly keyRing: KeyRing,
    private readonly blindIndex: BlindIndex,
    private readonly audit: AuditService,
    private readonly sessions: SessionsService,
    private readonly factors: FactorStore,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onApproved(listener: ApprovalListener): void {
    this.listeners.push(listener);
  }

  usernameIndex(username: string): Buffer {
    return this.blindIndex.unique('all', 'account.username', username);
  }

  /** Stores an account with its own user name and password (already hashed). False when the user name is taken: the caller tells nobody. */
  async create(
    tx: EntityManager,
    account: NewAccount,
    login: { username: string; password: Sealed; status: 'PENDING' | 'ACTIVE' },
  ): Promise<boolean> {
    const usernameIndex = this.usernameIndex(login.username);
    if (await this.store.isTaken(tx, usernameIndex)) return false;
    const vault = await this.keyRing.vault(tx, accountSubject(account));
    const username = vault.seal('account.username', account.id, login.username);
    await this.insert(tx, account, {
      status: login.status,
      usernameIndex,
      username,
      password: login.password,
      name: vault.seal('account.name', account.id, account.name),
    });
    return true;
  }

  /** Makes an account whose holder chooses user name and password with a one-time code (R3). The code is shown once and stored hashed. */
  async issue(tx: EntityManager, actor: Actor, account: NewAccount): Promise<IssuedCodeResponse> {
    const code = newCode();
    const codeExpiresAt = this.clock.now() + this.config.login.codeSeconds * 1000;
    const vault = await this.keyRing.vault(tx, accountSubject(account));
    await this.insert(tx, account, {
      status: 'ISSUED',
      name: vault.seal('account.name', account.id, account.name),
      codeHash: codeHash(code),
      codeExpiresAt,
    });
    await this.note(tx, actor, 'account.issue', account);
    return { accountId: account.id, code, expiresAt: isoTime(codeExpiresAt) };
  }

  /** An auditor or a further founder. */
  issueStaffless(actor: Actor, role: 'ADMIN' | 'AUDITOR', name: string): Promise<IssuedCodeResponse> {
    return this.database.transaction((tx) => this.issue(tx, actor, { id: newId(this.clock.now()), role, hospitalId: null, name }));
  }

  /** A new one-time code in place of a lost password, code or second factor. Old tokens end, second factors are taken away. */
  reissue(actor: Actor, id: string): Promise<IssuedCodeResponse> {
    return this.database.transaction(async (tx) => {
      const account = await this.deciding(tx, actor, id);
      if (account.status !== 'ISSUED' && account.status !== 'ACTIVE' && account.status !== 'LOCKED')
        throw new ApiError('conflict', 'This account cannot get a code');
      await this.keepLastAdmin(tx, account);
      const code = newCode();
      const codeExpiresAt = this.clock.now() + this.config.login.codeSeconds * 1000;
      const noLogin = { password: null, usernameIndex: null, username: null };
      await this.store.update(tx, account, { ...noLogin, status: 'ISSUED', codeHash: codeHash(code), codeExpiresAt });
      await this.sessions.endAll(tx, id);
      if ((await this.factors.forget(tx, id)) > 0) await this.note(tx, actor, 'factor.remove', account);
      await this.note(tx, actor, 'account.issue', account);
      return { accountId: id, code, expiresAt: isoTime(codeExpiresAt) };
    });
  }

  /** Approves, rejects, locks, unlocks or closes. Nobody decides about the own account; a hospital only about its doctors and patients. */
  decide(actor: Actor, id: string, name: DecisionName): Promise<AccountResponse> {
    return this.database.transaction(async (tx) => {
      const account = await this.deciding(tx, actor, id);
      await this.change(tx, actor, account, DECISIONS[name]);
      return this.toResponse(tx, { ...account, status: DECISIONS[name].to });
    });
  }

  /** Ends the login of somebody who leaves; the row and the history stay (R11). */
  async closeFor(tx: EntityManager, actor: Actor, id: string): Promise<void> {
    const account = await this.store.find(tx, 'id', id);
    if (account && account.status !== 'CLOSED') await this.change(tx, actor, account, { ...DECISIONS.close, from: [account.status] });
  }

  /** Erasure: ends the login and leaves nothing of its holder. The id stays: the trail and the keys that attest name it. */
  async erase(tx: EntityManager, actor: Actor, id: string): Promise<void> {
    await this.closeFor(tx, actor, id);
    const nobody = { usernameIndex: null, username: null, name: Sealed.nothing, password: null, codeHash: null, codeExpiresAt: null };
    const account = await this.store.find(tx, 'id', id);
    if (account) await this.store.update(tx, account, nobody);
    await this.factors.forget(tx, id);
  }

  /** The queue and the list: a hospital sees its own people. */
  async list(actor: Actor, query: AccountQuery): Promise<Page<AccountResponse>> {
    const builder = this.database.reader
      .createQueryBuilder(AccountEntity, 'a')
      .orderBy('a.id')
      .limit(query.limit + 1);
    const after = cursorId(query);
    if (after !== undefined) builder.andWhere('a.id > :after', { after });
    if (query.status !== undefined) builder.andWhere('a.status = :status', { status: query.status });
    if (actor.role !== 'ADMIN') builder.andWhere('a.hospitalId = :hospitalId', { hospitalId: actor.hospitalId });
    const rows = await builder.getMany();
    const page = toPage(
      rows,
      query.limit,
      (row) => row.id,
      (row) => row,
    );
    await this.audit.record({
      action: 'account.list',
      outcome: 'ok',
      actor,
      requestId: actor.requestId,
      hospitalId: actor.hospitalId,
      ids: page.items.map((row) => row.id),
    });
    return { items: await Promise.all(page.items.map((row) => this.toResponse(this.database.reader, row))), nextCursor: page.nextCursor };
  }

  /** Names of account holders by id, for views that say who did something. Unknown ids are absent. */
  async people(
    manager: EntityManager,
    ids: readonly string[],
  ): Promise<Map<string, { name: string; role: Role; hospitalId: string | null; status: AccountStatus }>> {
    const rows = await this.store.findAll(manager, ids);
    const vaults = await this.keyRing.existingVaults(manager, rows.map(accountSubject));
    return new Map(
      rows.map((row) => {
        const vault = row.name.isNothing ? undefined : vaults.get(vaultKey(accountSubject(row)));
        const name = vault?.open('account.name', row.id, row.name) ?? '';
        return [row.id, { name, role: row.role, hospitalId: row.hospitalId, status: row.status }];
      }),
    );
  }

  /** Follows a change of the holder's name. */
  async rename(tx: EntityManager, id: string, name: string): Promise<void> {
    const account = await this.store.find(tx, 'id', id);
    if (!account) return;
    const vault = await this.keyRing.vault(tx, accountSubject(account));
    await this.store.update(tx, account, { name: vault.seal('account.name', id, name) });
  }

  /** Whether this is the only founder who can sign in: nobody could let another one in again (SEC-35). */
  async isLastAdmin(tx: EntityManager, { id, role, status }: AccountEntity): Promise<boolean> {
    if (role !== 'ADMIN' || status !== 'ACTIVE') return false;
    return !(await this.store.hasOtherFounder(tx, id));
  }

  async toResponse(manager: EntityManager, row: AccountEntity): Promise<AccountResponse> {
    const nameOf = async () => (await this.keyRing.vault(manager, accountSubject(row))).open('account.name', row.id, row.name);
    return {
      id: row.id,
      role: row.role,
      status: row.status,
      name: row.name.isNothing ? '' : await nameOf(),
      hospitalId: row.hospitalId,
      createdAt: isoTime(row.createdAt),
    };
  }

  private async change(tx: EntityManager, actor: Actor, account: AccountEntity, decision: Decision): Promise<void> {
    if (!decision.from.includes(account.status)) throw new ApiError('conflict', `An account that is ${account.status} does not allow this`);
    if (decision.to !== 'ACTIVE') await this.keepLastAdmin(tx, account);
    await this.store.update(tx, account, { status: decision.to, failedAttempts: 0, codeHash: null, codeExpiresAt: null });
    if (decision.to === 'ACTIVE' && account.status === 'PENDING') for (const listener of this.listeners) await listener(tx, account);
    if (decision.to !== 'ACTIVE') await this.sessions.endAll(tx, account.id);
    await this.note(tx, actor, decision.action, account);
  }

  /** The account that the actor may decide about; everything else does not exist for the actor. */
  async deciding(tx: EntityManager, actor: Actor, id: string): Promise<AccountEntity> {
    const account = await this.store.find(tx, 'id', id);
    const own = account?.hospitalId === actor.hospitalId && (account?.role === 'DOCTOR' || account?.role === 'PATIENT');
    if (!account || (actor.role !== 'ADMIN' && !own)) throw notFound();
    if (account.id === actor.id) throw new ApiError('forbidden', 'Nobody decides about the own account');
    return account;
  }

  /** Two founders who decide about each other at the same moment would leave nobody: tokens are checked before the transaction. */
  private async keepLastAdmin(tx: EntityManager, account: AccountEntity): Promise<void> {
    if (await this.isLastAdmin(tx, account)) throw new ApiError('conflict', 'The last founder who can sign in stays');
  }

  private async insert(
    tx: EntityManager,
    account: NewAccount,
    values: Partial<AccountEntity> & Pick<AccountEntity, 'status' | 'name'>,
  ): Promise<void> {
    const { id, role, hospitalId } = account;
    const empty = {
      usernameIndex: null,
      username: null,
      password: null,
      codeHash: null,
      codeExpiresAt: null,
      failedAttempts: 0,
      createdAt: this.clock.now(),
    };
    await this.store.insert(tx, { ...empty, ...values, id, role, hospitalId });
  }

  note(
    tx: EntityManager,
    actor: Actor,
    action: SystemAction,
    account: { id: string; role: Role; hospitalId: string | null },
  ): Promise<void> {
    return this.audit.append(tx, {
      action,
      outcome: 'ok',
      actor,
      requestId: actor.requestId,
      hospitalId: account.hospitalId,
      patientId: account.role === 'PATIENT' ? account.id : null, // patients see what happens to their logins
      subjectId: account.id,
      kind: account.role,
    });
  }
}
