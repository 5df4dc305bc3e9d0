import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ApiError } from './errors';

const VERSION = /^"(\d{1,9})"$/;

/** The version of a draft as an entity tag (RFC 9110 section 8.8.3). */
export function etag(version: number): string {
  return `"${version}"`;
}

/** The version in `If-Match` (RFC 9110 section 13.1.1): 428 when absent, 412 when it cannot be one of ours. */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext): number => {
  const header = context.switchToHttp().getRequest<FastifyRequest>().headers['if-match'];
  if (header === undefined) throw new ApiError('version_required');
  const version = VERSION.exec(header)?.[1];
  if (version === undefined) throw new ApiError('version_stale');
  return Number(version);
});
