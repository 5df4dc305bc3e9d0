import type { FastifyInstance } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { ApiError } from './common/errors';

/** Of the whole request target; Node refuses request line and headers beyond 16 KiB together. */
const MAX_URL = 8_192;
/** Node keeps the first of two; what stands in front may have looked at the second. */
const ONCE = new Set(['host', 'authorization', 'content-type']);
/** Name or address with an optional port. It is never used, but whoever stands in front may route by it. */
const HOST = /^[\w.:[\]-]{0,255}$/;

/** Why a request is refused for its form alone; undefined when it is not. */
function faultOf({ url = '', rawHeaders, headers, httpVersion }: IncomingMessage): ApiError | undefined {
  if (url.length > MAX_URL) return new ApiError('uri_too_long');
  // RFC 9112, section 3.2: absolute-form names a host beside the Host header; a proxy that forwards by one and a server that answers by the other disagree.
  if (!url.startsWith('/')) return new ApiError('invalid_request', 'The request target must be a path');
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    if (!ONCE.has(name)) continue;
    if (seen.has(name)) return new ApiError('invalid_request', `The header ${name} may occur once only`);
    seen.add(name);
  }
  const isHost = headers.host === undefined ? httpVersion === '1.0' : HOST.test(headers.host);
  return isHost ? undefined : new ApiError('invalid_request', 'A valid Host header is needed');
}

/** Refuses what two readers could take for two different requests (RFC 9112, sections 3.2 and 11.2), and ends the connection it came on. */
export function setUpRequestRules(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    const fault = faultOf(request.raw);
    if (fault) void reply.header('connection', 'close');
    done(fault);
  });
  // An expectation that nobody knows may be passed over (RFC 9110, section 10.1.1); Node's own 417 would have none of our headers.
  fastify.server.on('checkExpectation', (request, response) => fastify.server.emit('request', request, response));
}
