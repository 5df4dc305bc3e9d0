import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { catchError, from, mergeMap, type Observable, throwError } from 'rxjs';
import { ApiError } from '../common/errors';
import { AuditService } from './audit.service';

/** Forbidden, not there (or not the caller's to see), in conflict with what is. */
const REFUSALS = [403, 404, 409];

/** What was asked for, as the trail names it: `accounts.approve`. */
export function handlerName(context: ExecutionContext): string {
  return `${context
    .getClass()
    .name.replace(/Controller$/, '')
    .toLowerCase()}.${context.getHandler().name}`;
}

/** Puts refusals of who is signed in on the trail, before the answer, where the service did not do it by itself. */
@Injectable()
export class RefusalsInterceptor implements NestInterceptor {
  constructor(private readonly audit: AuditService) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { actor } = context.switchToHttp().getRequest<FastifyRequest>();
    if (!actor) return next.handle();
    return next.handle().pipe(
      catchError((error: unknown) => {
        if (!(error instanceof ApiError) || !REFUSALS.includes(error.status)) return throwError(() => error);
        const noted = this.audit.refused(actor, handlerName(context), error.code);
        return from(noted).pipe(mergeMap(() => throwError(() => error)));
      }),
    );
  }
}
