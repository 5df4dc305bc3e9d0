import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { CryptoError } from './crypto-error';
import { type KeyStore, TOKEN_FILE } from './key-store';

/** A key pair that signs access tokens: ES256, i.e. ECDSA on P-256. */
export interface TokenKey {
  /** RFC 7638 SHA-256 thumbprint of the public key, base64url. */
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** With the time of its file's last change. */
export interface StoredTokenKey extends TokenKey {
  readonly changedMs: number;
}

export const tokenFile = (kid: string): string => `token-${kid}.pem`;

/** RFC 7638 thumbprint (SHA-256, base64url) of a P-256 key: the hash of its required JWK members in alphabetical order. */
export function thumbprint(key: KeyObject): string {
  const { crv, kty, x, y } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** Makes a key in a file of its own (PKCS#8). @returns its kid */
export function addTokenKey(store: KeyStore): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = thumbprint(privateKey);
  store.add(tokenFile(kid), privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
  return kid;
}

/** @throws CryptoError `key_file_malformed` unless the file holds the P-256 key of its name; and as `KeyStore.read` */
export function readTokenKey(store: KeyStore, name: string): StoredTokenKey {
  const { text, changedMs } = store.read(name);
  const privateKey = parsePkcs8(text, name);
  const isP256 = privateKey.asymmetricKeyType === 'ec' && privateKey.asymmetricKeyDetails?.namedCurve === 'prime256v1';
  const kid = isP256 ? thumbprint(privateKey) : '';
  if (kid === '' || kid !== TOKEN_FILE.exec(name)?.[1]) throw new CryptoError('key_file_malformed', name);
  return { kid, privateKey, publicKey: createPublicKey(privateKey), changedMs };
}

function parsePkcs8(text: string, name: string): KeyObject {
  try {
    if (text.startsWith('-----BEGIN PRIVATE KEY-----')) return createPrivateKey({ key: text, format: 'pem', type: 'pkcs8' });
  } catch {
    // OpenSSL's message may describe the content: it goes no further
  }
  throw new CryptoError('key_file_malformed', name);
}
