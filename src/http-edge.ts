import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import helmet from 'helmet';
import { IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import { ApiError, type ProblemCode } from './common/errors';
import { newId } from './common/ids';
import { PROBLEM_TYPE, problemText } from './common/problem.filter';

const YEAR_S = 31_536_000;

/** Security headers of every answer, also of those that are made before any hook runs; health data are never stored by caches. */
export const HEADERS: Readonly<Record<string, string>> = { ...securityHeaders(), 'cache-control': 'no-store' };

/** Helmet is asked once, for its answer is the same for every request. */
function securityHeaders(): Record<string, string> {
  const protect = helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    strictTransportSecurity: { maxAge: YEAR_S, includeSubDomains: true },
    referrerPolicy: { policy: 'no-referrer' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    xFrameOptions: { action: 'deny' },
  });
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  protect(response.req, response, (error) => {
    if (error) throw error as Error;
  });
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]));
}

const BY_PARSER_CODE = new Map<string, ProblemCode>([
  ['HPE_HEADER_OVERFLOW', 'headers_too_large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'request_timeout'],
]);
/** How long a refused connection may go on sending, so that its client can still read the answer. */
const LINGER_MS = 1_000;

/** An address that the router cannot read. Fastify's own answer would repeat it. */
export function answerUnroutable(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const problem = new ApiError(error.statusCode === 414 ? 'uri_too_long' : 'invalid_request');
  void reply
    .status(problem.status)
    .headers({ ...HEADERS, 'x-request-id': request.id })
    .type(PROBLEM_TYPE)
    .send(problemText(problem, request.id));
}

/** Bytes that are no HTTP request, headers beyond Node's 16 KiB, or a request that never ends: answered on the bare connection, which then closes. */
export function answerBroken(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const problem = new ApiError(BY_PARSER_CODE.get(error.code ?? '') ?? 'invalid_request');
  const requestId = newId();
  const body = problemText(problem, requestId);
  const headers = {
    ...HEADERS,
    'x-request-id': requestId,
    'content-type': PROBLEM_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}\r\n${lines.join('')}\r\n${body}`);
  socket.resume();
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
