import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Acr, ACRS, type Actor, type Role, ROLES } from '../common/actor';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { isId, newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { ROOT_KEYS, type RootKeys } from '../crypto/root-keys';
import { RevocationsService } from './revocations.service';

/** Claims of an access token (RFC 9068, RFC 7519): ids and codes, nothing personal. */
export interface AccessClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly client_id: string;
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  readonly sid: string;
  readonly role: Role;
  /** Hospital of the account, or null. */
  readonly ten: string | null;
  /** Epoch: instant of issue in milliseconds, compared with revocations. */
  readonly ep: number;
  readonly auth_time: number;
  /** How it was proved (RFC 8176): `pwd`, and `otp` or `hwk` for a second factor. */
  readonly amr: readonly string[];
  readonly acr: Acr;
}

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const MAX_LENGTH = 4096;
const HEADER_NAMES = ['alg', 'kid', 'typ'];
const TYPE = 'at+jwt';
/** `amr` of a sign-in without a second factor. */
export const PASSWORD_ONLY = 'pwd';
const METHODS = [PASSWORD_ONLY, 'otp', 'hwk'];

/** Issues and checks access tokens: ES256 (RFC 7518 section 3.4), pinned; keys as KeyObjects. */
@Injectable()
export class TokensService {
  private readonly verified = new LRUCache<string, { readonly kid: string; readonly claims: AccessClaims }>({ max: 10_000 });

  constructor(
    private readonly jwt: JwtService,
    private readonly revocations: RevocationsService,
    private readonly clock: Clock,
    @Inject(ROOT_KEYS) private readonly keys: RootKeys,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Signs an access token for a session, whose beginning is when the holder proved who it is. */
  issue(account: { id: string; role: Role; hospitalId: string | null }, session: { id: string; createdAt: number; amr: string }): string {
    const key = this.keys.tokenKeys.signing(this.clock.now());
    const { issuer, audience, accessSeconds } = this.config.token;
    const iat = Math.floor(this.clock.now() / 1000);
    const claims: AccessClaims = {
      iss: issuer,
      aud: audience,
      sub: account.id,
      client_id: this.config.token.clientId,
      iat,
      exp: iat + accessSeconds,
      jti: newId(),
      sid: session.id,
      role: account.role,
      ten: account.hospitalId,
      ep: this.revocations.epoch([account.id, session.id, account.hospitalId]),
      auth_time: Math.floor(session.createdAt / 1000),
      amr: session.amr.split(' '),
      acr: session.amr !== PASSWORD_ONLY ? 'mfa' : this.config.login.secondFactorRoles.includes(account.role) ? 'enrol' : 'pwd',
    };
    // The type of signing options knows secrets as text only; jsonwebtoken takes a KeyObject and is several times faster with it.
    return this.jwt.sign(
      { ...claims },
      { privateKey: key.privateKey as never, algorithm: 'ES256', keyid: key.kid, header: { alg: 'ES256', typ: TYPE, kid: key.kid } },
    );
  }

  /** The key for a token's signature, when the token has the one form that is accepted; otherwise undefined. The header is read, never believed. */
  keyFor(token: string): KeyObject | undefined {
    const kid = kidOf(token);
    return kid === undefined ? undefined : this.keys.tokenKeys.verifying(kid, this.clock.now());
  }

  /** The actor of claims whose signature, issuer, audience and expiry passport-jwt has checked; undefined when anything is off. */
  actorOf(claims: unknown, requestId: string): Actor | undefined {
    return isAccessClaims(claims) ? this.accepted(claims, requestId) : undefined;
  }

  private accepted(claims: AccessClaims, requestId: string): Actor | undefined {
    const now = this.clock.now() / 1000;
    if (claims.exp <= now || claims.iat > now + 5 || claims.exp - claims.iat > this.config.token.accessSeconds) return undefined;
    if (claims.client_id !== this.config.token.clientId || !this.revocations.accepts(claims)) return undefined;
    const { sub: id, role, ten: hospitalId, sid: sessionId, ep: epoch, acr } = claims;
    return { id, role, hospitalId, sessionId, epoch, authTime: claims.auth_time * 1000, acr, requestId };
  }

  /** The actor of a token that was verified before; its key, expiry and revocation are checked again. */
  remembered(token: string, requestId: string): Actor | undefined {
    const hit = this.verified.get(token);
    return hit && this.keys.tokenKeys.verifying(hit.kid, this.clock.now()) && this.accepted(hit.claims, requestId);
  }

  /** Whose token this is, when it was verified before and is still good: a dead one must not use up what its holder may ask. */
  holderOf(token: string, requestId: string): string | undefined {
    try {
      return this.remembered(token, requestId)?.id;
    } catch (error) {
      if (error instanceof ApiError) return undefined; // it cannot be told now: the guard says so
      throw error;
    }
  }

  /** Whether the guard will let this token through, asked before a large body is read. @throws ApiError `unavailable` as the guard does */
  admits(token: string, requestId: string): boolean {
    if (this.remembered(token, requestId)) return true;
    const key = this.keyFor(token);
    if (!key) return false;
    const { issuer, audience } = this.config.token;
    let claims: unknown;
    try {
      // ignoreExpiration: actorOf holds it against the injected clock. The type of the key: see issue().
      const checks = { algorithms: ['ES256' as const], issuer, audience, ignoreExpiration: true };
      claims = this.jwt.verify<AccessClaims>(token, { publicKey: key as never, ...checks });
    } catch {
      return false;
    }
    return this.actorOf(claims, requestId) !== undefined;
  }

  /** Keeps verified claims so that the next request with the same token skips the signature. */
  remember(token: string, claims: AccessClaims): void {
    const kid = kidOf(token);
    if (kid !== undefined) this.verified.set(token, { kid, claims });
  }

  /** Public keys as a JWK set (RFC 7517): other programs can verify our tokens and cannot sign any. */
  jwks(): { keys: Record<string, unknown>[] } {
    const keys = this.keys.tokenKeys.published(this.clock.now());
    return { keys: keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' })) };
  }
}

/** The key id of a token in the one form that is accepted; of any other undefined. */
function kidOf(token: string): string | undefined {
  if (token.length > MAX_LENGTH || !COMPACT.test(token)) return undefined;
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) return undefined;
  if (Object.keys(header).sort().join() !== HEADER_NAMES.join()) return undefined; // no crit, jku, jwk, x5u, b64, zip …
  const { typ, alg, kid } = header as Record<string, unknown>;
  return typ === TYPE && alg === 'ES256' && typeof kid === 'string' ? kid : undefined;
}

function isAmr(value: unknown): boolean {
  return Array.isArray(value) && value[0] === PASSWORD_ONLY && value.every((item) => METHODS.some((method) => method === item));
}

export function isAccessClaims(value: unknown): value is AccessClaims {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const claims = value as Partial<Record<keyof AccessClaims, unknown>>;
  const isInstant = (item: unknown) => Number.isSafeInteger(item) && (item as number) > 0;
  const isUuid = (item: unknown) => typeof item === 'string' && isId(item);
  return (
    [claims.iat, claims.exp, claims.ep, claims.auth_time].every(isInstant) &&
    [claims.sub, claims.jti, claims.sid].every(isUuid) &&
    (claims.ten === null || isUuid(claims.ten)) &&
    ROLES.some((role) => role === claims.role) &&
    ACRS.some((acr) => acr === claims.acr) &&
    isAmr(claims.amr) &&
    typeof claims.aud === 'string'
  );
}
