import type { FastifyInstance } from 'fastify';
import { BlockList, isIPv6 } from 'node:net';
import { parseTraceParent, type Span, type Tracer } from './common/tracing';
import type { Config } from './config/config';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a request that is traced. */
    span?: Span;
  }
}

/** What monitors ask for all the time. */
const UNTRACED = /^\/(health\/|metrics$)/;

/** Whether a peer is one of the proxies in front. */
function peersOf(proxies: readonly string[]): (address: string | undefined) => boolean {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', prefix] = proxy.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => address !== undefined && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * A span for each request, by the pattern of its route. `traceparent` counts from the proxies in front (TRUSTED_PROXIES) and from nobody else: a stranger could
 * choose what is recorded, and put own spans into our traces.
 */
export function setUpTraces(fastify: FastifyInstance, tracer: Tracer, config: Config): void {
  if (!tracer.isOn) return;
  const isProxy = peersOf(config.http.trustedProxies);
  fastify.addHook('onRequest', (request, _reply, done) => {
    const { url = 'unknown' } = request.routeOptions;
    if (UNTRACED.test(url)) return done();
    const parent = isProxy(request.socket.remoteAddress) ? parseTraceParent(request.headers['traceparent']) : null;
    const span = tracer.beginRequest(`${request.method} ${url}`, parent);
    if (span) {
      span.set({ 'http.request.method': request.method, 'http.route': url });
      request.span = span;
    }
    done();
  });
  // Here and not before: the events of a body that arrives belong to its connection.
  fastify.addHook('preHandler', (request, _reply, done) => (request.span ? request.span.within(done) : done()));
  fastify.addHook('onResponse', ({ span }, { statusCode }, done) => {
    span?.set({ 'http.response.status_code': statusCode });
    span?.end(statusCode >= 500);
    done();
  });
}
