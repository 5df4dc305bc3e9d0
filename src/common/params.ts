import { createParamDecorator, type ExecutionContext, Injectable, Param, type PipeTransform } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Actor } from './actor';
import { notFound } from './errors';
import { isId } from './ids';

/** Accepts the canonical text of a UUID. Anything else names nothing, so the answer is the same 404 as for an unknown id. */
@Injectable()
export class IdPipe implements PipeTransform<unknown, string> {
  transform(value: unknown): string {
    if (typeof value !== 'string' || !isId(value)) throw notFound();
    return value;
  }
}

/** A path parameter that holds an id. */
export const IdParam = (name: string): ParameterDecorator => Param(name, IdPipe);

/** `me` in a path: a hospital may name itself so. */
export const OwnIdParam = createParamDecorator((name: string, context: ExecutionContext): string => {
  const request = context.switchToHttp().getRequest<FastifyRequest<{ Params: Record<string, string> }> & { actor?: Actor }>();
  const value = request.params[name] ?? '';
  if (value === 'me' && request.actor) return request.actor.id;
  if (!isId(value)) throw notFound();
  return value;
});

/** The id under which the log and the trail know this request. */
export const RequestId = createParamDecorator(
  (_: unknown, context: ExecutionContext): string => context.switchToHttp().getRequest<FastifyRequest>().id,
);
