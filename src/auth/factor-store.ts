import { Injectable } from '@nestjs/common';
import { type EntityManager, IsNull } from 'typeorm';
import { ApiError } from '../common/errors';
import { selectRows } from '../database/rows';
import type { AccountEntity } from './account.entity';
import { PendingProofEntity, RecoveryCodeEntity, SecondFactorEntity } from './second-factor.entity';

/** The rows of second factors. */
@Injectable()
export class FactorStore {
  /** What the holder of an account can prove beside the password. */
  async confirmed(manager: EntityManager, accountId: string): Promise<SecondFactorEntity[]> {
    return (await selectRows(manager, SecondFactorEntity, 'accountId', [accountId])).filter((row) => row.confirmedAt !== null);
  }

  /** The same, held against what the account's row says: who can write the database must not take one away unseen. @throws ApiError `integrity_error` */
  async of(manager: EntityManager, { id, factors }: Pick<AccountEntity, 'id' | 'factors'>): Promise<SecondFactorEntity[]> {
    const found = await this.confirmed(manager, id);
    if (found.length !== factors) throw new ApiError('integrity_error', 'The second factors of an account were altered');
    return found;
  }

  /** The code app that was not tried yet. */
  unconfirmed(manager: EntityManager, accountId: string): Promise<SecondFactorEntity | null> {
    return manager.getRepository(SecondFactorEntity).findOneBy({ accountId, confirmedAt: IsNull() });
  }

  recoveryCodes(manager: EntityManager, accountId: string): Promise<number> {
    return manager.getRepository(RecoveryCodeEntity).countBy({ accountId });
  }

  /** Takes away all that an account could prove beside its password; says how many factors there were. */
  async forget(tx: EntityManager, accountId: string): Promise<number> {
    const factors = await this.confirmed(tx, accountId);
    await tx.getRepository(SecondFactorEntity).delete({ accountId });
    await tx.getRepository(RecoveryCodeEntity).delete({ accountId });
    await tx.getRepository(PendingProofEntity).delete({ accountId });
    return factors.length;
  }
}
