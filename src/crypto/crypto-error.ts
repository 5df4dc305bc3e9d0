/** One sentence per failure. The closed list: a caller can switch over `CryptoErrorCode` and the compiler knows when a case is missing. */
const sentences = {
  bad_context: 'A part of the encryption context is empty or not text.',
  bad_value: 'The value is empty where it may not be, or not well-formed Unicode.',
  not_sealed: 'An encrypted column accepts Sealed values only.',
  envelope_malformed: 'The envelope does not have the form of version 1.',
  envelope_unknown_suite: 'The envelope names a cipher suite that is not supported.',
  envelope_wrong_key: 'The envelope was sealed under another key.',
  envelope_rejected: 'The envelope was altered or belongs to another place.',
  envelope_wrong_type: 'The envelope holds the other type of value (text or bytes).',
  key_missing: 'The subject has no data key, and one is made only inside a transaction.',
  key_destroyed: 'The data key of the subject was destroyed.',
  key_rejected: 'A stored key does not unwrap.',
  row_rejected: 'A stored row does not have the tag of what it says.',
  row_set_rejected: 'The sums over the stored rows were altered.',
  row_set_missing: 'The database holds tagged rows, but the sums over them are gone.',
  wrong_root_key: 'The root key is not the one this database was written with.',
  wrong_index_key: 'The index key is not the one this database was written with.',
  wrong_pepper_key: 'The pepper key is not the one this database was written with.',
  wrong_ledger_key: 'The ledger key is not the one this database was written with.',
  key_check_missing: 'The database holds keys, but the values to check the key files against are gone.',
  key_file_missing: 'A key file is missing.',
  key_file_permissions: 'A key file or its directory is open to other users (0600 and 0700 are needed).',
  key_file_malformed: 'A key file does not hold a key of the expected kind.',
  key_file_unreadable: 'A key file or its directory cannot be read.',
  key_file_unwritable: 'The key files could not be created.',
  key_file_exposed: 'A key file lies open beside the sealed ones; `npm run keys -- adopt-hsm` takes it away.',
  key_file_rejected: 'A sealed key file does not open: it was altered, or the key in the token is another one.',
  token_key_missing: 'No key of the folder may sign access tokens now.',
  kek_missing: 'There is no such key-encryption key.',
  kek_in_use: 'The key-encryption key still wraps data keys, or new ones; rotate first.',
  hsm_binding_missing: 'The binding to PKCS#11 is not installed: run `npm ci --prefix hsm`.',
  hsm_module_rejected: 'The PKCS#11 module cannot be used.',
  hsm_token_missing: 'There is no token, or more than one, with this label.',
  hsm_pin_rejected: 'The token refuses the PIN.',
  hsm_key_missing: 'The token has no key, or more than one, with this label.',
  hsm_key_unfit: 'The key in the token is not a sensitive, non-extractable AES key of 256 bits that encrypts and decrypts.',
  hsm_unavailable: 'The token does not answer.',
  backup_key_malformed: 'This is no backup key of the expected kind.',
  backup_malformed: 'This is no backup, or one of a form that this release does not know.',
  backup_wrong_key: 'The backup was made for another backup key, or by a server with another ledger key.',
  backup_rejected: 'The backup was altered, cut short or continued.',
  hasher_busy: 'Too many passwords are being checked.',
} as const;

export type CryptoErrorCode = keyof typeof sentences;

/**
 * The one error of this module. Its message is a fixed sentence, never data: no value, no key, no id, no text of OpenSSL.
 * `where` is a key-file name from the closed set of `key-files.ts`, so that the operator knows which file to look at.
 */
export class CryptoError extends Error {
  override readonly name: string = 'CryptoError';
  constructor(
    readonly code: CryptoErrorCode,
    where?: string,
  ) {
    super(where === undefined ? sentences[code] : `${sentences[code]} (${where})`);
  }
}

/** The password queue is full: answer 503 and try again later (`PasswordHasher`). */
export class HasherBusy extends CryptoError {
  override readonly name = 'HasherBusy';
  constructor() {
    super('hasher_busy');
  }
}
