import { dataSourceOptions } from '../../ormconfig';
import type { Config } from '../config/config';
import { CryptoError } from '../crypto/crypto-error';
import { FileRoot } from '../crypto/file-root';
import { rewrapKeks } from '../crypto/kek-rotation';
import { addSecret, loadKeyFiles, readKeys, readSecret } from '../crypto/key-files';
import { KeyFolder } from '../crypto/key-folder';
import { KeyRing } from '../crypto/key-ring.service';
import { KeyStore, ROOT_FILE } from '../crypto/key-store';
import { Pkcs11Root } from '../crypto/pkcs11-root';
import type { DataRoots } from '../crypto/root-keys';
import { RowTagger } from '../crypto/row-tag';
import { openDataSources } from '../database/database.module';
import { useRowTags } from '../database/row-tags';
import { withTrail } from './keys-operator';
import { assertStopped, OperatorError } from './operator';

type Tell = (line: string) => void;
/** The root that a change of root is about to put in place. */
const NEXT = 'root.key.next';

/*
 * The root stands in files or a token, what it wraps in the database; the two cannot change in one step. So the new root is put beside the old one
 * first, then one transaction wraps all KEKs by it, then the old one goes. Stopped in between, the same command finds out by the database how far
 * it was, and goes on; until then the server refuses to start with the wrong one of the two, and says so.
 */

/** Replaces `root.key` and wraps every key-encryption key by the new one. The server must be stopped. @throws OperatorError, CryptoError */
export async function rotateRoot(config: Config, tell: Tell): Promise<void> {
  await assertStopped(config);
  if (config.pkcs11) throw new OperatorError('The root is in a token: this command replaces root.key only');
  const store = new KeyStore(new KeyFolder(config.keysDir));
  const from = loadKeyFiles(config.keysDir, { create: false });
  if (store.folder.list((name) => name === NEXT).length === 0) addSecret(store, NEXT);
  const moved = await moveRoot(config, from, { ...from, root: new FileRoot(readSecret(store, NEXT)) });
  store.folder.rename(NEXT, ROOT_FILE);
  tell(`root.key is new; ${moved} key-encryption keys are wrapped by it. Backups of the database made before need the former one.`);
}

/**
 * Moves an installation from key files to a token: wraps every key-encryption key by the token's key, which is made if there is none of the label, seals
 * the other key files by it and takes the open ones away. Settings are those for the token; the server must be stopped.
 * @throws OperatorError, CryptoError
 */
export async function adoptHsm(config: Config, tell: Tell): Promise<void> {
  await assertStopped(config);
  if (!config.pkcs11) throw new OperatorError('Set KEY_PROVIDER=pkcs11 and what belongs to it, as for the server afterwards');
  const folder = new KeyFolder(config.keysDir);
  const open = new KeyStore(folder);
  if (open.names().length === 0) throw new OperatorError('No open key file is left: the installation has adopted its token');
  const from = loadKeyFiles(config.keysDir, { create: false });
  const root = new Pkcs11Root(config.pkcs11, { create: true });
  const sealed = new KeyStore(folder, root);
  for (const name of open.names().filter((name) => name !== ROOT_FILE)) sealAgain(open, sealed, name);
  const moved = await moveRoot(config, from, readKeys(sealed, root));
  for (const name of open.names()) open.remove(name);
  tell(`${moved} key-encryption keys are wrapped by the token's key, and the key files are sealed by it.`);
  tell(
    'The open key files are deleted; their blocks may stay on the medium. Backups of the database made before need them: destroy or keep both.',
  );
}

/** A sealed file of an earlier run is made anew: it may be of another key. */
function sealAgain(open: KeyStore, sealed: KeyStore, name: string): void {
  if (sealed.names().includes(name)) sealed.remove(name);
  sealed.add(name, open.read(name).text);
}

/** @returns how many KEKs were wrapped; none when an earlier run had done it */
async function moveRoot(config: Config, from: DataRoots, to: DataRoots): Promise<number> {
  process.umask(0o077);
  const sources = await openDataSources(dataSourceOptions(config), dataSourceOptions(config, true));
  useRowTags([sources.writer, sources.reader], new RowTagger(from));
  return withTrail(config, sources, async (database, note) => {
    if (await opens(to)) return 0;
    await new KeyRing(from).verifyRoot(sources.writer.manager);
    return database.transaction(async (tx) => {
      const count = await rewrapKeks(tx, from.root, to.root);
      await note(tx, { action: 'key.rotate', kind: 'root', count });
      return count;
    });
  });

  async function opens(keys: DataRoots): Promise<boolean> {
    try {
      await new KeyRing(keys).verifyRoot(sources.writer.manager);
      return true;
    } catch (error) {
      if (error instanceof CryptoError && error.code === 'wrong_root_key') return false;
      throw error;
    }
  }
}
