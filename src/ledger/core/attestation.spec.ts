import { createPrivateKey, sign, verify } from 'node:crypto';
import { testAuthor } from '../../../test/reference/chain-maker';
import { AttestationClaims, parseAttestation, signAttestation, signatureFits, verifyAttestation } from './attestation';
import { FormatError, b64u } from './bytes';
import { BlockKind } from './header';
import { PublicJwk, authorKey, thumbprint } from './jwk';

const author = testAuthor('doctor');
const zeros43 = 'A'.repeat(43);
const claims: AttestationClaims = {
  iss: 'ledger.hospital-a.example/ehr1',
  sub: 'AwMDAwMDAwMDAwMDAwMDAw',
  jti: '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0',
  ver: 2,
  knd: BlockKind.record,
  iat: 1_760_000_000,
  cmt: zeros43,
  seen: { h: 6, b: zeros43 },
};
/** Written by hand from the format. */
const header = `{"alg":"EdDSA","kid":"${author.kid}","typ":"bjwt-block+jwt"}`;
const payload =
  '{"iss":"ledger.hospital-a.example/ehr1","sub":"AwMDAwMDAwMDAwMDAwMDAw","jti":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0","ver":2,"knd":2,' +
  `"iat":1760000000,"cmt":"${zeros43}","seen":{"h":6,"b":"${zeros43}"}}`;

const part = (text: string): string => Buffer.from(text, 'utf8').toString('base64url');
/** A JWS with a genuine signature over whatever the test puts in. */
const forged = (protectedHeader: string, body: string): string => {
  const input = `${part(protectedHeader)}.${part(body)}`;
  return `${input}.${sign(null, Buffer.from(input), author.privateKey).toString('base64url')}`;
};
const fieldOf = (jws: string, jwk: PublicJwk = author.jwk): string => {
  const result = verifyAttestation(jws, jwk);
  return result.valid ? 'valid' : result.field;
};

