import { createSecretKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { b64u, b64uDecode, hkdf, hmac } from './bytes';
import { signatureFits } from './attestation';
import { openGcm, sealGcm } from './content';
import { BlockKind } from './header';
import { PublicJwk, authorKey } from './jwk';

/** Project Wycheproof's vectors (Apache-2.0), when they lie beside the repository. */
const FOLDER = join(__dirname, '../../../../shared/vectors/wycheproof');

interface Group<Test> {
  readonly tests: readonly (Test & {
    readonly tcId: number;
    readonly comment: string;
    readonly result: 'valid' | 'invalid' | 'acceptable';
  })[];
}
const groupsOf = <G>(file: string): readonly G[] =>
  (JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { testGroups: G[] }).testGroups;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** Runs each vector; at least `least` of them must have applied. */
function vectors(name: string, file: string, least: number, run: () => number): void {
  if (existsSync(join(FOLDER, file))) return it(name, () => expect(run()).toBeGreaterThanOrEqual(least));
  it.skip(`${name} (skipped: ${file} is not here)`, () => undefined);
}

describe('Wycheproof', () => {
  type Gcm = Record<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag', string>;
  vectors('AES-256-GCM, 96-bit nonce, 128-bit tag', 'aes_gcm_test.json', 60, () => {
    let ran = 0;
    for (const group of groupsOf<Group<Gcm> & Record<'keySize' | 'ivSize' | 'tagSize', number>>('aes_gcm_test.json')) {
      if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) continue;
      for (const { tcId, key, iv, aad, msg, ct, tag, result } of group.tests) {
        const secret = createSecretKey(hex(key));
        const sealed = hex(iv + ct + tag);
        const valid = result === 'valid';
        expect([tcId, openGcm(secret, hex(aad), sealed)?.toString('hex')]).toEqual([tcId, valid ? msg : undefined]);
        if (valid) expect([tcId, sealGcm(secret, hex(iv), hex(aad), hex(msg)).toString('hex')]).toEqual([tcId, iv + ct + tag]);
        ran += 1;
      }
    }
    return ran;
  });

  type Hkdf = Record<'ikm' | 'salt' | 'info' | 'okm', string> & { readonly size: number };
  vectors('HKDF-SHA-256', 'hkdf_sha256_test.json', 80, () => {
    let ran = 0;
    for (const { tests } of groupsOf<Group<Hkdf>>('hkdf_sha256_test.json')) {
      for (const { tcId, ikm, salt, info, okm, size, result } of tests) {
        const derive = (): string => hkdf(hex(ikm), hex(salt), hex(info), size).toString('hex');
        if (result === 'invalid') expect(derive).toThrow();
        else expect([tcId, derive()]).toEqual([tcId, okm]);
        ran += 1;
      }
    }
    return ran;
  });

  type Ed25519 = Record<'msg' | 'sig', string>;
  vectors('Ed25519', 'ed25519_test.json', 140, () => {
    const zeros = 'A'.repeat(43);
    const seen = { h: 0, b: zeros };
    const claims = { iss: 'a', sub: 'A'.repeat(22), jti: '', ver: 0, knd: BlockKind.record, iat: 0, cmt: zeros, seen };
    let ran = 0;
    for (const { publicKey, tests } of groupsOf<Group<Ed25519> & { readonly publicKey: { readonly pk: string } }>('ed25519_test.json')) {
      const jwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: b64u(hex(publicKey.pk)) };
      const key = authorKey(jwk);
      for (const { tcId, msg, sig, result } of tests) {
        // The signing input of a JWS is ASCII; the messages that are not, stand here as the bytes of a latin1 text.
        const parsed = { kid: key.kid, claims, signingInput: hex(msg).toString('latin1'), signature: hex(sig) };
        expect([tcId, signatureFits(parsed, key)]).toEqual([tcId, result === 'valid']);
        ran += 1;
      }
    }
    return ran;
  });

  type Jws = { readonly jws: string };
  type Secret = { readonly private?: { readonly alg?: string; readonly k?: string } };
  const hs256Fits = (jws: string, k: string): boolean => {
    try {
      const [head = '', body = '', tail = '', ...rest] = jws.split('.');
      const header = JSON.parse(b64uDecode(head, 'header').toString('utf8')) as { alg?: string };
      b64uDecode(body, 'payload');
      const mac = hmac(b64uDecode(k, 'k'), Buffer.from(`${head}.${body}`));
      return rest.length === 0 && header.alg === 'HS256' && mac.equals(b64uDecode(tail, 'signature'));
    } catch {
      return false;
    }
  };
  vectors('HMAC and strict base64url, by the HS256 signatures', 'json_web_signature_test.json', 30, () => {
    // These two carry a "?" inside a part and call it valid. RFC 7515 section 2 allows no character outside the alphabet, and neither do we.
    const stricter = [372, 373];
    let ran = 0;
    for (const group of groupsOf<Group<Jws> & Secret>('json_web_signature_test.json')) {
      const k = group.private?.alg === 'HS256' ? group.private.k : undefined;
      const valid = new Set(group.tests.flatMap(({ jws, result }) => (result === 'valid' ? [jws] : [])));
      for (const { tcId, jws, result } of k === undefined ? [] : group.tests) {
        if (result === 'invalid' && valid.has(jws)) continue; // 367 and 370 are 357 to the byte, yet with the opposite result
        expect([tcId, hs256Fits(jws, k!)]).toEqual([tcId, result === 'valid' && !stricter.includes(tcId)]);
        ran += 1;
      }
    }
    return ran;
  });
});
