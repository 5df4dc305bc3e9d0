import { Inject, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { BLIND_INDEX_BYTES } from '../crypto/blind-index';
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
   * Makes a PENDING account, and with `store` what belongs to it, in one transaction. When the user name is taken the same is done under a name that
   * nobody has and rolled back, and the answer is the same: neither it nor the time it takes tells who is registered (SEC-32).
   */
  async register(
    person: Pick<NewAccount, 'role' | 'name'> & { hospitalId: string },
    login: CredentialsDto,
    requestId: string,
    store: (tx: EntityManager, id: string) => Promise<void>,
  ): Promise<PendingResponse> {
    const names = [person.name, ...(await this.accounts.names([person.hospitalId]))];
    const { passwordMinLength: minLength } = this.config.login;
    await checkPassword(login.password, { minLength, hasSecondFactor: false, username: login.username, names });
    const id = newId(this.clock.now());
    const password = await this.hasher.hash(id, login.password);
    await this.database.transaction(async (tx) => {
      const isTaken = await this.accounts.isTaken(tx, login.username);
      await inSavepoint(tx, !isTaken, async (inner) => {
        const index = isTaken ? randomBytes(BLIND_INDEX_BYTES) : undefined;
        await this.accounts.create(inner, { ...person, id }, { username: login.username, password, status: 'PENDING' }, index);
        await store(inner, id);
      });
      const event = { action: 'account.register', actor: null, requestId, hospitalId: person.hospitalId, kind: person.role } as const;
      await this.audit.append(
        tx,
        isTaken ? { ...event, outcome: 'denied', reason: 'username_taken' } : { ...event, outcome: 'ok', subjectId: id },
      );
    });
    return { status: 'PENDING' };
  }
}

class NotKept extends Error {}

/** Does the work in a savepoint of its own, which is kept or not. */
async function inSavepoint(tx: EntityManager, keeps: boolean, work: (inner: EntityManager) => Promise<void>): Promise<void> {
  try {
    await tx.transaction(async (inner) => {
      await work(inner);
      if (!keeps) throw new NotKept();
    });
  } catch (error) {
    if (!(error instanceof NotKept)) throw error;
  }
}
