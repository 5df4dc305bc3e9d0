import { createParamDecorator, ExecutionContext, SetMetadata } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { ProblemCode } from './errors';

export const ROLES = ['ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR'] as const;
/** ADMIN is the founder of the system; AUDITOR reads metadata and proofs only. */
export type Role = (typeof ROLES)[number];

/** How sure the sign-in was (claim `acr`): `mfa` with a second factor, `pwd` without; `enrol` lacks the one that the role needs, and can only add it. */
export const ACRS = ['enrol', 'pwd', 'mfa'] as const;
export type Acr = (typeof ACRS)[number];

/** Who sends a request, as the verified access token says. The first argument of every service method that acts for somebody. */
export interface Actor {
  /** The account's id; for a doctor or a patient it is also the id of that person's row. */
  readonly id: string;
  readonly role: Role;
  /** The hospital to which the account belongs; null for ADMIN and AUDITOR. */
  readonly hospitalId: string | null;
  readonly sessionId: string;
  /** Instant of the token's issue, ms: what a revocation is compared with. */
  readonly epoch: number;
  /** When the holder proved the password, ms (claim `auth_time`). */
  readonly authTime: number;
  readonly acr: Acr;
  /** Correlates the answer, the trail and the log file. */
  readonly requestId: string;
  /** Present when the client sent an `Idempotency-Key` header to a route that takes one. */
  readonly idempotency?: IdempotentRequest;
}

/** A client's wish that a retried POST has one effect. `digest` is the SHA-256 of method, path and body. */
export interface IdempotentRequest {
  readonly key: string;
  readonly digest: Buffer;
  /** Set when the answer is the one of an earlier request; it then carries the header `Idempotency-Replayed: true`. */
  replayed?: true;
}

export const ROLES_KEY = 'bjwt:roles';
export const PUBLIC_KEY = 'bjwt:public';

/** Opens a route to these roles. A route with neither this nor `@Public` is closed to everybody. */
export const Roles = (...roles: [Role, ...Role[]]) => SetMetadata(ROLES_KEY, roles);

/** Marks a creating route whose answer is kept, so that a retry with the same `Idempotency-Key` has one effect. */
export const IDEMPOTENT_KEY = 'bjwt:idempotent';

/** Marks a route that needs a recent sign-in: a stolen or forgotten token is not enough (set by `Api`, enforced by a guard). */
export const RECENT_SIGN_IN_KEY = 'bjwt:recent-sign-in';

/** Marks a route that is open also to somebody who first has to add a second factor (set by `Api`). */
export const ENROLLING_KEY = 'bjwt:enrolling';

/** Opens a route to callers without a token. */
export const Public = () => SetMetadata(PUBLIC_KEY, true);

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the token guard. */
    actor?: Actor;
    /** The exact text of a JSON body, so that numbers keep their text. */
    rawText?: string;
    /** Why it was refused, once it was. */
    problem?: ProblemCode;
  }
}

/** The caller of a guarded route. */
export const CurrentActor = createParamDecorator((_: unknown, context: ExecutionContext): Actor => {
  const { actor } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!actor) throw new Error('CurrentActor on a route without a guard');
  return actor;
});
