import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiClient } from './api-client';

interface Operation {
  summary?: string;
  tags?: string[];
  security?: object[];
  requestBody?: { content: Record<string, { schema: { $ref?: string; example?: unknown } }> };
  responses: Record<string, { content?: Record<string, unknown> }>;
}
export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { properties?: Record<string, Record<string, unknown>> }> };
}
export interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

export const openApi = JSON.parse(readFileSync(join(__dirname, '../../openapi.json'), 'utf8')) as OpenApiDocument;

export function allRoutes(document: OpenApiDocument = openApi): Route[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

/**
 * Sends one request to every documented route that needs a token (those under /auth/ left out: they are about the own session) and gives the
 * status of each by `METHOD path`. `{name}` of a path is filled by `ids`, else by a random id.
 */
export async function probeAll(api: ApiClient, ids: Record<string, string> = {}): Promise<Map<string, number>> {
  const statuses = new Map<string, number>();
  for (const { method, path, operation } of allRoutes()) {
    if (!operation.security || path.includes('/auth/')) continue;
    const address = path.replace(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? '018f0000-0000-7000-8000-000000000000');
    const type = Object.keys(operation.requestBody?.content ?? {})[0];
    const query = address.endsWith('/activity') ? '?date=2026-01-01' : '';
    const headers = { 'if-match': '"1"', ...(type === undefined ? {} : { 'content-type': type }) };
    const answer = await api.send(method, `/${address}${query}`, undefined, { headers, ...(type === undefined ? {} : { raw: '{}' }) });
    statuses.set(`${method} ${path.replace('/api/v1', '')}`, answer.status);
  }
  return statuses;
}
