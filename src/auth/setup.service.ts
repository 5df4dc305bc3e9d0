import { Inject, Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { hkdfSha256, lengthPrefixed } from '../crypto/bytes';
import { PasswordHasher } from '../crypto/password-hasher';
import { ROOT_KEYS, type RootKeys } from '../crypto/root-keys';
import { Database } from '../database/database';
import { insertRow, selectRows } from '../database/rows';
import { AccountStore } from './account-store';
import { AccountsService } from './accounts.service';
import type { SetupDto } from './auth.dto';
import { CODE_BYTES, codeFrom, codeHash } from './one-time-code';
import { checkPassword } from './password-policy';
import { SetupOfferEntity } from './setup-offer.entity';

const VALID_MS = 24 * 3_600_000;
/** Key of the one row. */
const OFFER = 1;

/**
 * The first account. There is no default account: whoever can read the server's terminal makes the founder, once.
 *
 * All processes on one database, and those that start again, print the same code for a day: it is derived from a key that is not in the database and the
 * instant at which it was first offered, which is. So the code itself is stored nowhere, and any process can check it.
 */
@Injectable()
export class SetupService {
  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly accounts: AccountsService,
    private readonly hasher: PasswordHasher,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(ROOT_KEYS) private readonly keys: RootKeys,
  ) {}

  /** The set-up code when there is no founder yet, else null. The caller prints it and stores it nowhere. */
  offerCode(): Promise<string | null> {
    return this.database.transaction(async (tx) => {
      if (await this.store.hasFounder(tx)) return null;
      const valid = await this.validCode(tx);
      if (valid !== null) return valid;
      const offeredAt = this.clock.now();
      await tx.delete(SetupOfferEntity, { id: OFFER });
      await insertRow(tx, SetupOfferEntity, { id: OFFER, offeredAt });
      return this.codeOf(offeredAt);
    });
  }

  /** Makes the founder (R2) with the set-up code. */
  async setup(dto: SetupDto, requestId: string): Promise<{ id: string }> {
    if (await this.store.hasFounder(this.database.reader)) throw new ApiError('setup_done');
    const code = await this.validCode(this.database.reader);
    if (code === null || !timingSafeEqual(codeHash(dto.code), codeHash(code))) throw new ApiError('invalid_code');
    const { passwordMinLength: minLength } = this.config.login;
    await checkPassword(dto.password, { minLength, hasSecondFactor: false, username: dto.username, names: [dto.name] });
    const id = newId(this.clock.now());
    const password = await this.hasher.hash(id, dto.password);
    await this.database.transaction(async (tx) => {
      if (await this.store.hasFounder(tx)) throw new ApiError('setup_done');
      const account = { id, role: 'ADMIN' as const, hospitalId: null, name: dto.name };
      await this.accounts.create(tx, account, { username: dto.username, password, status: 'ACTIVE' });
      await tx.delete(SetupOfferEntity, { id: OFFER });
      await this.audit.append(tx, { action: 'setup', outcome: 'ok', actor: account, requestId, subjectId: id });
    });
    return { id };
  }

  /** The code of an offer that is not over. */
  private async validCode(manager: EntityManager): Promise<string | null> {
    const [offer] = await selectRows(manager, SetupOfferEntity, 'id', [OFFER]);
    return offer && Math.abs(this.clock.now() - offer.offeredAt) <= VALID_MS ? this.codeOf(offer.offeredAt) : null;
  }

  private codeOf(offeredAt: number): string {
    const info = lengthPrefixed(['ehr/setup-code/v1', String(offeredAt)]);
    return codeFrom(hkdfSha256(this.keys.pepperKey, new Uint8Array(), info, CODE_BYTES));
  }
}
