import type { EntityManager } from 'typeorm';
import { sameBytes } from './bytes';
import { CryptoError } from './crypto-error';
import { hmacCheck } from './file-root';
import { KeyCheckRow } from './key-check.entity';
import type { DataRoots } from './root-keys';

interface Check {
  readonly name: KeyCheckRow['name'];
  readonly make: () => Buffer;
  readonly matches: (value: Buffer) => boolean;
}

function checksOf({ root, indexKey, pepperKey, ledgerKey }: DataRoots): Check[] {
  const secrets = { index: indexKey, pepper: pepperKey, ledger: ledgerKey } as const;
  const ofSecrets = (Object.keys(secrets) as (keyof typeof secrets)[]).map((name) => ({
    name,
    make: () => hmacCheck(secrets[name], name),
    matches: (value: Buffer) => sameBytes(value, hmacCheck(secrets[name], name)),
  }));
  return [{ name: 'root', make: () => root.checkValue(), matches: (value) => root.matches(value) }, ...ofSecrets];
}

/**
 * Compares the root keys with the check values in the database. A swapped index key would split the uniqueness of user names in two, a
 * swapped pepper key would lock everybody out, another ledger key would sign what no holder of a receipt accepts: all of it must show at start-up. It guards against mistakes; who can rewrite the database can
 * rewrite this table too, and gains nothing without the keys.
 *
 * @param isNew whether the database holds no keys yet, so that absent values may be written
 * @throws CryptoError `wrong_root_key`, `wrong_index_key`, `wrong_pepper_key`, `wrong_ledger_key`, `key_check_missing`
 */
export async function verifyKeyChecks(manager: EntityManager, keys: DataRoots, isNew: boolean): Promise<void> {
  const checks = checksOf(keys);
  const read = () => manager.createQueryBuilder(KeyCheckRow, 'check_value').getMany();
  let stored = await read();
  if (stored.length === 0 && isNew) {
    const rows = checks.map(({ name, make }) => ({ name, value: make() }));
    await manager.createQueryBuilder().insert().into(KeyCheckRow).values(rows).orIgnore().updateEntity(false).execute();
    stored = await read();
  }
  for (const { name, matches } of checks) {
    const row = stored.find((candidate) => candidate.name === name);
    if (!row) throw new CryptoError('key_check_missing');
    if (!matches(row.value)) throw new CryptoError(`wrong_${name}_key`);
  }
}

/** Stores the check value of another root, inside the transaction that wraps all KEKs by it. */
export async function replaceRootCheck(tx: EntityManager, root: DataRoots['root']): Promise<void> {
  await tx.update(KeyCheckRow, { name: 'root' }, { value: root.checkValue() });
}
