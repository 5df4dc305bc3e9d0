import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { CryptoError } from './crypto-error';

const OTHERS = 0o077;

/**
 * The folder of the key files: mode 0700, files 0600 or less; on Windows, which has no such modes, that is not checked. What is written is on disk
 * when a method returns: keys lost in a power cut would take the data with them.
 */
export class KeyFolder {
  constructor(private readonly dir: string) {}

  /**
   * Names of the files that `isKeyFile` knows; none when the folder does not exist.
   * @throws CryptoError `key_file_permissions`, `key_file_unreadable`
   */
  list(isKeyFile: (name: string) => boolean): string[] {
    try {
      const stat = statSync(this.dir, { throwIfNoEntry: false });
      if (stat === undefined) return [];
      const names = readdirSync(this.dir).filter(isKeyFile);
      // The mode of a folder without keys matters only when it is filled: `make` checks it then.
      if (names.length > 0) assertPrivate(stat.mode, 'key directory');
      return names;
    } catch (error) {
      throw error instanceof CryptoError ? error : new CryptoError('key_file_unreadable', 'key directory');
    }
  }

  /** Checks and reads one open file, so that what was checked is what is read. @throws CryptoError `key_file_permissions`, `key_file_unreadable` */
  read(name: string): { text: string; changedMs: number } {
    return readPrivate(join(this.dir, name), name);
  }

  /** Makes the folder unless it exists. @throws CryptoError `key_file_permissions`, `key_file_unwritable` */
  make(): void {
    this.#write(() => {
      mkdirSync(this.dir, { recursive: true, mode: 0o700 });
      assertPrivate(statSync(this.dir).mode, 'key directory');
    });
  }

  /** Writes a new file. Never overwrites one: of two processes that do it at once one fails. @throws CryptoError `key_file_unwritable` */
  add(name: string, text: string): void {
    this.#write(() => {
      const fd = openSync(join(this.dir, name), 'wx', 0o600);
      try {
        writeSync(fd, text);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      this.#sync();
    });
  }

  /** Writes a file anew or replaces it whole: who reads sees the former text or this one. @throws CryptoError `key_file_unwritable` */
  replace(name: string, text: string): void {
    const aside = `${name}.${process.pid}.new`;
    this.add(aside, text);
    this.rename(aside, name);
  }

  /** @throws CryptoError `key_file_unwritable` */
  rename(from: string, to: string): void {
    this.#write(() => {
      renameSync(join(this.dir, from), join(this.dir, to));
      this.#sync();
    });
  }

  /** Takes a file away. Its blocks may stay on the medium until they are reused. @throws CryptoError `key_file_unwritable` */
  remove(name: string): void {
    this.#write(() => {
      unlinkSync(join(this.dir, name));
      this.#sync();
    });
  }

  #write(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw error instanceof CryptoError ? error : new CryptoError('key_file_unwritable');
    }
  }

  #sync(): void {
    if (process.platform === 'win32') return; // a directory cannot be opened there
    const fd = openSync(this.dir, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** A file that nobody else may read. @param where how an error names it */
export function readPrivate(path: string, where: string): { text: string; changedMs: number } {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const stat = fstatSync(fd);
    assertPrivate(stat.mode, where);
    return { text: readFileSync(fd, 'latin1'), changedMs: stat.mtimeMs };
  } catch (error) {
    throw error instanceof CryptoError ? error : new CryptoError('key_file_unreadable', where);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function assertPrivate(mode: number, where: string): void {
  if (process.platform !== 'win32' && (mode & OTHERS) !== 0) throw new CryptoError('key_file_permissions', where);
}
