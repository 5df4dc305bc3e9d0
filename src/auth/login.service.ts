import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor } from '../common/actor';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { CONFIG, type Config } from '../config/config';
import { HasherBusy } from '../crypto/crypto-error';
import { KeyRing } from '../crypto/key-ring.service';
import { PasswordHasher } from '../crypto/password-hasher';
import type { Sealed } from '../crypto/sealed';
import { Database } from '../database/database';
import type { AccountEntity } from './account.entity';
import { AccountStore } from './account-store';
import { accountSubject, AccountsService } from './accounts.service';
import type { AccountResponse, ActivateDto, LoginDto, PasswordDto, TokenResponse } from './auth.dto';
import type { SecondFactorResponse } from './factor.dto';
import { FactorProofs } from './factor-proofs.service';
import { LockoutService } from './lockout.service';
import { codeHash } from './one-time-code';
import { checkPassword } from './password-policy';
import { SessionsService, type SignIn } from './sessions.service';
import { PASSWORD_ONLY } from './tokens.service';

/** Proving who one is: passwords and one-time codes. */
@Injectable()
export class LoginService {
  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly accounts: AccountsService,
    private readonly sessions: SessionsService,
    private readonly hasher: PasswordHasher,
    private readonly keyRing: KeyRing,
    private readonly lockouts: LockoutService,
    private readonly factors: FactorProofs,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Tokens for user name and password (R4). Unknown, wrong, pending, locked and closed give one answer, after the same work: a password is hashed
   * in every case. Each wrong guess counts, also parallel ones; at the limit the account locks and its tokens end (R6).
   */
  async login(dto: LoginDto, requestId: string): Promise<TokenResponse | SecondFactorResponse> {
    const found = await this.store.find(this.database.reader, 'usernameIndex', this.accounts.usernameIndex(dto.username));
    return this.prove(found, dto.password, requestId, null);
  }

  /** The same for who is signed in: proves it again, and goes on with a new session in place of the old one (SEC-24, SEC-45). */
  async stepUp(actor: Actor, password: string): Promise<TokenResponse | SecondFactorResponse> {
    const found = await this.store.find(this.database.reader, 'id', actor.id);
    return this.prove(found, password, actor.requestId, actor);
  }

  private async prove(
    found: AccountEntity | null,
    password: string,
    requestId: string,
    actor: Actor | null,
  ): Promise<TokenResponse | SecondFactorResponse> {
    const proved = await this.hasher.verify(found?.id ?? '00000000-0000-0000-0000-000000000000', found?.password ?? null, password);
    const replaces = actor?.sessionId ?? null;
    const answer = await this.database.transaction(async (tx) => {
      const account = found && (await this.store.find(tx, 'id', found.id));
      const hasEnded = actor !== null && !(await this.sessions.isOpen(tx, actor));
      const reason = this.lockouts.refusal(account, found?.password, proved) ?? (hasEnded ? 'session_ended' : null);
      if (account && reason === null)
        return (
          (await this.factors.ask(tx, account, replaces, requestId)) ??
          this.signIn(tx, account, { amr: PASSWORD_ONLY, replaces }, requestId)
        );
      await this.lockouts.refuse(tx, account, reason ?? 'unknown', requestId);
      return null;
    });
    if (!answer) throw new ApiError('invalid_credentials');
    if (found?.password) await this.rehash(found.id, found.password, password);
    return answer;
  }

