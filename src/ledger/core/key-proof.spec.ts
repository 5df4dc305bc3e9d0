import { sign } from 'node:crypto';
import { testAuthor } from '../../../test/reference/chain-maker';
import { FormatError, b64u } from './bytes';
import type { PublicJwk } from './jwk';
import { signKeyProof, verifyKeyProof } from './key-proof';

const author = testAuthor('doctor');
const claims = { iss: 'ledger.hospital-a.example/ehr1', sub: '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0', iat: 1_760_000_000 };
/** Written by hand from the format. */
const header = `{"alg":"EdDSA","kid":"${author.kid}","typ":"bjwt-key+jwt"}`;
const payload = `{"iss":"${claims.iss}","sub":"${claims.sub}","iat":1760000000}`;
const part = (text: string): string => b64u(Buffer.from(text, 'utf8'));
const forged = (protectedHeader: string, body: string): string => {
  const input = `${part(protectedHeader)}.${part(body)}`;
  return `${input}.${sign(null, Buffer.from(input), author.privateKey).toString('base64url')}`;
};
const fieldOf = (jws: string, jwk: PublicJwk = author.jwk): string => {
  try {
    verifyKeyProof(jws, jwk);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return error.field;
  }
};

describe('proof of possession', () => {
  it('is a compact JWS with exactly this header and payload', () => {
    const jws = signKeyProof(claims, author.jwk, author.privateKey);
    expect(jws).toBe(forged(header, payload));
    expect(verifyKeyProof(jws, author.jwk)).toEqual(claims);
  });

  it.each<[string, string, string]>([
    ['an attestation’s type', forged(header.replace('key+jwt', 'block+jwt'), payload), 'proof.protected'],
    ['another algorithm', forged(header.replace('EdDSA', 'none'), payload), 'proof.protected'],
    ['a further member', forged(header, payload.replace('}', ',"exp":1}')), 'proof.payload'],
    ['white space', forged(header, payload.replace(',', ', ')), 'proof.payload'],
    ['another spelling of a number', forged(header, payload.replace('1760000000', '1.76e9')), 'proof.payload'],
    ['no account', forged(header, payload.replace(claims.sub, '-'.repeat(36))), 'proof.sub'],
    ['no origin', forged(header, payload.replace(claims.iss, 'a+b')), 'proof.iss'],
    ['another key in the header', forged(header.replace(author.kid, testAuthor('other').kid), payload), 'proof.kid'],
    ['a signature that does not fit', `${part(header)}.${part(payload)}.${b64u(Buffer.alloc(64, 1))}`, 'proof.signature'],
    ['not three parts', 'a.b', 'proof'],
  ])('ATTACK %s is refused', (_, jws, field) => {
    expect(fieldOf(jws)).toBe(field);
  });

  it('ATTACK a key of small order is refused before its signature is looked at', () => {
    const x = b64u(Buffer.from(`01${'00'.repeat(31)}`, 'hex'));
    expect(fieldOf(forged(header, payload), { kty: 'OKP', crv: 'Ed25519', x })).toBe('jwk.x');
  });
});
