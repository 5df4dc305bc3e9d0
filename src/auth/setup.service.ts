import { Inject, Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { PasswordHasher } from '../crypto/password-hasher';
import { Database } from '../database/database';
import { AccountStore } from './account-store';
import { AccountsService } from './accounts.service';
import type { SetupDto } from './auth.dto';
import { codeHash, newCode } from './one-time-code';
import { checkPassword } from './password-policy';

const VALID_MS = 24 * 3_600_000;

/** The first account. There is no default account: whoever can read the server's terminal makes the founder, once. */
@Injectable()
export class SetupService {
  private expected: { hash: Buffer; until: number } | undefined;

  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly accounts: AccountsService,
    private readonly hasher: PasswordHasher,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** A fresh set-up code when there is no founder yet, else null. Kept hashed in memory only; the caller prints it and stores it nowhere. */
  async offerCode(): Promise<string | null> {
    if (await this.store.hasFounder(this.database.reader)) return null;
    const code = newCode();
    this.expected = { hash: codeHash(code), until: this.clock.now() + VALID_MS };
    return code;
  }

  /** Makes the founder (R2) with the set-up code. */
  async setup(dto: SetupDto, requestId: string): Promise<{ id: string }> {
    const { expected } = this;
    if (!expected) throw new ApiError('setup_done');
    if (!timingSafeEqual(codeHash(dto.code), expected.hash) || this.clock.now() > expected.until) throw new ApiError('invalid_code');
    const { passwordMinLength: minLength } = this.config.login;
    await checkPassword(dto.password, { minLength, hasSecondFactor: false, username: dto.username, names: [dto.name] });
    const id = newId(this.clock.now());
    const password = await this.hasher.hash(id, dto.password);
    await this.database.transaction(async (tx) => {
      if (await this.store.hasFounder(tx)) throw new ApiError('setup_done');
      const account = { id, role: 'ADMIN' as const, hospitalId: null, name: dto.name };
      await this.accounts.create(tx, account, { username: dto.username, password, status: 'ACTIVE' });
      await this.audit.append(tx, { action: 'setup', outcome: 'ok', actor: account, requestId, subjectId: id });
    });
    this.expected = undefined;
    return { id };
  }
}
