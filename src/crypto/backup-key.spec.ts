import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { CryptoError } from './crypto-error';
import { BACKUP_HEAD_BYTES, beginBackup, newBackupKey, openBackup, readBackupRecipient, readBackupSecret } from './backup-key';

const roots = { ledgerKey: createSecretKey(randomBytes(32)) };
const pair = newBackupKey();
const secret = readBackupSecret(pair.secret);
const { head, key } = beginBackup(readBackupRecipient(pair.recipient), roots);

const error = (code: string) => expect.objectContaining({ name: 'CryptoError', code }) as Error;

it('the holder of the private half gets the key of the chunks; each backup has one of its own', () => {
  expect(head.length).toBe(BACKUP_HEAD_BYTES);
  expect(openBackup(secret, roots, head).equals(key)).toBe(true);
  expect(beginBackup(readBackupRecipient(pair.recipient), roots).key.equals(key)).toBe(false);
});

it('ATTACK another private half, and another ledger key: refused', () => {
  expect(() => openBackup(readBackupSecret(newBackupKey().secret), roots, head)).toThrow(error('backup_wrong_key'));
  const others = { ledgerKey: createSecretKey(randomBytes(32)) };
  expect(() => openBackup(secret, others, head)).toThrow(error('backup_wrong_key'));
});

it('ATTACK a backup that somebody makes who has the public half only: refused', () => {
  const theirs = beginBackup(readBackupRecipient(pair.recipient), { ledgerKey: createSecretKey(Buffer.alloc(32)) });
  expect(() => openBackup(secret, roots, theirs.head)).toThrow(error('backup_wrong_key'));
});

it('ATTACK every byte of the head: changed, or missing: refused', () => {
  for (let at = 0; at < head.length; at += 1) {
    const changed = Buffer.from(head);
    changed[at] = (changed[at] ?? 0) ^ 0x80;
    expect(() => openBackup(secret, roots, changed)).toThrow(CryptoError);
    expect(() => openBackup(secret, roots, head.subarray(0, at))).toThrow(error('backup_malformed'));
  }
});

it('ATTACK a point of small order, whose shared secret everybody knows: refused', () => {
  for (const point of [Buffer.alloc(32), Buffer.concat([Buffer.of(1), Buffer.alloc(31)])]) {
    const weak = Buffer.from(head);
    weak.set(point, 52);
    expect(() => openBackup(secret, roots, weak)).toThrow(error('backup_rejected'));
  }
});

it('a private half is not taken for a public one, nor a key of another kind for either', () => {
  const malformed = error('backup_key_malformed');
  expect(() => readBackupRecipient(pair.secret)).toThrow(malformed);
  expect(() => readBackupSecret(pair.recipient)).toThrow(malformed);
  const { publicKey } = generateKeyPairSync('ed25519');
  expect(() => readBackupRecipient(publicKey.export({ format: 'pem', type: 'spki' }).toString())).toThrow(malformed);
  expect(() => readBackupSecret('')).toThrow(malformed);
});
