import { KeyObject, createPublicKey } from 'node:crypto';
import { FormatError, HASH_BYTES, b64u, b64uDecode, sha256 } from './bytes';

/** An Ed25519 public key as a JWK (RFC 8037 section 2): `x` is the 32 bytes of RFC 8032, base64url. */
export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
}

/** A checked key, ready to verify with. */
export interface AuthorKey {
  /** Its thumbprint as in `kid`, 43 characters of base64url. */
  readonly kid: string;
  readonly key: KeyObject;
}

/** RFC 7638 thumbprint of an OKP key: SHA-256 of its required members in alphabetical order, without white space. 32 bytes. */
export function thumbprint(jwk: PublicJwk): Buffer {
  return sha256(`{"crv":${JSON.stringify(jwk.crv)},"kty":${JSON.stringify(jwk.kty)},"x":${JSON.stringify(jwk.x)}}`);
}

/**
 * Checks a key when it is registered: an Ed25519 public key, `x` in canonical base64url, y below p, a point of the curve, and not of small
 * order (under such a key a signature can be made that fits any message). Keys with a small-order component besides the prime one pass.
 * @returns exactly the three members of a public key, whatever else the input carried
 * @throws FormatError whose `field` is `jwk` or `jwk.<member>`; a private key is refused, so that it is never stored by mistake
 */
export function checkPublicJwk(jwk: unknown): PublicJwk {
  if (typeof jwk !== 'object' || jwk === null) throw new FormatError('jwk', 'is not an object');
  const { kty, crv, x } = jwk as Record<string, unknown>;
  if (kty !== 'OKP') throw new FormatError('jwk.kty', 'must be OKP');
  if (crv !== 'Ed25519') throw new FormatError('jwk.crv', 'must be Ed25519');
  if ('d' in jwk) throw new FormatError('jwk.d', 'is private');
  if (typeof x !== 'string') throw new FormatError('jwk.x', 'is not a text');
  checkPoint(b64uDecode(x, 'jwk.x', HASH_BYTES));
  return { kty, crv, x };
}

const P = 2n ** 255n - 19n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
/** A y of the four points of order 8: y^2 = -x^2 on the curve. */
const ORDER_8_Y = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
/** y of the eight points whose order divides 8; x and -x share it, so the sign bit does not matter. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([0n, 1n, P - 1n, ORDER_8_Y, P - ORDER_8_Y]);

function checkPoint(bytes: Buffer): void {
  const y = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`) & (2n ** 255n - 1n);
  if (y >= P) throw new FormatError('jwk.x', 'is not canonical');
  if (SMALL_ORDER_Y.has(y)) throw new FormatError('jwk.x', 'is of small order');
  // x^2 = (y^2 - 1) / (d y^2 + 1) has a root exactly when numerator times denominator is a square (Euler's criterion).
  const square = (y * y) % P;
  if (power(((square + P - 1n) * (D * square + 1n)) % P, (P - 1n) / 2n) !== 1n) throw new FormatError('jwk.x', 'is not on the curve');
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n, square = (square * square) % P) {
    if (rest & 1n) result = (result * square) % P;
  }
  return result;
}

/** Bound on remembered keys: a hospital has thousands of authors, a hostile database may name any number. */
const MAX_KEYS = 4096;
const known = new Map<string, AuthorKey>();

/**
 * The checked key of a JWK. Remembered by its very bytes, so a caller can neither poison nor outdate the memory; the expensive checks
 * and the import run once a key, not once a signature.
 * @throws FormatError as {@link checkPublicJwk}
 */
export function authorKey(jwk: PublicJwk): AuthorKey {
  const found = known.get(jwk.x);
  if (found !== undefined && (jwk.kty as string) === 'OKP' && (jwk.crv as string) === 'Ed25519') return found;
  const checked = checkPublicJwk(jwk);
  const made = { kid: b64u(thumbprint(checked)), key: createPublicKey({ key: { ...checked }, format: 'jwk' }) };
  if (known.size >= MAX_KEYS) known.clear();
  known.set(checked.x, made);
  return made;
}
