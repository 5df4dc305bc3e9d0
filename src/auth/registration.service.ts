import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { PasswordHasher } from '../crypto/password-hasher';
import { Database } from '../database/database';
import { AccountsService, type NewAccount } from './accounts.service';
import type { CredentialsDto, PendingResponse } from './auth.dto';
import { checkPassword } from './password-policy';

/** People who register themselves (R1). They wait for the approval of their hospital or the founder (R2). */
@Injectable()
export class RegistrationService {
  constructor(
    private readonly database: Database,
    private readonly accounts: AccountsService,
    private readonly hasher: PasswordHasher,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Makes a PENDING account, and with `store` what belongs to it, in one transaction. When the user name is taken nothing is stored and the answer
   * is the same: it must not tell who is registered.
   */
  async register(
    person: Pick<NewAccount, 'role' | 'name'> & { hospitalId: string },
    login: CredentialsDto,
    requestId: string,
    store: (tx: EntityManager, id: string) => Promise<void>,
  ): Promise<PendingResponse> {
    checkPassword(login.password, { minLength: this.config.login.passwordMinLength, username: login.username });
    const id = newId(this.clock.now());
    const password = await this.hasher.hash(id, login.password);
    await this.database.transaction(async (tx) => {
      const created = await this.accounts.create(tx, { ...person, id }, { username: login.username, password, status: 'PENDING' });
      if (created) await store(tx, id);
      const event = { action: 'account.register', actor: null, requestId, hospitalId: person.hospitalId, kind: person.role } as const;
      await this.audit.append(
        tx,
        created ? { ...event, outcome: 'ok', subjectId: id } : { ...event, outcome: 'denied', reason: 'username_taken' },
      );
    });
    return { status: 'PENDING' };
  }
}
