import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CryptoError } from './crypto-error';
import { KEY_BYTES } from './data-key';
import type { RootKeys, TokenKey } from './root-keys';

const SECRET_FILES = ['root.key', 'index.key', 'pepper.key', 'ledger.key'] as const;
const TOKEN_FILE = /^token-([\w-]{43})\.pem$/;
const OTHERS = 0o077;

/**
 * Reads the root keys from files: `root.key`, `index.key`, `pepper.key` and `ledger.key` (64 hex digits, newline) and one or more `token-<kid>.pem`
 * (PKCS#8, P-256). The directory must have mode 0700, the files 0600 or less; on Windows, which has no such modes, that is not checked.
 * Several token keys are ordered by time of change, the newest first.
 *
 * @param create whether an empty or absent directory may be filled with new keys: true only at the first start, when there is no database
 *   yet. Otherwise a lost key volume would be replaced in silence and the data be unreadable. A part of the files is always refused.
 * @throws CryptoError `key_file_missing`, `key_file_permissions`, `key_file_malformed`, `key_file_unreadable`, `key_file_unwritable`
 */
export function loadKeyFiles(dir: string, options: { create: boolean }): RootKeys & { created: boolean } {
  let names = list(dir);
  const created = names.length === 0 && options.create;
  if (created) {
    createFiles(dir);
    names = list(dir);
  }
  for (const name of SECRET_FILES) if (!names.includes(name)) throw new CryptoError('key_file_missing', name);
  const tokenNames = names.filter((name) => TOKEN_FILE.test(name));
  if (tokenNames.length === 0) throw new CryptoError('key_file_missing', 'token-<kid>.pem');

  const secrets = SECRET_FILES.map((name) => readSecret(dir, name));
  for (const [position, key] of secrets.entries())
    if (secrets.slice(position + 1).some((other) => other.equals(key))) throw new CryptoError('key_file_malformed', SECRET_FILES[position]);
  const [wrapKey, indexKey, pepperKey, ledgerKey] = secrets as [KeyObject, KeyObject, KeyObject, KeyObject];
  const tokenKeys = tokenNames
    .map((name) => readToken(dir, name))
    .sort((a, b) => b.changedMs - a.changedMs || (a.kid < b.kid ? -1 : 1))
    .map(({ kid, privateKey }) => ({ kid, privateKey }));
  return { wrapKey, indexKey, pepperKey, ledgerKey, tokenKeys, created };
}

/** RFC 7638 thumbprint (SHA-256, base64url) of a P-256 key: the hash of its required JWK members in alphabetical order. */
export function thumbprint(key: KeyObject): string {
  const { crv, kty, x, y } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** The key files in `dir`; none when it does not exist. Files of other names are ignored. */
function list(dir: string): string[] {
  try {
    const stat = statSync(dir, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const names = readdirSync(dir).filter((name) => TOKEN_FILE.test(name) || (SECRET_FILES as readonly string[]).includes(name));
    // The mode of a directory without keys matters only when it is filled: createFiles checks it then.
    if (names.length > 0) assertPrivate(stat.mode, 'key directory');
    return names;
  } catch (error) {
    throw error instanceof CryptoError ? error : new CryptoError('key_file_unreadable', 'key directory');
  }
}

function assertPrivate(mode: number, where: string): void {
  if (process.platform !== 'win32' && (mode & OTHERS) !== 0) throw new CryptoError('key_file_permissions', where);
}

/** Checks and reads one open file, so that what was checked is what is read. */
function read(dir: string, name: string): { text: string; changedMs: number } {
  let fd: number | undefined;
  try {
    fd = openSync(join(dir, name), 'r');
    const stat = fstatSync(fd);
    assertPrivate(stat.mode, name);
    return { text: readFileSync(fd, 'latin1'), changedMs: stat.mtimeMs };
  } catch (error) {
    throw error instanceof CryptoError ? error : new CryptoError('key_file_unreadable', name);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function readSecret(dir: string, name: (typeof SECRET_FILES)[number]): KeyObject {
  const { text } = read(dir, name);
  if (!/^[0-9a-f]{64}\n?$/i.test(text)) throw new CryptoError('key_file_malformed', name);
  return createSecretKey(text.slice(0, 2 * KEY_BYTES), 'hex');
}

function readToken(dir: string, name: string): TokenKey & { changedMs: number } {
  const { text, changedMs } = read(dir, name);
  const privateKey = parsePkcs8(text, name);
  const isP256 = privateKey.asymmetricKeyType === 'ec' && privateKey.asymmetricKeyDetails?.namedCurve === 'prime256v1';
  if (!isP256 || thumbprint(privateKey) !== TOKEN_FILE.exec(name)?.[1]) throw new CryptoError('key_file_malformed', name);
  return { kid: thumbprint(privateKey), privateKey, changedMs };
}

function parsePkcs8(text: string, name: string): KeyObject {
  try {
    if (text.startsWith('-----BEGIN PRIVATE KEY-----')) return createPrivateKey({ key: text, format: 'pem', type: 'pkcs8' });
  } catch {
    // OpenSSL's message may describe the content: it goes no further
  }
  throw new CryptoError('key_file_malformed', name);
}

/**
 * Creates a full set. `wx` never overwrites: of two processes that start at once one fails. A crash half-way leaves a part of the set, which
 * the next start refuses by name; since there is no database yet, the operator may delete it.
 */
function createFiles(dir: string): void {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    assertPrivate(statSync(dir).mode, 'key directory');
    for (const name of SECRET_FILES) write(join(dir, name), `${randomBytes(KEY_BYTES).toString('hex')}\n`);
    write(join(dir, `token-${thumbprint(privateKey)}.pem`), privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
    sync(dir);
  } catch (error) {
    throw error instanceof CryptoError ? error : new CryptoError('key_file_unwritable');
  }
}

/** On disk before the first row is sealed: keys lost in a power cut would take the data with them. */
function write(path: string, text: string): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function sync(dir: string): void {
  if (process.platform === 'win32') return; // a directory cannot be opened there
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
