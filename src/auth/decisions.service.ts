import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor, Role } from '../common/actor';
import type { SystemAction } from '../audit/actions';
import { Clock } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { CONFIG, type Config } from '../config/config';
import { Sealed } from '../crypto/sealed';
import { Database } from '../database/database';
import { type AccountEntity, type AccountStatus, isLockedByGuesses, type Locker, LOCKERS } from './account.entity';
import { AccountStore } from './account-store';
import { AccountsService } from './accounts.service';
import type { AccountResponse, ApprovedResponse, IssuedCodeResponse } from './auth.dto';
import { DevicesService } from './devices.service';
import { FactorStore } from './factor-store';
import { LockoutService } from './lockout.service';
import { freshCode } from './one-time-code';
import { RevocationsService } from './revocations.service';
import { SessionsService } from './sessions.service';

/** Told inside the transaction of a decision about an account. */
type DecisionListener = (tx: EntityManager, account: { id: string; role: Role; hospitalId: string | null }) => Promise<void>;

interface Decision {
  readonly action: Extract<SystemAction, `account.${string}`>;
  readonly from: readonly AccountStatus[];
  readonly to: AccountStatus;
}
const DECISIONS = {
  approve: { action: 'account.approve', from: ['PENDING'], to: 'ACTIVE' },
  reject: { action: 'account.reject', from: ['PENDING'], to: 'REJECTED' },
  lock: { action: 'account.lock', from: ['ACTIVE', 'LOCKED'], to: 'LOCKED' },
  unlock: { action: 'account.unlock', from: ['LOCKED'], to: 'ACTIVE' },
  close: { action: 'account.close', from: ['PENDING', 'ISSUED', 'ACTIVE', 'LOCKED'], to: 'CLOSED' },
} as const satisfies Record<string, Decision>;

/** What people decide about the accounts of others. */
@Injectable()
export class DecisionsService {
  private readonly approved: DecisionListener[] = [];
  private readonly closed: DecisionListener[] = [];

  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly accounts: AccountsService,
    private readonly sessions: SessionsService,
    private readonly revocations: RevocationsService,
    private readonly devices: DevicesService,
    private readonly lockouts: LockoutService,
    private readonly factors: FactorStore,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** When a registration becomes ACTIVE. */
  onApproved(listener: DecisionListener): void {
    this.approved.push(listener);
  }

  /** When an account ends for good. */
  onClosed(listener: DecisionListener): void {
    this.closed.push(listener);
  }

  /** Rejects, locks, unlocks or closes. Nobody decides about the own account; a hospital only about its doctors and patients. */
  decide(actor: Actor, id: string, name: Exclude<keyof typeof DECISIONS, 'approve'>): Promise<AccountResponse> {
    return this.database.transaction(async (tx) => {
      const account = await this.deciding(tx, actor, id);
      return this.accounts.toResponse(tx, await this.change(tx, actor, account, DECISIONS[name]));
    });
  }

  /** Lets a registration sign in, or a further founder choose a login: that is for another founder than the one who proposed it (SEC-39). */
  approve(actor: Actor, id: string): Promise<ApprovedResponse> {
    return this.database.transaction(async (tx) => {
      const account = await this.deciding(tx, actor, id);
      if (account.proposedBy === null || account.status !== 'PENDING') {
        const changed = await this.change(tx, actor, account, DECISIONS.approve);
        return { ...(await this.accounts.toResponse(tx, changed)), activation: null };
      }
      if (account.proposedBy === actor.id) throw new ApiError('forbidden', 'Another founder than the one who proposed it approves');
      const { code, row } = freshCode(this.clock.now(), this.config);
      const issued = await this.store.update(tx, account, { status: 'ISSUED', ...row });
      await this.accounts.note(tx, actor, 'account.approve', account);
      return { ...(await this.accounts.toResponse(tx, issued)), activation: { accountId: id, ...code } };
    });
  }

