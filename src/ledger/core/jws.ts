import { type KeyObject, sign, verify } from 'node:crypto';
import { FormatError, HASH_BYTES, b64u, b64uDecode } from './bytes';
import type { AuthorKey } from './jwk';

/** What an author's key signs here: a block, or the proof that somebody holds the key. The `typ` keeps one from being taken for the other. */
export type JwsType = 'bjwt-block+jwt' | 'bjwt-key+jwt';

/** A compact JWS taken apart: three canonical parts and the one accepted header, but its signature not looked at. */
export interface CompactJws {
  /** Thumbprint of the key, base64url. */
  readonly kid: string;
  readonly payload: Buffer;
  /** What is signed: the ASCII of the first two parts with the dot between them. */
  readonly signingInput: string;
  /** 64 bytes. */
  readonly signature: Buffer;
}

/** Longest accepted JWS, in characters; a real one has about 600. */
export const MAX_JWS = 4096;
const SIGNATURE_BYTES = 64;
/** Where the kid begins in the protected header. */
const KID_AT = '{"alg":"EdDSA","kid":"'.length;
const KID = /^[A-Za-z0-9_-]{43}$/;

/** What is signed: protected header and payload, with the dot between them (RFC 7515 section 5.1). @throws FormatError on a kid of no thumbprint */
export function signingInputOf(type: JwsType, kid: string, payload: string): string {
  b64uDecode(kid, 'kid', HASH_BYTES);
  return `${b64u(Buffer.from(headerText(type, kid), 'ascii'))}.${b64u(Buffer.from(payload, 'utf8'))}`;
}

/** A compact JWS (RFC 7515 section 7.1) with EdDSA (RFC 8037) over a text. */
export function signJws(type: JwsType, kid: string, payload: string, privateKey: KeyObject): string {
  const input = signingInputOf(type, kid, payload);
  return `${input}.${b64u(sign(null, Buffer.from(input, 'ascii'), privateKey))}`;
}

/**
 * Takes a compact JWS apart, strictly: three canonical base64url parts and a protected header equal to the byte to the one that {@link signJws}
 * writes. That rules out other algorithms, duplicate and additional members. @throws FormatError `<field>`, `<field>.protected`, `.kid`,
 * `.payload`, `.signature`
 */
export function splitJws(jws: string, type: JwsType, field: string): CompactJws {
  if (jws.length > MAX_JWS) throw new FormatError(field, `has more than ${MAX_JWS} characters`);
  const [head, body, tail, ...rest] = jws.split('.');
  if (head === undefined || body === undefined || tail === undefined || rest.length > 0) throw new FormatError(field, 'is not three parts');
  const kid = kidOf(b64uDecode(head, `${field}.protected`).toString('latin1'), type);
  if (kid === undefined) throw new FormatError(`${field}.protected`, 'is not the one accepted header');
  b64uDecode(kid, `${field}.kid`, HASH_BYTES);
  const payload = b64uDecode(body, `${field}.payload`);
  return { kid, payload, signingInput: `${head}.${body}`, signature: b64uDecode(tail, `${field}.signature`, SIGNATURE_BYTES) };
}

/** Whether the Ed25519 signature (RFC 8032, cofactorless, S below the group order) of a JWS fits. */
export function jwsFits({ signingInput, signature }: Pick<CompactJws, 'signingInput' | 'signature'>, { key }: AuthorKey): boolean {
  return verify(null, Buffer.from(signingInput, 'ascii'), key, signature);
}

function headerText(type: JwsType, kid: string): string {
  return `{"alg":"EdDSA","kid":"${kid}","typ":"${type}"}`;
}

function kidOf(header: string, type: JwsType): string | undefined {
  const kid = header.slice(KID_AT, KID_AT + 43);
  return KID.test(kid) && header === headerText(type, kid) ? kid : undefined;
}
