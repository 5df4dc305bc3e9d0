import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor, Role } from '../common/actor';
import { AuditService } from '../audit/audit.service';
import type { SystemAction } from '../audit/actions';
import { Clock, isoTime } from '../common/clock';
import { newId } from '../common/ids';
import { cursorId, toPage, type Page } from '../common/page';
import { CONFIG, type Config } from '../config/config';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing, vaultKey } from '../crypto/key-ring.service';
import type { Sealed } from '../crypto/sealed';
import type { Subject } from '../crypto/vault';
import { Database } from '../database/database';
import { checkedRows } from '../database/rows';
import { AccountEntity, type AccountStatus, NOBODY } from './account.entity';
import { AccountStore } from './account-store';
import type { AccountQuery, AccountResponse, IssuedCodeResponse } from './auth.dto';
import { freshCode } from './one-time-code';

export interface NewAccount {
  readonly id: string;
  readonly role: Role;
  readonly hospitalId: string | null;
  readonly name: string;
}

/** Of an account that waits for somebody else to give its code. */
const NO_CODE = { code: { code: null, expiresAt: null }, row: { codeHash: null, codeExpiresAt: null } } as const;

/** The sealing context of an account; founders and auditors belong to no hospital. */
export function accountSubject(account: { id: string; hospitalId: string | null }): Subject {
  return { subjectId: account.id, tenantId: account.hospitalId ?? NOBODY };
}

/** Accounts: how they come to be, and what they are called. */
@Injectable()
export class AccountsService {
  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly keyRing: KeyRing,
    private readonly blindIndex: BlindIndex,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  usernameIndex(username: string): Buffer {
    return this.blindIndex.unique('all', 'account.username', username);
  }

  isTaken(manager: EntityManager, username: string): Promise<boolean> {
    return this.store.isTaken(manager, this.usernameIndex(username));
  }

  /** Stores an account with its own user name and password (already hashed). `usernameIndex` is another one only where nothing is kept. */
  async create(
    tx: EntityManager,
    account: NewAccount,
    login: { username: string; password: Sealed; status: 'PENDING' | 'ACTIVE' },
    usernameIndex = this.usernameIndex(login.username),
  ): Promise<void> {
    const vault = await this.keyRing.vault(tx, accountSubject(account));
    const username = vault.seal('account.username', account.id, login.username);
    await this.insert(tx, account, { status: login.status, usernameIndex, username, password: login.password });
  }

  /**
   * Makes an account whose holder chooses user name and password with a one-time code (R3). The code is shown once and stored hashed. A doctor gets
   * none, for with it one could act as the patient: the hospital asks for it.
   */
  async issue(tx: EntityManager, actor: Actor, account: NewAccount): Promise<IssuedCodeResponse> {
    const { code, row } = actor.role === 'DOCTOR' ? NO_CODE : freshCode(this.clock.now(), this.config);
    await this.insert(tx, account, { status: 'ISSUED', ...row });
    await this.note(tx, actor, 'account.issue', account);
    return { accountId: account.id, ...code };
  }

  /**
   * An auditor or a further founder. A founder waits for the approval of another one, or whoever has one founder's login could make more (SEC-39); only
   * while there is no other, the second one is issued at once.
   */
  issueStaffless(actor: Actor, role: 'ADMIN' | 'AUDITOR', name: string): Promise<IssuedCodeResponse> {
    return this.database.transaction(async (tx) => {
      const account = { id: newId(this.clock.now()), role, hospitalId: null, name };
      if (role === 'AUDITOR' || !(await this.store.hasOtherFounder(tx, actor.id, ['ISSUED', 'ACTIVE', 'LOCKED'])))
        return this.issue(tx, actor, account);
      await this.insert(tx, account, { status: 'PENDING', proposedBy: actor.id });
      await this.note(tx, actor, 'account.propose', account);
      return { accountId: account.id, ...NO_CODE.code };
    });
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
    const rows = checkedRows(this.database.reader, AccountEntity, await builder.getMany());
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

  /** What these are called; a hospital's login has the hospital's name. For the rule that passwords are not made of names. */
  async names(ids: readonly (string | null)[]): Promise<string[]> {
    const people = await this.people(
      this.database.reader,
      ids.filter((id) => id !== null),
    );
    return [...people.values()].map(({ name }) => name);
  }

  /** Follows a change of the holder's name. */
  async rename(tx: EntityManager, id: string, name: string): Promise<void> {
    const account = await this.store.find(tx, 'id', id);
    if (!account) return;
    const vault = await this.keyRing.vault(tx, accountSubject(account));
    await this.store.update(tx, account, { name: vault.seal('account.name', id, name) });
  }

  async toResponse(manager: EntityManager, row: AccountEntity): Promise<AccountResponse> {
    const nameOf = async () => (await this.keyRing.vault(manager, accountSubject(row))).open('account.name', row.id, row.name);
    return {
      id: row.id,
      role: row.role,
      status: row.status,
      lockedBy: row.lockedBy,
      name: row.name.isNothing ? '' : await nameOf(),
      hospitalId: row.hospitalId,
      createdAt: isoTime(row.createdAt),
    };
  }

  private async insert(
    tx: EntityManager,
    account: NewAccount,
    values: Partial<AccountEntity> & Pick<AccountEntity, 'status'>,
  ): Promise<void> {
    const { id, role, hospitalId } = account;
    const vault = await this.keyRing.vault(tx, accountSubject(account));
    const name = vault.seal('account.name', id, account.name);
    const empty = {
      usernameIndex: null,
      username: null,
      password: null,
      codeHash: null,
      codeExpiresAt: null,
      lockedBy: null,
      proposedBy: null,
      factors: 0,
      createdAt: this.clock.now(),
    };
    await this.store.insert(tx, { ...empty, ...values, id, role, hospitalId, name });
  }

  /** Puts a decision about an account on the trail. */
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
