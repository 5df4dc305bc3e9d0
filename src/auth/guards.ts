import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { createHash } from 'node:crypto';
import { AuditService } from '../audit/audit.service';
import { handlerName } from '../audit/refusals.interceptor';
import {
  type Actor,
  ENROLLING_KEY,
  IDEMPOTENT_KEY,
  type IdempotentRequest,
  PUBLIC_KEY,
  RECENT_SIGN_IN_KEY,
  type Role,
  ROLES_KEY,
} from '../common/actor';
import { Clock } from '../common/clock';
import { ApiError, invalid } from '../common/errors';
import { bearerToken } from './jwt.strategy';
import { isRecent, staleSignIn } from './step-up';
import { TokensService } from './tokens.service';

const GUESSABLE_KEY = 'bjwt:guessable';
/** Marks a route where passwords or codes can be guessed, or where anybody makes the server hash and store: it has a lower rate limit of its own. */
export const Guessable = () => SetMetadata(GUESSABLE_KEY, true);

export function isGuessable(context: ExecutionContext): boolean {
  return Reflect.getMetadata(GUESSABLE_KEY, context.getHandler()) === true;
}

const KEY = /^[\x21-\x7e]{8,128}$/;

function idempotencyOf(request: FastifyRequest): IdempotentRequest | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !KEY.test(key)) throw invalid('Idempotency-Key', 'must be 8 to 128 visible ASCII characters');
  const digest = createHash('sha256')
    .update(`${request.method} ${request.url}\n`)
    .update(request.rawText ?? '')
    .digest();
  return { key, digest };
}

/** Lets a request with a valid access token through and says who it is; a verified token is remembered and costs no signature check again. */
@Injectable()
export class TokenGuard extends AuthGuard('jwt') {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: TokensService,
  ) {
    super();
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC_KEY, [context.getHandler(), context.getClass()])) return true;
    const request = context.switchToHttp().getRequest<FastifyRequest & { user?: Actor }>();
    const token = bearerToken(request);
    let actor = token === null ? undefined : this.tokens.remembered(token, request.id);
    if (!actor) {
      await super.canActivate(context);
      actor = request.user;
    }
    if (!actor) throw new ApiError('unauthenticated');
    const isIdempotent = Reflect.getMetadata(IDEMPOTENT_KEY, context.getHandler()) === true;
    const idempotency = isIdempotent ? idempotencyOf(request) : undefined;
    request.actor = idempotency ? { ...actor, idempotency } : actor;
    return true;
  }

  /** Passport's many reasons become one answer; an error of ours (503) passes. */
  override handleRequest<T>(error: unknown, user: T | false): T {
    if (error instanceof ApiError) throw error;
    if (error || !user) throw new ApiError('unauthenticated');
    return user;
  }
}

/** Refuses every route that names no role of the caller: forgetting the decorator closes the route. */
@Injectable()
export class RolesGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly audit: AuditService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const places = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC_KEY, places)) return true;
    const roles = this.reflector.getAllAndOverride<Role[] | undefined>(ROLES_KEY, places) ?? [];
    const { actor } = context.switchToHttp().getRequest<FastifyRequest>();
    if (actor && roles.includes(actor.role)) return true;
    if (actor) await this.audit.refused(actor, handlerName(context), 'role');
    throw new ApiError('forbidden');
  }
}

/** Whose role needs a second factor and who has none can do nothing but add one. */
@Injectable()
export class SecondFactorGuard implements CanActivate {
  constructor(private readonly audit: AuditService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { actor } = context.switchToHttp().getRequest<FastifyRequest>();
    if (actor?.acr !== 'enrol' || Reflect.getMetadata(ENROLLING_KEY, context.getHandler()) === true) return true;
    await this.audit.refused(actor, handlerName(context), 'no_second_factor');
    throw new ApiError('second_factor_required');
  }
}

/** Refuses an old sign-in where the route asks for a recent one (SEC-45), after the role was found to fit. */
@Injectable()
export class RecentSignInGuard implements CanActivate {
  constructor(
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (Reflect.getMetadata(RECENT_SIGN_IN_KEY, context.getHandler()) !== true) return true;
    const { actor } = context.switchToHttp().getRequest<FastifyRequest>();
    if (actor && isRecent(actor.authTime, this.clock.now())) return true;
    if (actor) await this.audit.refused(actor, handlerName(context), 'old_sign_in');
    throw staleSignIn();
  }
}
