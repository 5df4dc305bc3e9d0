import cors from '@fastify/cors';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import { bearerToken } from './auth/jwt.strategy';
import { RateGuard } from './auth/rate.guard';
import { TokensService } from './auth/tokens.service';
import { ApiError } from './common/errors';
import { DEFAULT_JSON_LIMITS, JsonTextError, parseStrictJson } from './common/json-text';
import { LOGS, type Logs } from './common/logger';
import { stringifyExact } from './common/raw-json';
import { Tracer } from './common/tracing';
import type { Config } from './config/config';
import { ConnectionsService } from './health/connections.service';
import { MetricsService } from './health/metrics.service';
import { HEADERS } from './http-edge';
import { setUpPace } from './http-pace';
import { setUpRequestRules } from './http-requests';
import { setUpTraces } from './http-traces';

/** Of a request to a witness: `old`, 63 hashes and a checkpoint with many signatures need far less. */
const WITNESS_LIMIT = 65_536;

/** The exact content types of JSON bodies; anything beside, such as other charsets, is refused. */
const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;
const FHIR_TYPE = /^application\/fhir\+json\s*(;\s*charset="?utf-8"?\s*)?$/i;

type Done = (error: Error | null, body?: unknown) => void;

function textOf(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new ApiError('malformed_json', 'The body is not UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return parseStrictJson(text, DEFAULT_JSON_LIMITS);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new ApiError('malformed_json', error.message, { errors: [{ path: error.path, message: error.code }] });
  }
}

/**
 * JSON only; FHIR bundles where they are imported, files where they are attached, checkpoints where they are cosigned (C2SP tlog-witness names no content
 * type, and its clients send any or none). Every body is checked before anything transforms it; a bundle's
 * text is handed on unread, for the import reads one at a time.
 */
function setUpBodies(fastify: FastifyInstance, config: Config): void {
  const { bodyLimit, bundleLimit } = config.http;
  fastify.removeAllContentTypeParsers();
  const json = (pattern: RegExp, limit: number, read: (text: string) => unknown, allowed: (route: string) => boolean) =>
    fastify.addContentTypeParser(pattern, { parseAs: 'buffer', bodyLimit: limit }, (request: FastifyRequest, body: Buffer, done: Done) => {
      try {
        if (!allowed(request.routeOptions.url ?? '')) throw new ApiError('unsupported_media_type');
        if (body.length === 0) return done(null);
        request.rawText = textOf(body);
        done(null, read(request.rawText));
      } catch (error) {
        done(error as Error);
      }
    });
  json(JSON_TYPE, bodyLimit, parse, (route) => !isUpload(route) && !isWitness(route));
  json(FHIR_TYPE, bundleLimit, () => undefined, isImport);
  fastify.addContentTypeParser('*', (request: FastifyRequest, payload: unknown, done: Done) => {
    const route = request.routeOptions.url ?? '';
    if (isUpload(route)) done(null, payload);
    else if (isWitness(route)) readUpTo(WITNESS_LIMIT, payload as Readable, done);
    else done(new ApiError('unsupported_media_type'));
  });
}

function isUpload(route: string): boolean {
  return route.endsWith('/records/:id/attachments');
}

function isWitness(route: string): boolean {
  return route === '/witness/add-checkpoint';
}

/** A whole body that has at most so many bytes. The rest of a larger one is passed over, so that its sender can still read the answer. */
function readUpTo(limit: number, payload: Readable, done: Done): void {
  const parts: Buffer[] = [];
  let size = 0;
  payload.on('data', (part: Buffer) => {
    const before = size;
    size += part.length;
    if (size <= limit) parts.push(part);
    else if (before <= limit) done(new ApiError('body_too_large'));
  });
  payload.once('end', () => size <= limit && done(null, Buffer.concat(parts)));
  payload.once('error', (error) => size <= limit && done(error));
}

function isImport(route: string): boolean {
  return route.endsWith('/imports');
}

/** Guards run after the body was read. Where it may be large, the token is looked at before: reading costs far more than a signature. */
function setUpLargeBodies(fastify: FastifyInstance, tokens: TokensService, rates: RateGuard): void {
  const admits = (request: FastifyRequest): boolean => {
    const route = request.routeOptions.url ?? '';
    if (!isUpload(route) && !isImport(route)) return true;
    const token = bearerToken(request);
    return token !== null && tokens.admits(token, request.id);
  };
  fastify.addHook('onRequest', async (request) => {
    if (!admits(request)) {
      rates.pass(request); // no guard will see it
      throw new ApiError('unauthenticated');
    }
    return Promise.resolve();
  });
}

/** Lets the pages of the named origins in, letter for letter, and without cookies, of which there are none: tokens are sent by the page itself. */
async function setUpCors(app: NestFastifyApplication, { http }: Config): Promise<void> {
  if (http.corsOrigins.length === 0) return;
  await app.register(cors, {
    origin: (origin, answer) => answer(null, origin !== undefined && http.corsOrigins.includes(origin) ? origin : false),
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'content-disposition', 'idempotency-key', 'if-match', 'x-device-token'],
    exposedHeaders: ['content-disposition', 'etag', 'idempotency-replayed', 'retry-after', 'www-authenticate', 'x-request-id'],
    maxAge: 600,
    strictPreflight: false, // the answer of the strict one is no problem document
  });
}

/** The server's edge: bodies, headers, errors outside of routes, one log line and one metric for each request. */
export async function setUpHttp(app: NestFastifyApplication, config: Config): Promise<void> {
  const fastify = app.getHttpAdapter().getInstance();
  const logs = app.get<Logs>(LOGS);
  const metrics = app.get(MetricsService);
  const connections = app.get(ConnectionsService);
  connections.watch(fastify, config.http.maxConnections);
  setUpTraces(fastify, app.get(Tracer), config);
  setUpBodies(fastify, config);
  fastify.setReplySerializer((payload) => stringifyExact(payload));
  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.headers(HEADERS).header('x-request-id', request.id);
    done();
  });
  await setUpCors(app, config);
  setUpRequestRules(fastify);
  setUpPace(fastify, config);
  setUpLargeBodies(fastify, app.get(TokensService), app.get(RateGuard));
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    if (request.actor?.idempotency?.replayed) void reply.header('idempotency-replayed', 'true');
    if (connections.isEnding) void reply.header('connection', 'close');
    done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    const entry = { method: request.method, route, status: reply.statusCode };
    metrics.observe({ ...entry, seconds: reply.elapsedTime / 1000, problem: request.problem });
    logs.app.info({ requestId: request.id, traceId: request.span?.traceId, ...entry, ms: Math.round(reply.elapsedTime) }, 'request');
    done();
  });
}
