import { randomBytes } from 'node:crypto';
import { assertContext, lengthPrefixed } from './bytes';
import { CryptoError } from './crypto-error';
import type { Binding } from './envelope';
import { CK, isLost, type Mechanism } from './pkcs11-binding';
import { openSession, type Pkcs11Session, type Pkcs11Settings } from './pkcs11-session';
import type { Root } from './root-keys';
import { TAG_BYTES } from './xaes';

/*
 * What the root in a token wraps:
 *
 *   0    1  0xE1             as an envelope
 *   1    1  suite            0x03 = AES-256-GCM inside a PKCS#11 token
 *   2   12  nonce            random: a root wraps some thousand keys in its life, GCM allows 2^32 (SP 800-38D section 8.3)
 *   14   n  ciphertext
 *   14+n 16 tag
 *
 *   AAD = LP(label) LP(bytes 0..2) LP(part) LP(part) …
 */
const HEAD = Buffer.from([0xe1, 0x03]);
const NONCE_BYTES = 12;
const BODY_AT = HEAD.length + NONCE_BYTES;
const ROOM = 64;

const CHECK: Binding = { label: 'ehr/key-check/v1', parts: ['root'] };

/**
 * A root key that never leaves its token. Calls are synchronous: a key is unwrapped once in five minutes (`KeyRing`). A session that was lost is opened
 * again once; when that fails too, the answer is `hsm_unavailable`, and the next call tries again.
 */
export class Pkcs11Root implements Root {
  #session: Pkcs11Session | undefined;

  /** @throws CryptoError as `openSession` */
  constructor(
    private readonly settings: Pkcs11Settings,
    options: { create: boolean },
  ) {
    this.#session = openSession(settings, options);
  }

  wrap(binding: Binding, key: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const body = this.#withSession(({ library, session, key: root, gcmParameters }) => {
      library.C_EncryptInit(session, gcm(gcmParameters, nonce, binding), root);
      return library.C_Encrypt(session, Buffer.from(key), Buffer.alloc(key.length + ROOM));
    });
    return Buffer.concat([HEAD, nonce, body]);
  }

  unwrap(binding: Binding, wrapped: Uint8Array): Buffer {
    const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length);
    if (bytes.length < BODY_AT + TAG_BYTES || !bytes.subarray(0, HEAD.length).equals(HEAD)) throw new CryptoError('envelope_malformed');
    const nonce = Buffer.from(bytes.subarray(HEAD.length, BODY_AT));
    const body = Buffer.from(bytes.subarray(BODY_AT));
    return this.#withSession(({ library, session, key: root, gcmParameters }) => {
      library.C_DecryptInit(session, gcm(gcmParameters, nonce, binding), root);
      try {
        return library.C_Decrypt(session, body, Buffer.alloc(body.length + ROOM));
      } catch (error) {
        // Tokens differ in the code of a wrong tag (SoftHSM: CKR_GENERAL_ERROR), and agree in those of a lost session.
        throw isLost(error) ? error : new CryptoError('envelope_rejected');
      }
    });
  }

  /** A sealed constant, since the token computes nothing else with the key. */
  checkValue(): Buffer {
    return this.wrap(CHECK, Buffer.alloc(32));
  }

  matches(checkValue: Buffer): boolean {
    try {
      return this.unwrap(CHECK, checkValue).length === 32;
    } catch (error) {
      if (error instanceof CryptoError && error.code === 'hsm_unavailable') throw error;
      return false;
    }
  }

  #withSession<T>(work: (session: Pkcs11Session) => T): T {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#session ??= openSession(this.settings, { create: false });
        return work(this.#session);
      } catch (error) {
        if (error instanceof CryptoError && error.code === 'envelope_rejected') throw error;
        this.#session = undefined; // closed, logged out or unplugged: the handles are worth nothing
        if (attempt === 2) throw new CryptoError('hsm_unavailable');
      }
    }
  }
}

function gcm(type: number, iv: Buffer, { label, parts }: Binding): Mechanism {
  assertContext(parts);
  const aad = lengthPrefixed([label, HEAD, ...parts]);
  return { mechanism: CK.CKM_AES_GCM, parameter: { type, iv, ivBits: 8 * NONCE_BYTES, aad, tagBits: 8 * TAG_BYTES } };
}
