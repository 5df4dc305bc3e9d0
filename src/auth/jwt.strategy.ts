import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-jwt';
import type { Actor } from '../common/actor';
import { ApiError } from '../common/errors';
import { CONFIG, type Config } from '../config/config';
import { isAccessClaims, TokensService } from './tokens.service';

/** The bearer token of a request: only the Authorization header counts (RFC 6750 section 2.1), never a query, a body or a cookie. */
export function bearerToken(request: FastifyRequest): string | null {
  return /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? null;
}

/** passport-jwt behind a strict pre-check: pinned algorithm, issuer, audience, and a KeyObject found by `kid`. No database query. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  constructor(
    private readonly tokens: TokensService,
    @Inject(CONFIG) config: Config,
  ) {
    super({
      jwtFromRequest: (request: unknown) => bearerToken(request as FastifyRequest),
      secretOrKeyProvider: (_request: unknown, token: string, done: (error: unknown, key?: string) => void) => {
        const key = tokens.keyFor(token);
        // The type knows text only; jsonwebtoken takes a KeyObject, and so cannot mistake a public key for an HMAC secret.
        if (key) done(null, key as never);
        else done(new ApiError('unauthenticated'));
      },
      algorithms: ['ES256'],
      issuer: config.token.issuer,
      audience: config.token.audience,
      ignoreExpiration: true, // checked in validate() against the injected clock
      jsonWebTokenOptions: { ignoreNotBefore: false },
      passReqToCallback: true,
    });
  }

  validate(request: FastifyRequest, claims: unknown): Actor {
    const actor = this.tokens.actorOf(claims, request.id);
    const token = bearerToken(request);
    if (!actor || token === null || !isAccessClaims(claims)) throw new ApiError('unauthenticated');
    this.tokens.remember(token, claims);
    return actor;
  }
}
