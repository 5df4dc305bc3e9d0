import { testAuthor } from '../../../test/reference/chain-maker';
import { FormatError, b64u } from './bytes';
import { PublicJwk, authorKey, checkPublicJwk } from './jwk';

const P = 2n ** 255n - 19n;
const mod = (value: bigint): bigint => ((value % P) + P) % P;
const power = (base: bigint, exponent: bigint): bigint => {
  if (exponent === 0n) return 1n;
  const half = power(mod(base * base), exponent >> 1n);
  return exponent & 1n ? mod(half * base) : half;
};
const invert = (value: bigint): bigint => power(value, P - 2n);
const D = mod(-121665n * invert(121666n));
type Point = readonly [bigint, bigint];
const add = ([x1, y1]: Point, [x2, y2]: Point): Point => {
  const t = mod(D * mod(x1 * x2) * mod(y1 * y2));
  return [mod((x1 * y2 + x2 * y1) * invert(1n + t)), mod((y1 * y2 + x1 * x2) * invert(mod(1n - t)))];
};
/** A square root modulo p = 5 (mod 8), or undefined. */
const root = (value: bigint): bigint | undefined => {
  const candidate = power(value, (P + 3n) / 8n);
  return [candidate, mod(candidate * power(2n, (P - 1n) / 4n))].find((r) => mod(r * r) === mod(value));
};
const encode = (y: bigint, sign: bigint): string => b64u(Buffer.from((y | (sign << 255n)).toString(16).padStart(64, '0'), 'hex').reverse());
const jwkOf = (y: bigint, sign = 0n): PublicJwk => ({ kty: 'OKP', crv: 'Ed25519', x: encode(y, sign) });
const refusal = (jwk: unknown): string => {
  try {
    checkPublicJwk(jwk);
    return 'accepted';
  } catch (error) {
    return error instanceof FormatError ? error.message : 'another error';
  }
};

describe('public keys', () => {
  const author = testAuthor('doctor');

  it('accepts a real key and returns exactly its public members', () => {
    expect(checkPublicJwk({ ...author.jwk, kid: 'x', use: 'sig' })).toEqual(author.jwk);
    expect(authorKey(author.jwk).kid).toBe(author.kid);
    expect(authorKey({ ...author.jwk })).toBe(authorKey(author.jwk));
  });

  it('agrees with curve arithmetic done the long way: the y of order dividing 8 are refused, their neighbours are not', () => {
    // From an arbitrary point, multiply by the prime group order: what is left has an order that divides 8. Collect all of them.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const small = new Set<bigint>();
    for (let y = 2n; small.size < 5; y += 1n) {
      const x = root(mod((y * y - 1n) * invert(mod(D * y * y + 1n))));
      if (x === undefined) continue;
      let rest: Point = [0n, 1n];
      for (let bit = 252n; bit >= 0n; bit -= 1n) {
        rest = add(rest, rest);
        if ((order >> bit) & 1n) rest = add(rest, [x, y]);
      }
      for (let times = 0, point = rest; times < 8; times += 1, point = add(point, rest)) small.add(point[1]);
      expect(refusal(jwkOf(y))).toBe('accepted');
    }
    expect(small.size).toBe(5);
    for (const y of small) for (const sign of [0n, 1n]) expect(refusal(jwkOf(y, sign))).toBe('jwk.x is of small order');
  });

  it.each(Array.from({ length: 19 }, (_, n) => n))('refuses the non-canonical y = p + %i', (n) => {
    for (const sign of [0n, 1n]) expect(refusal(jwkOf(P + BigInt(n), sign))).toBe('jwk.x is not canonical');
  });

  it('refuses what is not on the curve', () => {
    const y = [2n, 3n, 4n, 5n, 6n, 7n, 8n].find((n) => root(mod((n * n - 1n) * invert(mod(D * n * n + 1n)))) === undefined);
    expect(refusal(jwkOf(y!))).toBe('jwk.x is not on the curve');
  });

  it.each([
    ['nothing', null, 'jwk is not an object'],
    ['a text', 'x', 'jwk is not an object'],
    ['an EC key', { ...author.jwk, kty: 'EC' }, 'jwk.kty must be OKP'],
    ['X25519', { ...author.jwk, crv: 'X25519' }, 'jwk.crv must be Ed25519'],
    ['a private key', { ...author.jwk, d: 'AA' }, 'jwk.d is private'],
    ['no x', { kty: 'OKP', crv: 'Ed25519' }, 'jwk.x is not a text'],
    ['31 bytes', { ...author.jwk, x: b64u(Buffer.alloc(31, 5)) }, 'jwk.x must have 32 bytes'],
    ['padding', { ...author.jwk, x: `${author.jwk.x}=` }, 'jwk.x is not canonical base64url'],
  ])('refuses %s', (_, jwk, message) => expect(refusal(jwk)).toBe(message));

  it('does not take a remembered key for one of another type', () => {
    authorKey(author.jwk);
    expect(() => authorKey({ ...author.jwk, crv: 'X25519' } as unknown as PublicJwk)).toThrow('jwk.crv');
  });
});
