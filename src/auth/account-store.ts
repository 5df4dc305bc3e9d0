import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { insertRow, selectRows, updateRow } from '../database/rows';
import { AccountEntity, type AccountStatus } from './account.entity';

/** The only reader and writer of account rows. Each carries a tag: one that somebody else wrote is refused (`rows.ts`). */
@Injectable()
export class AccountStore {
  /** The account whose unique column has this value. */
  async find<K extends 'id' | 'usernameIndex' | 'codeHash'>(
    manager: EntityManager,
    column: K,
    value: NonNullable<AccountEntity[K]>,
  ): Promise<AccountEntity | null> {
    return (await selectRows(manager, AccountEntity, column, [value]))[0] ?? null;
  }

  /** Those of these accounts that exist, in no order. */
  findAll(manager: EntityManager, ids: readonly string[]): Promise<AccountEntity[]> {
    return selectRows(manager, AccountEntity, 'id', [...new Set(ids)]);
  }

  async isTaken(manager: EntityManager, usernameIndex: Buffer): Promise<boolean> {
    return (await this.find(manager, 'usernameIndex', usernameIndex)) !== null;
  }

  hasFounder(manager: EntityManager): Promise<boolean> {
    return manager.getRepository(AccountEntity).existsBy({ role: 'ADMIN' });
  }

  /** Whether there is another founder than this one, who can sign in unless told otherwise. */
  async hasOtherFounder(manager: EntityManager, id: string, statuses: readonly AccountStatus[] = ['ACTIVE']): Promise<boolean> {
    const founders = await selectRows(manager, AccountEntity, 'role', ['ADMIN']);
    return founders.some((row) => row.id !== id && row.hospitalId === null && statuses.includes(row.status));
  }

  insert(tx: EntityManager, row: AccountEntity): Promise<void> {
    return insertRow(tx, AccountEntity, row);
  }

  /** Writes `changes` into a row that was read in the same transaction; returns the row as it is then. */
  update(tx: EntityManager, row: AccountEntity, changes: Partial<Omit<AccountEntity, 'id'>>): Promise<AccountEntity> {
    return updateRow<AccountEntity>(tx, AccountEntity, row, changes);
  }
}
