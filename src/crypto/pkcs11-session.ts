import { CryptoError } from './crypto-error';
import { KEY_BYTES } from './data-key';
import { readPrivate } from './key-folder';
import { type Attribute, CK, codeOf, type Cryptoki, type Handle, loadCryptoki } from './pkcs11-binding';

/** Where the root key is. The PIN is in a file: an argument shows in the list of processes, an environment in dumps. */
export interface Pkcs11Settings {
  /** The maker's library, a path. */
  readonly module: string;
  readonly tokenLabel: string;
  readonly keyLabel: string;
  readonly pinFile: string;
}

/** A logged-in session with the root key at hand. */
export interface Pkcs11Session {
  readonly library: Cryptoki;
  readonly gcmParameters: number;
  readonly session: Handle;
  readonly key: Handle;
}

const PIN_REFUSED: readonly unknown[] = [CK.CKR_PIN_INCORRECT, CK.CKR_PIN_INVALID, CK.CKR_PIN_LEN_RANGE, CK.CKR_PIN_LOCKED];

/**
 * Opens a session and finds the key: AES of 256 bits, sensitive, not extractable, so that no software, this one included, gets its value.
 * @param create whether a key is made in the token when it has none of this label
 * @throws CryptoError `hsm_*`; `key_file_unreadable`, `key_file_permissions` for the PIN's file
 */
export function openSession(settings: Pkcs11Settings, { create }: { create: boolean }): Pkcs11Session {
  const pin = readPrivate(settings.pinFile, 'PKCS11_PIN_FILE').text.replace(/\r?\n$/, '');
  const { library, gcmParameters } = loadCryptoki(settings.module);
  try {
    const session = library.C_OpenSession(findSlot(library, settings.tokenLabel), CK.CKF_SERIAL_SESSION | CK.CKF_RW_SESSION);
    login(library, session, pin);
    return { library, gcmParameters, session, key: findKey(library, session, settings.keyLabel, create) };
  } catch (error) {
    throw error instanceof CryptoError ? error : new CryptoError('hsm_unavailable');
  }
}

function findSlot(library: Cryptoki, label: string): Handle {
  // Labels are padded with blanks to 32 bytes.
  const slots = library.C_GetSlotList(true).filter((slot) => library.C_GetTokenInfo(slot).label.trimEnd() === label);
  const [slot] = slots;
  if (!slot || slots.length > 1) throw new CryptoError('hsm_token_missing');
  return slot;
}

function login(library: Cryptoki, session: Handle, pin: string): void {
  try {
    library.C_Login(session, CK.CKU_USER, pin);
  } catch (error) {
    if (codeOf(error) === CK.CKR_USER_ALREADY_LOGGED_IN) return; // another session of this process did
    throw PIN_REFUSED.includes(codeOf(error)) ? new CryptoError('hsm_pin_rejected') : error;
  }
}

function findKey(library: Cryptoki, session: Handle, label: string, create: boolean): Handle {
  const wanted: Attribute[] = [
    { type: CK.CKA_CLASS, value: CK.CKO_SECRET_KEY },
    { type: CK.CKA_LABEL, value: label },
  ];
  library.C_FindObjectsInit(session, wanted);
  const found = library.C_FindObjects(session, 2);
  library.C_FindObjectsFinal(session);
  const [key] = found;
  if (!key && create) return makeKey(library, session, label);
  if (!key || found.length > 1) throw new CryptoError('hsm_key_missing');
  assertFit(library, session, key);
  return key;
}

function makeKey(library: Cryptoki, session: Handle, label: string): Handle {
  return library.C_GenerateKey(session, { mechanism: CK.CKM_AES_KEY_GEN, parameter: null }, [
    { type: CK.CKA_CLASS, value: CK.CKO_SECRET_KEY },
    { type: CK.CKA_KEY_TYPE, value: CK.CKK_AES },
    { type: CK.CKA_VALUE_LEN, value: KEY_BYTES },
    { type: CK.CKA_LABEL, value: label },
    { type: CK.CKA_TOKEN, value: true },
    { type: CK.CKA_PRIVATE, value: true },
    { type: CK.CKA_SENSITIVE, value: true },
    { type: CK.CKA_EXTRACTABLE, value: false },
    { type: CK.CKA_ENCRYPT, value: true },
    { type: CK.CKA_DECRYPT, value: true },
  ]);
}

/** A key that the token gives away, or a shorter one, would be a root in name only. */
function assertFit(library: Cryptoki, session: Handle, key: Handle): void {
  const asked = [CK.CKA_SENSITIVE, CK.CKA_EXTRACTABLE, CK.CKA_ENCRYPT, CK.CKA_DECRYPT, CK.CKA_KEY_TYPE, CK.CKA_VALUE_LEN];
  const values = library.C_GetAttributeValue(
    session,
    key,
    asked.map((type) => ({ type })),
  );
  const [sensitive, extractable, encrypt, decrypt, type, length] = values.map(({ value }) => value[0] ?? 0);
  const fits = sensitive === 1 && extractable === 0 && encrypt === 1 && decrypt === 1 && type === CK.CKK_AES && length === KEY_BYTES;
  if (!fits) throw new CryptoError('hsm_key_unfit');
}
