import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { AccountEntity } from '../auth/account.entity';
import { accountSubject } from '../auth/accounts.service';
import { CryptoError } from '../crypto/crypto-error';
import type { KeyRing } from '../crypto/key-ring.service';
import { storedRows } from '../database/rows';
import { b64u } from '../ledger/core/bytes';
import type { CertifiedErasure } from '../ledger/core/erasure-certificate';
import type { AuthorKeyEntity } from '../ledger/ledger.entity';
import { loggedKeys } from '../ledger/logged-keys';
import type { KeptChain } from '../ledger/row-keeper';

/**
 * Whether an ERASE block was signed by this server for the account that approved last. Nobody who approves keeps a key: one in a client's custody was never
 * asked. And who can write the database can let the log take a key of one's own, as that of any account; but the private half of a key that this server
 * made is sealed under the key of its account, which nobody makes without the key files. Without `keyRing` that part is left out.
 */
export async function signedForApprover(
  manager: EntityManager,
  { hospitalId, keyRing }: KeptChain,
  { certificate, statement, header }: CertifiedErasure,
): Promise<boolean> {
  const kid = b64u(header.authorKeyId);
  const key = (await loggedKeys(manager, hospitalId, certificate.origin, [kid])).get(kid);
  if (!key?.row || key.misfit !== undefined) return false;
  const { account, custody } = key.registered.event;
  if (custody !== 'server' || account !== statement.approvedBy[1]) return false;
  return keyRing === null || madeHere(manager, keyRing, key.row);
}

async function madeHere(manager: EntityManager, keyRing: KeyRing, { kid, x, accountId, privateKey }: AuthorKeyEntity): Promise<boolean> {
  const [account] = await storedRows(manager, AccountEntity, 'id', [accountId]);
  if (!account || !privateKey) return false;
  try {
    const [vault] = (await keyRing.existingVaults(manager, [accountSubject(account)])).values();
    if (!vault) return false;
    const key = vault.openBytes('account.signing_key', kid, privateKey);
    return createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' }).x === x;
  } catch (error) {
    if (error instanceof CryptoError) return false;
    throw error;
  }
}
