import { createHash, createSecretKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hkdfSha256 } from './bytes';
import { CryptoError } from './crypto-error';
import { gcmOpen, gcmSeal, Xaes256Gcm } from './xaes';

const wycheproof = join(__dirname, '../../../shared/vectors/wycheproof');
const hex = (text: string) => Buffer.from(text, 'hex');

/** Wycheproof is not part of the repository: where it is absent, the test says so instead of passing in silence. */
function vectors<T>(file: string): T[] {
  const path = join(wycheproof, file);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { testGroups: T[] }).testGroups : [];
}

interface GcmGroup {
  ivSize: number;
  keySize: number;
  tagSize: number;
  tests: {
    tcId: number;
    key: string;
    iv: string;
    aad: string;
    msg: string;
    ct: string;
    tag: string;
    result: 'valid' | 'invalid' | 'acceptable';
  }[];
}
interface HkdfGroup {
  tests: { tcId: number; ikm: string; salt: string; info: string; size: number; okm: string; result: 'valid' | 'invalid' }[];
}

describe('XAES-256-GCM', () => {
  const nonce = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
  const text = Buffer.from('XAES-256-GCM');

  it.each([
    [0x01, '', 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'],
    [0x03, 'c2sp.org/XAES-256-GCM', '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'],
  ])('SEC-87 C2SP vector with key bytes %i', (byte, aad, expected) => {
    const xaes = new Xaes256Gcm(createSecretKey(Buffer.alloc(32, byte)));
    for (let again = 0; again < 2; again++) {
      const sealed = xaes.seal(nonce, text, Buffer.from(aad));
      expect(sealed.toString('hex')).toBe(expected);
      expect(xaes.open(nonce, sealed, Buffer.from(aad)).toString()).toBe('XAES-256-GCM');
    }
  });

  it('SEC-87 C2SP accumulated test, 10,000 iterations', () => {
    const stream = createHash('shake128', { outputLength: 10_000 * (32 + 24 + 2 * 256) }).digest();
    const hash = createHash('shake128', { outputLength: 32 });
    let at = 0;
    const take = (length: number) => stream.subarray(at, (at += length));
    for (let i = 0; i < 10_000; i++) {
      const xaes = new Xaes256Gcm(createSecretKey(take(32)));
      const n = take(24);
      const plaintext = take(take(1)[0] ?? 0);
      const aad = take(take(1)[0] ?? 0);
      const sealed = xaes.seal(n, plaintext, aad);
      hash.update(sealed);
      if (!xaes.open(n, sealed, aad).equals(plaintext)) throw new Error(`iteration ${i} does not open`);
    }
    expect(hash.digest('hex')).toBe('e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939');
  });

  it('refuses a nonce or key of another length', () => {
    const xaes = new Xaes256Gcm(createSecretKey(Buffer.alloc(32)));
    for (const length of [0, 12, 23, 25]) expect(() => xaes.seal(Buffer.alloc(length), text, text)).toThrow(CryptoError);
    expect(() => new Xaes256Gcm(createSecretKey(Buffer.alloc(16)))).toThrow('Invalid key length');
    expect(() => xaes.open(nonce, Buffer.alloc(15), text)).toThrow(new CryptoError('envelope_rejected'));
  });
});

const ifPresent = existsSync(wycheproof) ? it : it.skip;

describe('Wycheproof (skipped where ../shared/vectors/wycheproof is absent)', () => {
  ifPresent('SEC-87 AES-GCM: every case with a 256-bit key, 96-bit nonce and 128-bit tag', () => {
    let cases = 0;
    for (const group of vectors<GcmGroup>('aes_gcm_test.json')) {
      if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) continue;
      for (const t of group.tests) {
        cases++;
        const sealed = Buffer.concat([hex(t.ct), hex(t.tag)]);
        const open = () => gcmOpen(hex(t.key), hex(t.iv), sealed, hex(t.aad)).toString('hex');
        if (t.result === 'valid') {
          expect(open()).toBe(t.msg);
          expect(gcmSeal(hex(t.key), hex(t.iv), hex(t.msg), hex(t.aad))).toEqual(sealed);
        } else expect(open).toThrow(new CryptoError('envelope_rejected'));
      }
    }
    expect(cases).toBeGreaterThan(50);
  });

  ifPresent('SEC-87 HKDF-SHA-256: every case', () => {
    let cases = 0;
    for (const t of vectors<HkdfGroup>('hkdf_sha256_test.json').flatMap((group) => group.tests)) {
      cases++;
      const derive = () => hkdfSha256(hex(t.ikm), hex(t.salt), hex(t.info), t.size).toString('hex');
      if (t.result === 'valid') expect(derive()).toBe(t.okm);
      else expect(derive).toThrow();
    }
    expect(cases).toBeGreaterThan(50);
  });
});
