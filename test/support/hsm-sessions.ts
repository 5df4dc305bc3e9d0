/**
 * A child process for tests: a root in a token whose sessions are closed behind its back, and whose token goes away.
 * Started with `node -r ./tools/swc-register.cjs test/support/hsm-sessions.ts <settings as JSON> <folder of the tokens>`; prints one word per step.
 */
import { renameSync } from 'node:fs';
import { readConfig } from '../../src/config/config';
import { CryptoError } from '../../src/crypto/crypto-error';
import { kekBinding } from '../../src/crypto/key-wrap';
import { type Attribute, CK, type Cryptoki, type Handle } from '../../src/crypto/pkcs11-binding';
import { Pkcs11Root } from '../../src/crypto/pkcs11-root';
import { openSession } from '../../src/crypto/pkcs11-session';

type Library = Cryptoki & { C_CloseAllSessions(slot: Handle): void; C_DestroyObject(session: Handle, object: Handle): void };

const { pkcs11 } = readConfig(JSON.parse(process.argv[2] ?? '{}') as Record<string, string>);
if (!pkcs11) throw new Error('no token');
const tokens = process.argv[3] ?? '';
const binding = kekBinding('tenant', 1);

function attempt(name: string, work: () => unknown): void {
  try {
    process.stdout.write(`${name}: ${String(work())}\n`);
  } catch (error) {
    process.stdout.write(`${name}: ${error instanceof CryptoError ? error.code : String(Reflect.get(error as object, 'message'))}\n`);
  }
}

const settings = pkcs11;
const root = new Pkcs11Root(settings, { create: true });
const other = openSession(settings, { create: false });
const library = other.library as Library;
const closeAll = () => library.C_GetSlotList(true).forEach((slot) => library.C_CloseAllSessions(slot));
const wrapped = root.wrap(binding, Buffer.alloc(32, 7));
const opens = () => root.unwrap(binding, wrapped).equals(Buffer.alloc(32, 7));
const flipped = Buffer.from(wrapped);
flipped[20] = (flipped[20] ?? 0) ^ 1;

attempt('opens', opens);
attempt('moved', () => root.unwrap(kekBinding('tenant', 2), wrapped));
attempt('flipped', () => root.unwrap(binding, flipped));
attempt('cut', () => root.unwrap(binding, wrapped.subarray(0, 20)));
attempt('value', () => library.C_GetAttributeValue(other.session, other.key, [{ type: 0x11 }])[0]?.value.length);
closeAll();
attempt('sessions closed', opens);

const weak: Attribute[] = [
  { type: CK.CKA_CLASS, value: CK.CKO_SECRET_KEY },
  { type: CK.CKA_KEY_TYPE, value: CK.CKK_AES },
  { type: CK.CKA_VALUE_LEN, value: 32 },
  { type: CK.CKA_TOKEN, value: true },
  { type: CK.CKA_SENSITIVE, value: false },
  { type: CK.CKA_EXTRACTABLE, value: true },
  { type: CK.CKA_ENCRYPT, value: true },
  { type: CK.CKA_DECRYPT, value: true },
];
const { session } = openSession(settings, { create: false });
const make = (label: string) =>
  library.C_GenerateKey(session, { mechanism: CK.CKM_AES_KEY_GEN, parameter: null }, [...weak, { type: CK.CKA_LABEL, value: label }]);
make('weak');
attempt('extractable', () => new Pkcs11Root({ ...settings, keyLabel: 'weak' }, { create: false }));
const twin = make(settings.keyLabel);
attempt('two of a label', () => new Pkcs11Root(settings, { create: false }));
library.C_DestroyObject(session, twin);

renameSync(tokens, `${tokens}.away`);
closeAll();
attempt('token away', opens);
renameSync(`${tokens}.away`, tokens);
