import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { CONFIG, type Config } from '../config/config';
import type { Sealed } from '../crypto/sealed';
import type { AccountEntity } from './account.entity';
import { AccountStore } from './account-store';
import { AccountsService } from './accounts.service';
import { SessionsService } from './sessions.service';

const LONGEST_DELAY_MS = 15 * 60_000;

/** Reasons that count towards the lock. */
const COUNTED = ['wrong_password', 'wrong_second_factor'];

/** What follows wrong passwords and second factors: they count, and at the limit the account locks (R6); the last founder, whom nobody could unlock, has to wait instead. */
@Injectable()
export class LockoutService {
  /**
   * When founders who are spared the lock last failed. In memory: they are few, and a restart, which only the operator can do, ends the wait.
   * Written at once and not after the commit, for guesses that arrive together are committed together.
   */
  private readonly lastFailures = new Map<string, number>();

  constructor(
    private readonly store: AccountStore,
    private readonly accounts: AccountsService,
    private readonly sessions: SessionsService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Why the account cannot be used with a password that was checked outside of the transaction; null when it can.
   *
   * @param verified the stored password against which it was checked: one that was changed or taken away meanwhile proves nothing
   */
  refusal(account: AccountEntity | null, verified: Sealed | null | undefined, proved: boolean): string | null {
    if (!account) return 'unknown';
    if (account.status === 'ACTIVE' && this.mustWait(account)) return 'throttled';
    if (!proved) return 'wrong_password';
    if (account.status !== 'ACTIVE') return account.status.toLowerCase();
    return verified && account.password?.equals(verified) ? null : 'password_changed';
  }

  /** Puts the refusal on the trail and counts a wrong password. Who has to wait is not counted: guessing must not make the wait longer. */
  async refuse(tx: EntityManager, account: AccountEntity | null, reason: string, requestId: string): Promise<void> {
    const about = { requestId, hospitalId: account?.hospitalId ?? null, subjectId: account?.id ?? null };
    await this.audit.append(tx, { ...about, action: 'login', outcome: 'denied', actor: account, reason });
    if (account?.status !== 'ACTIVE' || !COUNTED.includes(reason)) return;
    const failedAttempts = account.failedAttempts + 1;
    const isFull = failedAttempts >= this.config.login.maxAttempts;
    const locks = isFull && !(await this.accounts.isLastAdmin(tx, account));
    await this.store.update(tx, account, { failedAttempts, ...(locks ? { status: 'LOCKED' as const } : {}) });
    if (!isFull) return;
    if (!locks) return void this.lastFailures.set(account.id, this.clock.now());
    await this.sessions.endAll(tx, account.id);
    await this.audit.append(tx, { ...about, action: 'account.lock', outcome: 'ok', actor: null, reason: 'too_many_attempts' });
  }

  /** One second after the first failure at the limit, twice as long after each further one. */
  private mustWait({ id, failedAttempts }: AccountEntity): boolean {
    const beyond = failedAttempts - this.config.login.maxAttempts;
    const last = this.lastFailures.get(id);
    return last !== undefined && beyond >= 0 && this.clock.now() - last < Math.min(1000 * 2 ** beyond, LONGEST_DELAY_MS);
  }
}
