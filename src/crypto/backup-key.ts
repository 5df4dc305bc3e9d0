import { createHmac, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { hkdfSha256, lengthPrefixed, sameBytes } from './bytes';
import { CryptoError } from './crypto-error';
import { KEY_BYTES } from './data-key';
import type { RootKeys } from './root-keys';

/*
 * Who makes backups cannot read them: a backup is sealed for the public half of an X25519 pair (RFC 7748), and the private half stays away from the server.
 * A backup begins with
 *
 *   0    20  "bjwt-ehr/backup/v1\n" and a zero byte
 *   20   32  the public half for which it was made
 *   52   32  the public half of a pair that was made for this backup alone
 *   84   32  HMAC-SHA-256(K_head, bytes 0..84)
 *
 *   K_head | K_chunks = HKDF-SHA-256(LP(X25519 shared secret) LP(K_origin), salt bytes 0..84, info LP("ehr/backup/v1"), 64 bytes)
 *   K_origin = HKDF-SHA-256(ledger key, info LP("ehr/backup-origin/v1"))
 *
 * K_origin says that the server made it, for anybody can have the public half; and whoever breaks X25519 one day still lacks it.
 */
const MAGIC = Buffer.from('bjwt-ehr/backup/v1\n\0', 'latin1');
const RECIPIENT_AT = MAGIC.length;
const EPHEMERAL_AT = RECIPIENT_AT + KEY_BYTES;
const MAC_AT = EPHEMERAL_AT + KEY_BYTES;
export const BACKUP_HEAD_BYTES = MAC_AT + KEY_BYTES;

/** What a backup begins with, and the key of its chunks. */
export interface BackupHead {
  readonly head: Buffer;
  /** 32 bytes; for this backup alone. */
  readonly key: Buffer;
}

/** A new pair, both halves as PEM (PKCS#8, SPKI). */
export function newBackupKey(): { secret: string; recipient: string } {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return {
    secret: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    recipient: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

/** Reads the public half. @throws CryptoError `backup_key_malformed` */
export function readBackupRecipient(pem: string): KeyObject {
  if (!pem.includes('BEGIN PUBLIC KEY')) throw new CryptoError('backup_key_malformed'); // a private key would be taken for its public half
  return x25519(() => createPublicKey(pem));
}

/** Reads the private half. @throws CryptoError `backup_key_malformed` */
export function readBackupSecret(pem: string): KeyObject {
  return x25519(() => createPrivateKey(pem));
}

/** Begins a backup for the holder of the private half. */
export function beginBackup(recipient: KeyObject, roots: Pick<RootKeys, 'ledgerKey'>): BackupHead {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const head = Buffer.concat([MAGIC, rawPublic(recipient), rawPublic(publicKey)]);
  const { mac, key } = derive(diffieHellman({ privateKey, publicKey: recipient }), head, roots);
  return { head: Buffer.concat([head, mac]), key };
}

/**
 * The key of the chunks of a backup that begins so.
 * @param head the first {@link BACKUP_HEAD_BYTES} bytes
 * @throws CryptoError `backup_malformed`, `backup_wrong_key`, `backup_rejected`
 */
export function openBackup(secret: KeyObject, roots: Pick<RootKeys, 'ledgerKey'>, head: Buffer): Buffer {
  if (head.length !== BACKUP_HEAD_BYTES || !head.subarray(0, RECIPIENT_AT).equals(MAGIC)) throw new CryptoError('backup_malformed');
  if (!head.subarray(RECIPIENT_AT, EPHEMERAL_AT).equals(rawPublic(createPublicKey(secret)))) throw new CryptoError('backup_wrong_key');
  const { mac, key } = derive(agree(secret, head.subarray(EPHEMERAL_AT, MAC_AT)), head.subarray(0, MAC_AT), roots);
  if (!sameBytes(mac, head.subarray(MAC_AT))) throw new CryptoError('backup_wrong_key');
  return key;
}

function derive(shared: Buffer, head: Buffer, { ledgerKey }: Pick<RootKeys, 'ledgerKey'>): { mac: Buffer; key: Buffer } {
  const origin = hkdfSha256(ledgerKey, new Uint8Array(), lengthPrefixed(['ehr/backup-origin/v1']), KEY_BYTES);
  const input = lengthPrefixed([shared, origin]);
  const keys = hkdfSha256(input, head, lengthPrefixed(['ehr/backup/v1']), 2 * KEY_BYTES);
  for (const secret of [shared, origin, input]) secret.fill(0);
  return { mac: createHmac('sha256', keys.subarray(0, KEY_BYTES)).update(head).digest(), key: keys.subarray(KEY_BYTES) };
}

/** OpenSSL refuses points of small order, whose secret everybody knows. */
function agree(privateKey: KeyObject, raw: Buffer): Buffer {
  try {
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: raw.toString('base64url') }, format: 'jwk' });
    return diffieHellman({ privateKey, publicKey });
  } catch {
    throw new CryptoError('backup_rejected');
  }
}

function rawPublic(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
}

function x25519(read: () => KeyObject): KeyObject {
  try {
    const key = read();
    if (key.asymmetricKeyType === 'x25519') return key;
  } catch {
    // told below
  }
  throw new CryptoError('backup_key_malformed');
}
