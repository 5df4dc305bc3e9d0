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
import { type AccountEntity, NOBODY } from './account.entity';
import { AccountStore } from './account-store';
import { accountSubject, AccountsService } from './accounts.service';
import type { AccountResponse, ActivateDto, LoginDto, LoginResponse, PasswordDto } from './auth.dto';
import { DevicesService } from './devices.service';
import type { SecondFactorResponse } from './factor.dto';
import { FactorProofs } from './factor-proofs.service';
import { type Attempt, LockoutService } from './lockout.service';
import { codeHash } from './one-time-code';
import { checkPassword } from './password-policy';
import { SessionsService, type SignIn } from './sessions.service';
import { PASSWORD_ONLY } from './tokens.service';

/** Where a sign-in comes from. */
export interface Client {
  /** Of a device on which somebody has signed in before. */
  readonly deviceToken: string | undefined;
  readonly requestId: string;
}

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
    private readonly devices: DevicesService,
    private readonly factors: FactorProofs,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Tokens for user name and password (R4). Unknown, wrong, pending, locked and closed give one answer, after the same work (SEC-31): one password is
   * hashed and the same statements run in every case. Each wrong guess counts, also parallel ones; at the limit the account locks and its tokens end (R6).
   */
  async login(dto: LoginDto, client: Client): Promise<LoginResponse | SecondFactorResponse> {
    const found = await this.store.find(this.database.reader, 'usernameIndex', this.accounts.usernameIndex(dto.username));
    return this.prove(found, dto.password, client, null);
  }

  /** The same for who is signed in: proves it again, and goes on with a new session in place of the old one (SEC-24, SEC-45). */
  async stepUp(actor: Actor, password: string, deviceToken: string | undefined): Promise<LoginResponse | SecondFactorResponse> {
    const found = await this.store.find(this.database.reader, 'id', actor.id);
    return this.prove(found, password, { deviceToken, requestId: actor.requestId }, actor);
  }

  private async prove(
    found: AccountEntity | null,
    password: string,
    client: Client,
    actor: Actor | null,
  ): Promise<LoginResponse | SecondFactorResponse> {
    const proved = await this.hasher.verify(found?.id ?? NOBODY, found?.password ?? null, password);
    const replaces = actor?.sessionId ?? null;
    const { deviceToken, requestId } = client;
    const answer = await this.database.transaction(async (tx) => {
      const attempt = await this.lockouts.attempt(tx, found?.id, deviceToken);
      const hasEnded = actor !== null && !(await this.sessions.isOpen(tx, actor));
      const reason = this.lockouts.refusal(attempt, found?.password, proved) ?? (hasEnded ? 'session_ended' : null);
      if (attempt.account && reason === null) {
        const asked = await this.factors.ask(tx, attempt.account, replaces, requestId);
        return asked ?? this.signIn(tx, attempt.account, attempt, { amr: PASSWORD_ONLY, replaces }, client);
      }
      await this.lockouts.refuse(tx, attempt, { reason: reason ?? 'unknown', proved, requestId });
      return null;
    });
    if (!answer) throw new ApiError('invalid_credentials');
    if (found?.password) await this.rehash(found.id, found.password, password);
    return answer;
  }

  /** First user name and password of an issued account (R3). */
  async activate(dto: ActivateDto, requestId: string): Promise<AccountResponse> {
    const hash = codeHash(dto.code);
    const account = await this.store.find(this.database.reader, 'codeHash', hash);
    await this.checkPassword(dto.password, dto.username, account);
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
      const active = await this.store.update(tx, current, { ...login, status: 'ACTIVE' });
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
  async changePassword(actor: Actor, dto: PasswordDto, deviceToken: string | undefined): Promise<void> {
    const account = await this.store.find(this.database.reader, 'id', actor.id);
    if (!account?.username) throw notFound();
    const vault = await this.keyRing.vault(this.database.reader, accountSubject(account));
    await this.checkPassword(dto.newPassword, vault.open('account.username', account.id, account.username), account, 'newPassword');
    const proved = await this.hasher.verify(account.id, account.password, dto.currentPassword);
    const password = proved ? await this.hasher.hash(account.id, dto.newPassword) : null;
    const done = await this.database.transaction(async (tx) => {
      const attempt = await this.lockouts.attempt(tx, actor.id, deviceToken);
      const isOpen = await this.sessions.isOpen(tx, actor);
      const reason = this.lockouts.refusal(attempt, account.password, proved) ?? (isOpen ? null : 'session_ended');
      if (!password || !attempt.account || reason !== null) {
        await this.lockouts.refuse(tx, attempt, { reason: reason ?? 'wrong_password', proved, requestId: actor.requestId });
        return false;
      }
      await this.store.update(tx, attempt.account, { password });
      await this.lockouts.clear(tx, attempt);
      await this.sessions.endOthers(tx, actor.id, actor.sessionId);
      await this.devices.forgetAll(tx, actor.id, attempt.device);
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

  private async checkPassword(password: string, username: string, account: AccountEntity | null, path?: string): Promise<void> {
    const names = account ? await this.accounts.names([account.id, account.hospitalId]) : [];
    // A factor that the role need not have may be gone tomorrow: then the password has to stand alone.
    const hasSecondFactor = account !== null && account.factors > 0 && this.config.login.secondFactorRoles.includes(account.role);
    await checkPassword(password, { minLength: this.config.login.passwordMinLength, hasSecondFactor, username, names }, path);
  }

  /** A session for somebody who has proved all that is asked for, on a device that is known from then on. */
  async signIn(tx: EntityManager, account: AccountEntity, attempt: Attempt, by: SignIn, client: Client): Promise<LoginResponse> {
    const { deviceToken, requestId } = client;
    await this.lockouts.clear(tx, attempt);
    await this.audit.append(tx, {
      action: by.replaces === null ? 'login' : 'step-up',
      outcome: 'ok',
      actor: account,
      requestId,
      hospitalId: account.hospitalId,
      subjectId: account.id,
      kind: by.amr,
    });
    const tokens = await this.sessions.open(tx, account, by);
    return { ...tokens, deviceToken: await this.devices.remember(tx, account.id, attempt.device, deviceToken) };
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
