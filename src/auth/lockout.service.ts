import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { CONFIG, type Config } from '../config/config';
import type { Sealed } from '../crypto/sealed';
import { selectRows } from '../database/rows';
import { type AccountEntity, isLockedByGuesses, NOBODY } from './account.entity';
import { AccountStore } from './account-store';
import { DevicesService } from './devices.service';
import type { KnownDeviceEntity } from './known-device.entity';
import { LoginCounterEntity } from './login-counter.entity';
import { SessionsService } from './sessions.service';

const LONGEST_DELAY_MS = 15 * 60_000;
/** Three slips cost nothing. */
const FIRST_DELAYED = 4;

/** Who tries to sign in: an account as it is now, from one of its devices (else null), and what this way in has counted. */
export interface Attempt {
  readonly account: AccountEntity | null;
  readonly device: KnownDeviceEntity | null;
  readonly failures: number;
  readonly waitUntil: number;
}

/**
 * What follows wrong passwords and second factors (decision 0021). Those of clients that the account does not know count together: from the fourth on they have to
 * wait, and at the limit the account locks (R6), but for its known devices. Each of these counts for itself, and at the limit is known no more. The
 * last founder, whom nobody could unlock, is never locked.
 */
@Injectable()
export class LockoutService {
  constructor(
    private readonly store: AccountStore,
    private readonly devices: DevicesService,
    private readonly sessions: SessionsService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** An attempt for the account with this id, or for nobody. Unknown accounts cost the same statements as others (SEC-31). */
  async attempt(tx: EntityManager, accountId: string | undefined, deviceToken: string | undefined): Promise<Attempt> {
    const id = accountId ?? NOBODY;
    const account = await this.store.find(tx, 'id', id);
    const device = await this.devices.recognise(tx, deviceToken, id);
    const [counter] = await selectRows(tx, LoginCounterEntity, 'subject', [device?.id ?? id]);
    const isCurrent = counter && this.clock.now() - counter.failedAt < this.config.login.counterSeconds * 1000;
    return { account, device, failures: isCurrent ? counter.failures : 0, waitUntil: isCurrent && !device ? counter.waitUntil : 0 };
  }

  /**
   * Why the account cannot be used with a password that was checked outside of the transaction; null when it can.
   *
   * @param verified the stored password against which it was checked: one that was changed or taken away meanwhile proves nothing
   */
  refusal(attempt: Attempt, verified: Sealed | null | undefined, proved: boolean): string | null {
    const { account } = attempt;
    if (!account) return 'unknown';
    if (this.mustWait(attempt)) return 'throttled';
    if (!proved) return 'wrong_password';
    if (!isOpen(attempt)) return account.status.toLowerCase();
    return verified && account.password?.equals(verified) ? null : 'password_changed';
  }

  /**
   * Puts the refusal on the trail and counts a wrong password, also of who has to wait: guesses that arrive together are as many (SEC-36). Where nothing
   * is counted the same statements run, on a row that means nothing (SEC-31).
   */
  async refuse(tx: EntityManager, attempt: Attempt, refused: { reason: string; proved: boolean; requestId: string }): Promise<void> {
    const { account, device } = attempt;
    const { reason, proved, requestId } = refused;
    const about = { requestId, hospitalId: account?.hospitalId ?? null, subjectId: account?.id ?? null };
    await this.audit.append(tx, { ...about, action: 'login', outcome: 'denied', actor: account, reason });
    const hasOthers = await this.store.hasOtherFounder(tx, account?.id ?? NOBODY);
    const isSpared = account?.role === 'ADMIN' && account.status === 'ACTIVE' && !hasOthers && !device;
    const waits = reason === 'throttled';
    const counts = account !== null && !proved && isOpen(attempt) && !(waits && isSpared);
    const failures = counts ? attempt.failures + 1 : 0;
    const failedAt = this.clock.now();
    const waitUntil = waits ? attempt.waitUntil : failedAt + delayAfter(failures);
    const subject = counts ? (device?.id ?? account.id) : NOBODY;
    await tx.getRepository(LoginCounterEntity).upsert({ subject, failures, failedAt, waitUntil }, ['subject']);
    if (!counts || failures < this.config.login.maxAttempts || isSpared) return;
    if (device) {
      await this.devices.drop(tx, [device]);
      const forgotten = { ...about, subjectId: device.id, action: 'device.forget', outcome: 'ok', actor: null } as const;
      return this.audit.append(tx, { ...forgotten, reason: 'too_many_attempts' });
    }
    await this.store.update(tx, account, { status: 'LOCKED', lockedBy: 'guesses' });
    await this.sessions.endAll(tx, account.id);
    await this.audit.append(tx, { ...about, action: 'account.lock', outcome: 'ok', actor: null, reason: 'too_many_attempts' });
  }

  /** After a success: the way in by which it came counts from anew. */
  async clear(tx: EntityManager, { account, device, failures }: Attempt): Promise<void> {
    if (account && failures > 0) await this.reset(tx, device?.id ?? account.id);
  }

  /** After a decision about the account. */
  async reset(tx: EntityManager, subject: string): Promise<void> {
    await tx.getRepository(LoginCounterEntity).delete({ subject });
  }

  private mustWait({ account, waitUntil }: Attempt): boolean {
    return account?.status === 'ACTIVE' && this.clock.now() < waitUntil;
  }
}

/** Whether the right password would open the account, by this way in. */
function isOpen({ account, device }: Attempt): boolean {
  return account?.status === 'ACTIVE' || (account !== null && isLockedByGuesses(account) && device !== null);
}

/** One second after the fourth failure, twice as long after each further one. */
function delayAfter(failures: number): number {
  return failures < FIRST_DELAYED ? 0 : Math.min(1000 * 2 ** (failures - FIRST_DELAYED), LONGEST_DELAY_MS);
}
