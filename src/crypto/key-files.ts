import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { CryptoError } from './crypto-error';
import { KEY_BYTES } from './data-key';
import { FileRoot } from './file-root';
import { KeyFolder } from './key-folder';
import { KeyStore, ROOT_FILE, SECRET_FILES } from './key-store';
import type { Root, RootKeys } from './root-keys';
import { addTokenKey } from './token-key-file';
import { TokenKeys } from './token-keys';

/**
 * Reads the root keys from files: `root.key`, `index.key`, `pepper.key` and `ledger.key` (64 hex digits, newline) and one or more `token-<kid>.pem`
 * (PKCS#8, P-256).
 *
 * @param create whether an empty or absent directory may be filled with new keys: true only at the first start, when there is no database
 *   yet. Otherwise a lost key volume would be replaced in silence and the data be unreadable. A part of the files is always refused.
 * @throws CryptoError `key_file_missing`, `key_file_permissions`, `key_file_malformed`, `key_file_unreadable`, `key_file_unwritable`
 */
export function loadKeyFiles(dir: string, { create }: { create: boolean }): RootKeys {
  const store = new KeyStore(new KeyFolder(dir));
  if (create && store.names().length === 0) createFiles(store, [ROOT_FILE, ...SECRET_FILES]);
  requireFile(store, ROOT_FILE);
  const secret = readSecret(store, ROOT_FILE);
  return readKeys(store, new FileRoot(secret), [[ROOT_FILE, secret]]);
}

/**
 * The keys of a store beside the root.
 * @param others secrets that none of them may equal
 * @throws CryptoError as `loadKeyFiles`
 */
export function readKeys(store: KeyStore, root: Root, others: readonly [string, KeyObject][] = []): RootKeys {
  for (const name of SECRET_FILES) requireFile(store, name);
  const secrets = SECRET_FILES.map((name): [string, KeyObject] => [name, readSecret(store, name)]);
  const all = [...others, ...secrets];
  for (const [position, [name, key]] of all.entries())
    if (all.slice(position + 1).some(([, other]) => other.equals(key))) throw new CryptoError('key_file_malformed', name);
  const [indexKey, pepperKey, ledgerKey] = secrets.map(([, key]) => key) as [KeyObject, KeyObject, KeyObject];
  return { root, indexKey, pepperKey, ledgerKey, tokenKeys: new TokenKeys(store) };
}

/**
 * Creates a full set. No file is overwritten: of two processes that start at once one fails. A crash half-way leaves a part of the set, which
 * the next start refuses by name; since there is no database yet, the operator may delete it.
 */
export function createFiles(store: KeyStore, names: readonly string[] = SECRET_FILES): void {
  store.folder.make();
  for (const name of names) addSecret(store, name);
  addTokenKey(store);
}

export function addSecret(store: KeyStore, name: string): void {
  store.add(name, `${randomBytes(KEY_BYTES).toString('hex')}\n`);
}

/** @throws CryptoError `key_file_malformed`; and as `KeyStore.read` */
export function readSecret(store: KeyStore, name: string): KeyObject {
  const { text } = store.read(name);
  if (!/^[0-9a-f]{64}\n?$/i.test(text)) throw new CryptoError('key_file_malformed', name);
  return createSecretKey(text.slice(0, 2 * KEY_BYTES), 'hex');
}

function requireFile(store: KeyStore, name: string): void {
  if (!store.names().includes(name)) throw new CryptoError('key_file_missing', name);
}
