import { CryptoError } from './crypto-error';
import type { KeyFolder } from './key-folder';
import type { Wrapper } from './key-wrap';

/** The files that hold a secret key of 256 bits each, beside `root.key`. */
export const SECRET_FILES = ['index.key', 'pepper.key', 'ledger.key'] as const;
export const ROOT_FILE = 'root.key';
/** `token-<kid>.pem`: the kid is in the first group. */
export const TOKEN_FILE = /^token-([\w-]{43})\.pem$/;
const SEALED = '.sealed';

function isKeyFile(name: string): boolean {
  return TOKEN_FILE.test(name) || name === ROOT_FILE || (SECRET_FILES as readonly string[]).includes(name);
}

/**
 * Key files by name. In the open form the file holds the key. In the sealed form (`<name>.sealed`) it holds base64 of what the root in the token made
 * of the same text, bound to the name: who steals the folder has nothing without the token.
 */
export class KeyStore {
  readonly #suffix: string;

  /** @param root seals the files; undefined leaves them open */
  constructor(
    readonly folder: KeyFolder,
    private readonly root?: Wrapper,
  ) {
    this.#suffix = root ? SEALED : '';
  }

  /** The key files of this form, without their suffix. Files of other names are ignored. @throws CryptoError as `KeyFolder.list` */
  names(): string[] {
    const length = this.#suffix.length;
    return this.folder
      .list((name) => name.endsWith(this.#suffix) && isKeyFile(name.slice(0, name.length - length)))
      .map((name) => name.slice(0, name.length - length));
  }

  /** @throws CryptoError `key_file_rejected`, `hsm_unavailable`; and as `KeyFolder.read` */
  read(name: string): { text: string; changedMs: number } {
    const file = this.folder.read(name + this.#suffix);
    if (!this.root) return file;
    try {
      const bytes = this.root.unwrap({ label: 'ehr/key-file/v1', parts: [name] }, Buffer.from(file.text, 'base64'));
      return { ...file, text: bytes.toString('latin1') };
    } catch (error) {
      throw error instanceof CryptoError && error.code === 'hsm_unavailable' ? error : new CryptoError('key_file_rejected', name);
    }
  }

  /** @throws CryptoError `key_file_unwritable`, `hsm_unavailable` */
  add(name: string, text: string): void {
    const sealed = this.root?.wrap({ label: 'ehr/key-file/v1', parts: [name] }, Buffer.from(text, 'latin1')).toString('base64');
    this.folder.add(name + this.#suffix, sealed === undefined ? text : `${sealed}\n`);
  }

  /** @throws CryptoError `key_file_unwritable` */
  remove(name: string): void {
    this.folder.remove(name + this.#suffix);
  }
}