describe('attestation', () => {
  it('is a compact JWS with exactly this header and payload', () => {
    const jws = signAttestation(claims, author.privateKey, author.kid);
    expect(jws).toBe(forged(header, payload));
    expect(jws).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}$/);
    expect(verifyAttestation(jws, author.jwk)).toEqual({ valid: true, claims });
    const { kid, signingInput, signature } = parseAttestation(jws);
    expect(kid).toBe(author.kid);
    expect(verify(null, Buffer.from(signingInput), authorKey(author.jwk).key, signature)).toBe(true);
  });

  it('RFC 8037 A.1 to A.4: key, thumbprint and signature', () => {
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
    const jwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x };
    expect(b64u(thumbprint(jwk))).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
    const signingInput = 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc';
    const expected = 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg';
    const signature = Buffer.from(expected, 'base64url');
    const key = createPrivateKey({ key: { ...jwk, d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' }, format: 'jwk' });
    expect(b64u(sign(null, Buffer.from(signingInput), key))).toBe(expected);
    expect(signatureFits({ kid: '', claims, signingInput, signature }, authorKey(jwk))).toBe(true);
    expect(signatureFits({ kid: '', claims, signingInput: `${signingInput}A`, signature }, authorKey(jwk))).toBe(false);
    expect(fieldOf(`${signingInput}.${expected}`, jwk)).toBe('attestation.protected');
  });

  const [h, p, s] = signAttestation(claims, author.privateKey, author.kid).split('.') as [string, string, string];
  it.each([
    ['empty', '', 'attestation'],
    ['two parts', `${h}.${p}`, 'attestation'],
    ['four parts', `${h}.${p}.${s}.`, 'attestation'],
    ['very long', `${h}.${p}.${'A'.repeat(4096)}`, 'attestation'],
    ['padded header', `${h}=.${p}.${s}`, 'attestation.protected'],
    ['padded payload', `${h}.${p}=.${s}`, 'attestation.payload'],
    ['trailing newline', `${h}.${p}.${s}\n`, 'attestation.signature'],
    ['no signature', `${h}.${p}.`, 'attestation.signature'],
    ['signature of 63 bytes', `${h}.${p}.${b64u(Buffer.alloc(63))}`, 'attestation.signature'],
    ['zero signature', `${h}.${p}.${b64u(Buffer.alloc(64))}`, 'attestation.signature'],
    ['another payload under the signature', `${h}.${part(payload.replace('"ver":2', '"ver":3'))}.${s}`, 'attestation.signature'],
    ['another author', signAttestation(claims, testAuthor('other').privateKey, testAuthor('other').kid), 'attestation.kid'],
    [
      "another author under this author's kid",
      signAttestation(claims, testAuthor('other').privateKey, author.kid),
      'attestation.signature',
    ],
  ])('refuses: %s', (_, jws, field) => expect(fieldOf(jws)).toBe(field));

  it.each([
    ['alg none', header.replace('EdDSA', 'none')],
    ['alg HS256', header.replace('EdDSA', 'HS256')],
    ['alg Ed25519', header.replace('EdDSA', 'Ed25519')],
    ['another typ', header.replace('bjwt-block+jwt', 'JWT')],
    ['no typ', header.replace(',"typ":"bjwt-block+jwt"', '')],
    ['an additional member', header.replace('}', ',"crit":["b64"]}')],
    ['a key in the header', header.replace('}', `,"jwk":${JSON.stringify(author.jwk)}}`)],
    ['a duplicate', header.replace('{', '{"alg":"none",')],
    ['another order', `{"typ":"bjwt-block+jwt","alg":"EdDSA","kid":"${author.kid}"}`],
    ['white space', header.replace(':', ': ')],
    ['an escape', header.replace('alg', '\\u0061lg')],
    ['a newline behind', `${header}\n`],
    ['a kid that does not print back', header.replace(author.kid, `${'A'.repeat(42)}B`)],
  ])('refuses, although signed, a protected header with %s', (_, bad) => {
    expect(fieldOf(forged(bad, payload))).toMatch(/^attestation\.(protected|kid)$/);
  });

  const change = (from: string, to: string): string => {
    expect(payload).toContain(from);
    return payload.replace(from, to);
  };
  it.each([
    ['a duplicate key', () => change('{"iss"', '{"iss":"evil.example","iss"'), 'payload'],
    ['a duplicate key behind', () => change('"ver":2', '"ver":2,"ver":2'), 'payload'],
    ['an additional claim', () => change('"ver":2', '"ver":2,"exp":9'), 'payload'],
    ['an additional member of seen', () => change('"h":6', '"h":6,"x":1'), 'payload'],
    ['__proto__', () => change('"ver":2', '"ver":2,"__proto__":{}'), 'payload'],
    ['another order', () => change('"ver":2,"knd":2', '"knd":2,"ver":2'), 'payload'],
    ['white space', () => change(',"ver"', ', "ver"'), 'payload'],
    ['a number spelled 2.0', () => change('"ver":2', '"ver":2.0'), 'payload'],
    ['a number spelled 2e0', () => change('"ver":2', '"ver":2e0'), 'payload'],
    ['an escaped letter', () => change('"iss":"l', '"iss":"\\u006c'), 'payload'],
    ['a byte order mark', () => `\ufeff${payload}`, 'payload'],
    ['not JSON', () => payload.slice(1), 'payload'],
    ['null', () => 'null', 'payload'],
    ['a list', () => `[${payload}]`, 'seen'],
    ['a missing claim', () => change('"ver":2,', ''), 'ver'],
    ['ver as text', () => change('"ver":2', '"ver":"2"'), 'ver'],
    ['ver -0', () => change('"ver":2', '"ver":-0'), 'payload'],
    ['ver 2^32', () => change('"ver":2', '"ver":4294967296'), 'ver'],
    ['an unknown kind', () => change('"knd":2', '"knd":10'), 'knd'],
    ['iat with a fraction', () => change('1760000000', '1760000000.5'), 'iat'],
    ['iat beyond 2^53', () => change('1760000000', '9007199254740993'), 'iat'],
    ['a negative iat', () => change('1760000000', '-1'), 'iat'],
    ['an upper-case record id', () => change('0f1e2d3c', '0F1E2D3C'), 'jti'],
    ['an origin with a space', () => change('hospital-a', 'hospital a'), 'iss'],
    ['an origin with a lone surrogate', () => change('hospital-a', '\\ud800'), 'iss'],
    ['a short chain id', () => change('"sub":"AwMD', '"sub":"'), 'sub'],
    ['cmt with spare bits', () => change(`"cmt":"${zeros43}`, `"cmt":"${'A'.repeat(42)}B`), 'cmt'],
    ['cmt null', () => change(`"cmt":"${zeros43}"`, '"cmt":null'), 'cmt'],
    ['seen null', () => change(`{"h":6,"b":"${zeros43}"}`, 'null'), 'seen'],
    ['seen height -2', () => change('"h":6', '"h":-2'), 'seen'],
    ['seen hash missing', () => change(`,"b":"${zeros43}"`, ''), 'seen'],
  ])('refuses, although signed, a payload with %s', (_, make, claim) =>
    expect(fieldOf(forged(header, make()))).toBe(`attestation.${claim}`),
  );

  it('refuses invalid UTF-8 in the payload', () => {
    const body = Buffer.from(payload);
    body[10] = 0xff;
    const input = `${part(header)}.${b64u(body)}`;
    expect(fieldOf(`${input}.${b64u(sign(null, Buffer.from(input), author.privateKey))}`)).toBe('attestation.iss');
  });

  it('says so when the key itself is weak', () => {
    const jwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: b64u(Buffer.from(`01${'00'.repeat(31)}`, 'hex')) };
    expect(fieldOf(`${h}.${p}.${s}`, jwk)).toBe('jwk.x');
  });

  it.each([
    ['a wrong claim', { ...claims, ver: -1 }, author.kid],
    ['a kid that is no thumbprint', claims, 'doctor'],
  ])('does not sign %s', (_, wrong, kid) => expect(() => signAttestation(wrong, author.privateKey, kid)).toThrow(FormatError));

  it('does not sign members beyond the claims', () => {
    const more = { ...claims, patient: 'Muster' };
    expect(signAttestation(more, author.privateKey, author.kid)).toBe(`${h}.${p}.${s}`);
  });
});
