import type { FastifyInstance } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from './config/config';
import { answerBroken } from './http-edge';

/** What a client must at least send or take: 128 kbit/s. */
const BYTES_PER_SECOND = 16_384;
/** Longer than proxies keep a connection to us (60 s), so that they are the ones to end it and never send into a closed one. */
const KEEP_ALIVE_MS = 65_000;
const REQUESTS_PER_CONNECTION = 10_000;

/** A request until its body has arrived and its answer is taken. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  moved: number;
  /** How far the client is behind the least rate. */
  waitedMs: number;
}

/** How often it is looked. */
const sweepMs = (config: Config) => config.http.slowClientSeconds * 100;

/** Bytes that went over the wire, both ways; what waits here for the client is not counted. */
const moved = (socket: Socket) => socket.bytesRead + socket.bytesWritten - socket.writableLength;

/** Node's own limits. It closes connections whose headers do not come in half the time of grace, the silent ones too. */
export function serverLimits(config: Config) {
  const { http } = config;
  const slowestBody = Math.max(http.bundleLimit, http.attachmentLimit) / BYTES_PER_SECOND;
  return {
    requestTimeout: Math.ceil((http.slowClientSeconds + slowestBody) * 1_000),
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxRequestsPerSocket: REQUESTS_PER_CONNECTION,
    http: {
      headersTimeout: http.slowClientSeconds * 500,
      connectionsCheckingInterval: sweepMs(config),
      maxHeaderSize: 16_384,
      requireHostHeader: false, // src/http-requests.ts does it, with all the headers of an answer
    },
  };
}

function isDone({ request, response, socket }: Exchange): boolean {
  return socket.destroyed || (request.complete && (response.writableFinished || response.destroyed));
}

function isTooSlow(exchange: Exchange, config: Config): boolean {
  const { request, socket } = exchange;
  const before = exchange.moved;
  exchange.moved = moved(socket);
  if (request.complete && socket.writableLength === 0) return false;
  // Never below zero: a fast beginning, which the kernel's buffers alone give, buys no time to stand still.
  exchange.waitedMs = Math.max(0, exchange.waitedMs + sweepMs(config) - ((exchange.moved - before) / BYTES_PER_SECOND) * 1_000);
  return exchange.waitedMs > config.http.slowClientSeconds * 1_000;
}

function end({ response, socket }: Exchange): void {
  // A response that waits behind another one of the same connection has no socket yet: its answer would land in the midst of that one.
  if (response.headersSent || response.socket === null) socket.destroy();
  else answerBroken(Object.assign(new Error('slow'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
}

/**
 * Ends exchanges that a client draws out (slow bodies, slow reading): it may fall behind the least rate by the time of grace. So a large file on a poor
 * line passes, and a dripping one does not. Time in which the server is busy does not count.
 */
export function setUpPace(fastify: FastifyInstance, config: Config): void {
  const open = new Set<Exchange>();
  fastify.server.maxHeadersCount = 0; // all of them, for 16 KiB hold few: by default Node drops those beyond 2,000 unseen
  fastify.addHook('onRequest', ({ raw }, reply, done) => {
    const exchange = { request: raw, response: reply.raw, socket: raw.socket, moved: moved(raw.socket), waitedMs: 0 };
    open.add(exchange);
    reply.raw.once('close', () => isDone(exchange) && open.delete(exchange));
    done();
  });
  const timer = setInterval(() => {
    for (const exchange of open) {
      if (!isDone(exchange) && !isTooSlow(exchange, config)) continue;
      if (!isDone(exchange)) end(exchange);
      open.delete(exchange);
    }
  }, sweepMs(config)).unref();
  fastify.addHook('onClose', (_instance, done) => {
    clearInterval(timer);
    done();
  });
}
