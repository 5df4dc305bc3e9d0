import type { KeyObject } from 'node:crypto';
import { FormatError, HASH_BYTES, ID_BYTES, b64uDecode, isU32, isUuid } from './bytes';
import { BlockKind, isBlockKind, isOrigin } from './header';
import { AuthorKey, PublicJwk, authorKey } from './jwk';
import { jwsFits, signJws, signingInputOf, splitJws } from './jws';

/** What the author of a block signs: the payload of the JWS, in this order and with no other member. */
export interface AttestationClaims {
  /** Origin of the ledger. */
  readonly iss: string;
  /** Chain id, base64url of 16 bytes. */
  readonly sub: string;
  /** Record id, UUID as text. */
  readonly jti: string;
  /** Version of the record, u32. */
  readonly ver: number;
  readonly knd: BlockKind;
  /** Time of signing by the author's clock, seconds since the epoch (UTC). */
  readonly iat: number;
  /** Content commitment, base64url of 32 bytes. */
  readonly cmt: string;
  /**
   * The newest block that the author had in view: height and block hash (base64url). It must be below the block that is signed, so an operator
   * cannot slip one in beneath it later. The author of height 0 saw an empty chain: height -1 and the genesis hash.
   */
  readonly seen: { readonly h: number; readonly b: string };
}

/** A JWS taken apart: well-formed, but its signature not looked at. */
export interface ParsedAttestation {
  readonly kid: string;
  readonly claims: AttestationClaims;
  readonly signingInput: string;
  readonly signature: Buffer;
}

/** `field`: `jwk…` for an unusable key, else `attestation` or `attestation.<part>`. */
export type AttestationResult =
  { readonly valid: true; readonly claims: AttestationClaims } | { readonly valid: false; readonly field: string; readonly reason: string };

const TYPE = 'bjwt-block+jwt';

/**
 * Signs claims as a compact JWS (RFC 7515 section 7.1, EdDSA of RFC 8037). Its ASCII is stored verbatim and hashed into the header.
 * @param kid thumbprint of the key, base64url; that it belongs to `privateKey` is the caller's promise
 * @throws FormatError on claims or a kid that no verifier would accept
 */
export function signAttestation(claims: AttestationClaims, privateKey: KeyObject, kid: string): string {
  b64uDecode(kid, 'attestation.kid', HASH_BYTES);
  return signJws(TYPE, kid, serialise(checkClaims(claims)), privateKey);
}

/**
 * What an author signs who signs elsewhere: the ASCII over which {@link signAttestation} would make its signature; a dot and the base64url of the 64
 * bytes complete the JWS. @throws FormatError on claims or a kid that no verifier would accept
 */
export function attestationInput(claims: AttestationClaims, kid: string): string {
  b64uDecode(kid, 'attestation.kid', HASH_BYTES);
  return signingInputOf(TYPE, kid, serialise(checkClaims(claims)));
}

/**
 * Takes a compact JWS apart, strictly: three canonical base64url parts, the protected header and the payload equal to the byte to what
 * {@link signAttestation} writes. Byte equality is what rules out other algorithms, duplicate or additional members, white space and
 * other spellings of a number or a text. @throws FormatError whose `field` is `attestation` or `attestation.<part>`
 */
export function parseAttestation(jws: string): ParsedAttestation {
  const { payload, ...rest } = splitJws(jws, TYPE, 'attestation');
  return { ...rest, claims: parseClaims(payload) };
}

/**
 * Checks form, `kid` and signature under one public key. It does not check what the claims are about: that is the block's business.
 * Never throws for a hostile `jws` or key.
 */
export function verifyAttestation(jws: string, publicJwk: PublicJwk): AttestationResult {
  try {
    const parsed = parseAttestation(jws);
    const key = authorKey(publicJwk);
    if (parsed.kid !== key.kid) return { valid: false, field: 'attestation.kid', reason: 'names another key' };
    if (!signatureFits(parsed, key)) return { valid: false, field: 'attestation.signature', reason: 'does not fit' };
    return { valid: true, claims: parsed.claims };
  } catch (error) {
    if (error instanceof FormatError) return { valid: false, field: error.field, reason: error.message };
    throw error;
  }
}

/** Whether the Ed25519 signature (RFC 8032, cofactorless, S below the group order) of a parsed JWS fits. */
export function signatureFits(parsed: ParsedAttestation, key: AuthorKey): boolean {
  return jwsFits(parsed, key);
}

function parseClaims(bytes: Buffer): AttestationClaims {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new FormatError('attestation.payload', 'is not JSON');
  }
  const claims = checkClaims(value);
  if (!Buffer.from(serialise(claims), 'utf8').equals(bytes))
    throw new FormatError('attestation.payload', 'is not in the one accepted form');
  return claims;
}

function serialise(claims: AttestationClaims): string {
  const { iss, sub, jti, ver, knd, iat, cmt, seen } = claims;
  return JSON.stringify({ iss, sub, jti, ver, knd, iat, cmt, seen: { h: seen.h, b: seen.b } });
}

function checkClaims(value: unknown): AttestationClaims {
  const { iss, sub, jti, ver, knd, iat, cmt, seen } = members(value, 'attestation.payload');
  const { h, b } = members(seen, 'attestation.seen');
  if (!isOrigin(iss)) throw new FormatError('attestation.iss', 'is not an origin');
  if (!isUuid(jti)) throw new FormatError('attestation.jti', 'is not a lower-case UUID');
  if (!isU32(ver)) throw new FormatError('attestation.ver', 'is not an unsigned 32-bit integer');
  if (!isBlockKind(knd)) throw new FormatError('attestation.knd', 'is unknown');
  if (!isInteger(iat, 0)) throw new FormatError('attestation.iat', 'is not a time in whole seconds');
  if (!isInteger(h, -1)) throw new FormatError('attestation.seen', 'has no height');
  return {
    iss,
    sub: encoded(sub, 'attestation.sub', ID_BYTES),
    jti,
    ver,
    knd,
    iat,
    cmt: encoded(cmt, 'attestation.cmt', HASH_BYTES),
    seen: { h, b: encoded(b, 'attestation.seen', HASH_BYTES) },
  };
}

function members(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new FormatError(field, 'is not an object');
  return value as Record<string, unknown>;
}

function isInteger(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && !Object.is(value, -0);
}

function encoded(value: unknown, field: string, size: number): string {
  if (typeof value !== 'string') throw new FormatError(field, 'is not a text');
  b64uDecode(value, field, size);
  return value;
}
