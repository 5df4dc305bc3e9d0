import { ArgumentsHost, Catch, ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, PROBLEMS, type ProblemCode } from './errors';
import { LOGS, type Logs } from './logger';
import { isOutage } from './outage';

/** Codes for errors that the framework raises, by HTTP status. */
const BY_STATUS = new Map<number, ProblemCode>([
  [400, 'invalid_request'],
  [401, 'unauthenticated'],
  [403, 'forbidden'],
  [404, 'not_found'],
  [405, 'method_not_allowed'],
  [406, 'not_acceptable'],
  [409, 'conflict'],
  [413, 'body_too_large'],
  [414, 'uri_too_long'],
  [415, 'unsupported_media_type'],
  [429, 'too_many_requests'],
  [503, 'unavailable'],
]);

function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const status: unknown = exception instanceof Error ? Reflect.get(exception, 'statusCode') : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500; // Fastify's own errors carry statusCode
}

/** `crypto` stands to the right of this module, so its errors are known by their codes. */
function fromCrypto(code: string): ApiError {
  if (code === 'hasher_busy') return new ApiError('unavailable', 'Too many sign-ins at once', { headers: { 'retry-after': '1' } });
  if (code === 'hsm_unavailable') return new ApiError('unavailable', 'The keys cannot be used now', { headers: { 'retry-after': '5' } });
  if (code === 'key_destroyed') return new ApiError('erased');
  if (code === 'bad_value') return new ApiError('invalid_request', 'A value has no usable characters');
  return new ApiError('integrity_error');
}

/** Whatever was thrown, as the error that the client meets. Nothing of a foreign error's text is passed on. */
function toApiError(exception: unknown): ApiError {
  if (exception instanceof ApiError) return exception;
  if (exception instanceof Error && (exception.name === 'CryptoError' || exception.name === 'HasherBusy'))
    return fromCrypto(String(Reflect.get(exception, 'code')));
  if (isOutage(exception)) return new ApiError('unavailable', 'The database does not answer now', { headers: { 'retry-after': '1' } });
  return new ApiError(BY_STATUS.get(statusOf(exception)) ?? 'internal_error');
}

/** Content type of every error. */
export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** RFC 9457 body of an error. */
export function problemText(error: ApiError, requestId: string): string {
  return JSON.stringify({
    type: `urn:bjwt-ehr:problem:${error.code}`,
    title: PROBLEMS[error.code][1],
    status: error.status,
    detail: error.detail,
    code: error.code,
    requestId,
    ...(error.extra.errors ? { errors: error.extra.errors } : {}),
    ...(error.extra.links ? { links: error.extra.links } : {}),
  });
}

/** Writes an error as `application/problem+json`. */
function sendProblem(reply: FastifyReply, error: ApiError, requestId: string): void {
  const headers = { ...(error.status === 401 ? { 'www-authenticate': 'Bearer' } : {}), ...error.extra.headers };
  void reply.status(error.status).headers(headers).type(PROBLEM_TYPE).send(problemText(error, requestId));
}

/** The one error filter. Server faults (5xx) are logged with their stack, client faults with their code. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(LOGS) private readonly logs: Logs) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const error = toApiError(exception);
    request.problem = error.code;
    const entry = {
      requestId: request.id,
      method: request.method,
      route: request.routeOptions.url,
      code: error.code,
      status: error.status,
    };
    if (error.status >= 500) this.logs.app.error({ ...entry, err: exception }, 'request failed');
    else this.logs.app.warn(entry, 'request refused');
    sendProblem(http.getResponse<FastifyReply>(), error, request.id);
  }
}
