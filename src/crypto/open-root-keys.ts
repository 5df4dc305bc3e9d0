import { CryptoError } from './crypto-error';
import { createFiles, loadKeyFiles, readKeys } from './key-files';
import { KeyFolder } from './key-folder';
import { KeyStore } from './key-store';
import { Pkcs11Root } from './pkcs11-root';
import type { Pkcs11Settings } from './pkcs11-session';
import type { RootKeys } from './root-keys';

/** Where the root keys are. */
export interface KeySettings {
  readonly keysDir: string;
  /** A token holds the root, and the files in `keysDir` are sealed by it; null: the files are open. */
  readonly pkcs11: Pkcs11Settings | null;
}

/** The key files as the settings say, with what seals them. @throws CryptoError `hsm_*` */
export function openKeyStore({ keysDir, pkcs11 }: KeySettings): KeyStore {
  const folder = new KeyFolder(keysDir);
  return pkcs11 ? new KeyStore(folder, new Pkcs11Root(pkcs11, { create: false })) : new KeyStore(folder);
}

/**
 * The root keys, from key files or from a token with sealed files.
 * @param create whether keys may be made where there are none: true only at the first start, see `loadKeyFiles`
 * @throws CryptoError `key_file_*`, `hsm_*`
 */
export function openRootKeys({ keysDir, pkcs11 }: KeySettings, { create }: { create: boolean }): RootKeys {
  if (!pkcs11) return loadKeyFiles(keysDir, { create });
  const folder = new KeyFolder(keysDir);
  const [exposed] = new KeyStore(folder).names();
  if (exposed !== undefined) throw new CryptoError('key_file_exposed', exposed);
  const isEmpty = folder.list((name) => name.endsWith('.sealed')).length === 0;
  const root = new Pkcs11Root(pkcs11, { create: create && isEmpty });
  const store = new KeyStore(folder, root);
  if (create && isEmpty) createFiles(store);
  return readKeys(store, root);
}
