import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CryptoError } from './crypto-error';

export type Handle = Buffer;
export interface Attribute {
  readonly type: number;
  readonly value?: number | boolean | string | Buffer;
}
export interface Mechanism {
  readonly mechanism: number;
  readonly parameter: object | null;
}

/** What is used of `pkcs11js`: PKCS#11 v2.40, section 5, by its own names. Errors have a `code`, a CKR number. */
export interface Cryptoki {
  load(path: string): void;
  C_Initialize(options?: { flags: number }): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): { label: string };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_Login(session: Handle, user: number, pin: string): void;
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void;
  C_FindObjects(session: Handle, max: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(session: Handle, object: Handle, template: readonly Attribute[]): { type: number; value: Buffer }[];
  C_GenerateKey(session: Handle, mechanism: Mechanism, template: readonly Attribute[]): Handle;
  C_EncryptInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Encrypt(session: Handle, data: Buffer, out: Buffer): Buffer;
  C_DecryptInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Decrypt(session: Handle, data: Buffer, out: Buffer): Buffer;
}

/** Numbers of PKCS#11 v2.40 (OASIS), and of the binding for the form of a mechanism's parameters. */
export const CK = {
  CKF_OS_LOCKING_OK: 0x2,
  CKF_RW_SESSION: 0x2,
  CKF_SERIAL_SESSION: 0x4,
  CKU_USER: 1,
  CKO_SECRET_KEY: 4,
  CKK_AES: 0x1f,
  CKM_AES_KEY_GEN: 0x1080,
  CKM_AES_GCM: 0x1087,
  CKA_CLASS: 0x0,
  CKA_TOKEN: 0x1,
  CKA_PRIVATE: 0x2,
  CKA_LABEL: 0x3,
  CKA_KEY_TYPE: 0x100,
  CKA_SENSITIVE: 0x103,
  CKA_ENCRYPT: 0x104,
  CKA_DECRYPT: 0x105,
  CKA_VALUE_LEN: 0x161,
  CKA_EXTRACTABLE: 0x162,
  CKR_PIN_INCORRECT: 0xa0,
  CKR_PIN_INVALID: 0xa1,
  CKR_PIN_LEN_RANGE: 0xa2,
  CKR_PIN_LOCKED: 0xa4,
  CKR_USER_ALREADY_LOGGED_IN: 0x100,
  CKR_CRYPTOKI_ALREADY_INITIALIZED: 0x191,
  CKR_DEVICE_ERROR: 0x30,
  CKR_DEVICE_REMOVED: 0x32,
  CKR_KEY_HANDLE_INVALID: 0x60,
  CKR_OBJECT_HANDLE_INVALID: 0x82,
  CKR_SESSION_CLOSED: 0xb0,
  CKR_SESSION_HANDLE_INVALID: 0xb3,
  CKR_TOKEN_NOT_PRESENT: 0xe0,
  CKR_USER_NOT_LOGGED_IN: 0x101,
  CKR_CRYPTOKI_NOT_INITIALIZED: 0x190,
} as const;

interface Binding {
  PKCS11: new () => Cryptoki;
  CK_PARAMS_AES_GCM_v240: number;
}

/**
 * Loads `pkcs11js` from the package `hsm` beside the server, and with it the maker's module. It is not among the server's own packages: it compiles
 * when it is installed, and only who has a token needs it.
 * @throws CryptoError `hsm_binding_missing`, `hsm_module_rejected`
 */
export function loadCryptoki(module: string): { library: Cryptoki; gcmParameters: number } {
  const { PKCS11, CK_PARAMS_AES_GCM_v240 } = loadBinding();
  const library = new PKCS11();
  try {
    library.load(module);
    initialise(library);
  } catch {
    throw new CryptoError('hsm_module_rejected'); // the loader's message names paths
  }
  return { library, gcmParameters: CK_PARAMS_AES_GCM_v240 };
}

function loadBinding(): Binding {
  // From src/crypto as it is, and from dist/src/crypto.
  const homes = ['../..', '../../..'].map((up) => join(__dirname, up, 'hsm/package.json'));
  const home = homes.find((file) => existsSync(file));
  try {
    if (home !== undefined) return createRequire(home)('pkcs11js') as Binding;
  } catch {
    // not installed, or made for another version of Node
  }
  throw new CryptoError('hsm_binding_missing');
}

/** One initialisation serves the whole process: threads of an audit share it. */
function initialise(library: Cryptoki): void {
  try {
    library.C_Initialize({ flags: CK.CKF_OS_LOCKING_OK });
  } catch (error) {
    if (codeOf(error) !== CK.CKR_CRYPTOKI_ALREADY_INITIALIZED) throw error;
  }
}

/** The CKR number of what the binding threw. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined;
}

const LOST: readonly unknown[] = [
  CK.CKR_DEVICE_ERROR,
  CK.CKR_DEVICE_REMOVED,
  CK.CKR_KEY_HANDLE_INVALID,
  CK.CKR_OBJECT_HANDLE_INVALID,
  CK.CKR_SESSION_CLOSED,
  CK.CKR_SESSION_HANDLE_INVALID,
  CK.CKR_TOKEN_NOT_PRESENT,
  CK.CKR_USER_NOT_LOGGED_IN,
  CK.CKR_CRYPTOKI_NOT_INITIALIZED,
];

/** Whether the session or the token is gone, which says nothing about the data. */
export function isLost(error: unknown): boolean {
  return LOST.includes(codeOf(error));
}