  /** A new one-time code in place of a lost password, code or second factor. Old tokens end, second factors are taken away. */
  reissue(actor: Actor, id: string): Promise<IssuedCodeResponse> {
    return this.database.transaction(async (tx) => {
      const account = await this.deciding(tx, actor, id);
      // Whoever holds the code takes the account over, and so one founder alone would be two.
      if (account.role === 'ADMIN') throw new ApiError('conflict', 'Close this account, and propose the founder anew');
      if (account.status !== 'ISSUED' && account.status !== 'ACTIVE' && account.status !== 'LOCKED')
        throw new ApiError('conflict', 'This account cannot get a code');
      assertMayUndo(actor, account);
      const { code, row } = freshCode(this.clock.now(), this.config);
      const noLogin = { password: null, usernameIndex: null, username: null, lockedBy: null, factors: 0 };
      await this.store.update(tx, account, { ...noLogin, status: 'ISSUED', ...row });
      await this.endAccess(tx, id);
      if ((await this.factors.forget(tx, id)) > 0) await this.accounts.note(tx, actor, 'factor.remove', account);
      await this.accounts.note(tx, actor, 'account.issue', account);
      return { accountId: id, ...code };
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
    const nobody = {
      usernameIndex: null,
      username: null,
      name: Sealed.nothing,
      password: null,
      codeHash: null,
      codeExpiresAt: null,
      factors: 0,
    };
    const account = await this.store.find(tx, 'id', id);
    if (account) await this.store.update(tx, account, nobody);
    await this.factors.forget(tx, id);
  }

  private async change(tx: EntityManager, actor: Actor, account: AccountEntity, decision: Decision): Promise<AccountEntity> {
    if (!decision.from.includes(account.status)) throw new ApiError('conflict', `An account that is ${account.status} does not allow this`);
    if (decision.to !== 'ACTIVE') await this.keepLastAdmin(tx, account);
    const isUnlock = account.status === 'LOCKED' && decision.to === 'ACTIVE';
    if (isUnlock) assertMayUndo(actor, account);
    const lockedBy = decision.to === 'LOCKED' ? strongerLock(actor, account) : null;
    const changed = await this.store.update(tx, account, { status: decision.to, lockedBy, codeHash: null, codeExpiresAt: null });
    // An unlock gives back what there was: the holder's devices stay known.
    if (isUnlock) await this.lockouts.reset(tx, account.id);
    else if (decision.to !== 'ACTIVE') await this.endAccess(tx, account.id);
    if (decision.to === 'ACTIVE' && account.status === 'PENDING') await tell(this.approved, tx, account);
    if (decision.to === 'CLOSED') await tell(this.closed, tx, account);
    await this.accounts.note(tx, actor, decision.action, account);
    return changed;
  }

  private async endAccess(tx: EntityManager, accountId: string): Promise<void> {
    await this.sessions.endAll(tx, accountId);
    await this.devices.forgetAll(tx, accountId);
    await this.lockouts.reset(tx, accountId);
  }

  /** The account that the actor may decide about; everything else does not exist for the actor. */
  async deciding(tx: EntityManager, actor: Actor, id: string): Promise<AccountEntity> {
    this.revocations.assertStillValid(actor);
    const account = await this.store.find(tx, 'id', id);
    const own = account?.hospitalId === actor.hospitalId && (account?.role === 'DOCTOR' || account?.role === 'PATIENT');
    if (!account || (actor.role !== 'ADMIN' && !own)) throw notFound();
    if (account.id === actor.id) throw new ApiError('forbidden', 'Nobody decides about the own account');
    return account;
  }

  /** Two founders who decide about each other at the same moment would leave nobody: tokens are checked before the transaction. */
  private async keepLastAdmin(tx: EntityManager, { id, role, status }: AccountEntity): Promise<void> {
    if (role !== 'ADMIN' || status !== 'ACTIVE') return;
    if (!(await this.store.hasOtherFounder(tx, id))) throw new ApiError('conflict', 'The last founder who can sign in stays');
  }
}

async function tell(listeners: readonly DecisionListener[], tx: EntityManager, account: AccountEntity): Promise<void> {
  for (const listener of listeners) await listener(tx, account);
}

/** A hospital does not undo what the founder decided. */
function assertMayUndo(actor: Actor, { lockedBy }: AccountEntity): void {
  if (lockedBy === 'founder' && actor.role !== 'ADMIN') throw new ApiError('forbidden', 'The founder locked this account');
}

/** People lock also what guesses have locked, which their devices could still use; the founder also what a hospital has. */
function strongerLock(actor: Actor, account: AccountEntity): Locker {
  const lock: Locker = actor.role === 'ADMIN' ? 'founder' : 'hospital';
  const isStronger = account.lockedBy === null || LOCKERS.indexOf(lock) > LOCKERS.indexOf(account.lockedBy);
  if (account.status === 'LOCKED' && !isStronger && !isLockedByGuesses(account))
    throw new ApiError('conflict', 'This account is locked already');
  return lock;
}
