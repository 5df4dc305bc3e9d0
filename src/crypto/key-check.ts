import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { CryptoError } from './crypto-error';
import { KeyCheckRow } from './key-check.entity';
import type { RootKeys } from './root-keys';

function checkValue(key: KeyObject, name: KeyCheckRow['name']): Buffer {
  return createHmac('sha256', key).update(`ehr/key-check/v1/${name}`).digest();
}

/**
 * Compares the key files with the check values in the database. A swapped index key would split the uniqueness of user names in two, a
 * swapped pepper key would lock everybody out, another ledger key would sign what no holder of a receipt accepts: all of it must show at start-up. It guards against mistakes; who can rewrite the database can
 * rewrite this table too, and gains nothing without the keys.
 *
 * @param isNew whether the database holds no keys yet, so that absent values may be written
 * @throws CryptoError `wrong_root_key`, `wrong_index_key`, `wrong_pepper_key`, `wrong_ledger_key`, `key_check_missing`
 */
export async function verifyKeyChecks(manager: EntityManager, keys: RootKeys, isNew: boolean): Promise<void> {
  const expected: KeyCheckRow[] = [
    { name: 'root', value: checkValue(keys.wrapKey, 'root') },
    { name: 'index', value: checkValue(keys.indexKey, 'index') },
    { name: 'pepper', value: checkValue(keys.pepperKey, 'pepper') },
    { name: 'ledger', value: checkValue(keys.ledgerKey, 'ledger') },
  ];
  const read = () => manager.createQueryBuilder(KeyCheckRow, 'check_value').getMany();
  let stored = await read();
  if (stored.length === 0 && isNew) {
    await manager.createQueryBuilder().insert().into(KeyCheckRow).values(expected).orIgnore().updateEntity(false).execute();
    stored = await read();
  }
  for (const { name, value } of expected) {
    const row = stored.find((candidate) => candidate.name === name);
    if (!row) throw new CryptoError('key_check_missing');
    if (row.value.length !== value.length || !timingSafeEqual(row.value, value)) throw new CryptoError(`wrong_${name}_key`);
  }
}