  /** First user name and password of an issued account (R3). */
  async activate(dto: ActivateDto, requestId: string): Promise<AccountResponse> {
    checkPassword(dto.password, { minLength: this.config.login.passwordMinLength, username: dto.username });
    const hash = codeHash(dto.code);
    const account = await this.store.find(this.database.reader, 'codeHash', hash);
    if (!account) throw new ApiError('invalid_code');
    const password = await this.hasher.hash(account.id, dto.password);
    return this.database.transaction(async (tx) => {
      const current = await this.store.find(tx, 'codeHash', hash);
      if (current?.status !== 'ISSUED' || (current.codeExpiresAt ?? 0) <= this.clock.now()) throw new ApiError('invalid_code');
      const usernameIndex = this.accounts.usernameIndex(dto.username);
      // The holder of a valid code may learn that a name is taken: there is no other way to choose one.
      if (await this.store.isTaken(tx, usernameIndex))
        throw new ApiError('already_exists', 'This user name is taken', { errors: [{ path: 'username', message: 'is taken' }] });
      const vault = await this.keyRing.vault(tx, accountSubject(current));
      const username = vault.seal('account.username', current.id, dto.username);
      const login = { usernameIndex, username, password, codeHash: null, codeExpiresAt: null };
      const active = await this.store.update(tx, current, { ...login, status: 'ACTIVE', failedAttempts: 0 });
      await this.audit.append(tx, {
        action: 'account.activate',
        outcome: 'ok',
        actor: current,
        requestId,
        hospitalId: current.hospitalId,
        subjectId: current.id,
      });
      return this.accounts.toResponse(tx, active);
    });
  }

  /**
   * Changes the own password; needs the current one and ends all other sessions. Hashing takes its time: when the password was replaced meanwhile (a
   * new one-time code for a stolen login) or the session ended, the change is refused, or the thief would take the account back.
   */
  async changePassword(actor: Actor, dto: PasswordDto): Promise<void> {
    const account = await this.store.find(this.database.reader, 'id', actor.id);
    if (!account?.username) throw notFound();
    const vault = await this.keyRing.vault(this.database.reader, accountSubject(account));
    checkPassword(dto.newPassword, {
      minLength: this.config.login.passwordMinLength,
      username: vault.open('account.username', account.id, account.username),
    });
    const proved = await this.hasher.verify(account.id, account.password, dto.currentPassword);
    const password = proved ? await this.hasher.hash(account.id, dto.newPassword) : null;
    const done = await this.database.transaction(async (tx) => {
      const current = await this.store.find(tx, 'id', actor.id);
      const isOpen = await this.sessions.isOpen(tx, actor);
      const reason = this.lockouts.refusal(current, account.password, proved) ?? (isOpen ? null : 'session_ended');
      if (!password || !current || reason !== null) {
        await this.lockouts.refuse(tx, current, reason ?? 'wrong_password', actor.requestId);
        return false;
      }
      await this.store.update(tx, current, { password, failedAttempts: 0 });
      await this.sessions.endOthers(tx, actor.id, actor.sessionId);
      await this.audit.append(tx, {
        action: 'password.change',
        outcome: 'ok',
        actor,
        requestId: actor.requestId,
        subjectId: actor.id,
        hospitalId: actor.hospitalId,
      });
      return true;
    });
    if (!done) throw new ApiError('invalid_credentials');
  }

  async me(actor: Actor): Promise<AccountResponse> {
    const account = await this.store.find(this.database.reader, 'id', actor.id);
    if (!account) throw notFound();
    return this.accounts.toResponse(this.database.reader, account);
  }

  /** A session for somebody who has proved all that is asked for. */
  async signIn(tx: EntityManager, account: AccountEntity, by: SignIn, requestId: string): Promise<TokenResponse> {
    if (account.failedAttempts > 0) await this.store.update(tx, account, { failedAttempts: 0 });
    await this.audit.append(tx, {
      action: by.replaces === null ? 'login' : 'step-up',
      outcome: 'ok',
      actor: account,
      requestId,
      hospitalId: account.hospitalId,
      subjectId: account.id,
      kind: by.amr,
    });
    return this.sessions.open(tx, account, by);
  }

  /** After a sign-in: a hash of cheaper parameters than today's is made anew (SEC-29), unless the password was changed meanwhile. */
  private async rehash(accountId: string, verified: Sealed, plain: string): Promise<void> {
    if (!this.hasher.needsRehash(accountId, verified)) return;
    try {
      const password = await this.hasher.hash(accountId, plain);
      await this.database.transaction(async (tx) => {
        const current = await this.store.find(tx, 'id', accountId);
        if (current?.password?.equals(verified)) await this.store.update(tx, current, { password });
      });
    } catch (error) {
      if (!(error instanceof HasherBusy)) throw error; // the next sign-in will do
    }
  }
}
