import type { KeyObject } from 'node:crypto';
import { FormatError, b64u, isUuid } from './bytes';
import { isOrigin } from './header';
import { type PublicJwk, authorKey, thumbprint } from './jwk';
import { jwsFits, signJws, splitJws } from './jws';

/** What somebody signs who registers a key: that this account holds its private half. */
export interface KeyClaims {
  /** Origin of the ledger at which the key is registered. */
  readonly iss: string;
  /** The account, UUID. */
  readonly sub: string;
  /** Time of signing by the signer's clock, seconds since the epoch (UTC). */
  readonly iat: number;
}

const TYPE = 'bjwt-key+jwt';

/** Signs a proof of possession: a compact JWS of type `bjwt-key+jwt`. For tests and clients; the server never holds such a key. */
export function signKeyProof(claims: KeyClaims, jwk: PublicJwk, privateKey: KeyObject): string {
  return signJws(TYPE, b64u(thumbprint(jwk)), serialise(claims), privateKey);
}

/**
 * The claims of a proof of possession that is in the one accepted form and was signed by this very key. What they are about is for the caller.
 * @throws FormatError `jwk…` for an unusable key, else `proof` or `proof.<part>`
 */
export function verifyKeyProof(jws: string, jwk: PublicJwk): KeyClaims {
  const key = authorKey(jwk);
  const parsed = splitJws(jws, TYPE, 'proof');
  const claims = parseClaims(parsed.payload);
  if (parsed.kid !== key.kid) throw new FormatError('proof.kid', 'names another key');
  if (!jwsFits(parsed, key)) throw new FormatError('proof.signature', 'does not fit');
  return claims;
}

const PAYLOAD = /^\{"iss":"([!-~]{1,255})","sub":"([0-9a-f-]{36})","iat":(0|[1-9][0-9]{0,14})\}$/;

function parseClaims(payload: Buffer): KeyClaims {
  const [, iss, sub, iat] = PAYLOAD.exec(payload.toString('latin1')) ?? [];
  if (iat === undefined) throw new FormatError('proof.payload', 'is not in the one accepted form');
  if (!isOrigin(iss)) throw new FormatError('proof.iss', 'is not an origin');
  if (!isUuid(sub)) throw new FormatError('proof.sub', 'is not a lower-case UUID');
  return { iss, sub, iat: Number(iat) };
}

function serialise({ iss, sub, iat }: KeyClaims): string {
  return JSON.stringify({ iss, sub, iat });
}
