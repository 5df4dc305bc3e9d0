import type { Answer } from './api-client';

/** Planted in what is sent; no answer may contain it. */
export const CANARY = 'zqCANARY7731';

/** What every refusal has: a problem with its code, security headers, and nothing of what was sent. */
export function expectProblem(answer: Answer, status: number, code: string, path?: string): void {
  expect([answer.status, answer.body['code']]).toEqual([status, code]);
  expect(answer.body).toMatchObject({
    status,
    type: `urn:bjwt-ehr:problem:${code}`,
    title: expect.any(String),
    requestId: expect.any(String),
  });
  if (path !== undefined) expect((answer.body['errors'] as { path: string }[]).map((item) => item.path)).toContain(path);
  expectSafe(answer);
}

/** What every answer that is no fault of the server has. */
export function expectSafe(answer: Answer): void {
  expect(answer.status).toBeLessThan(500);
  expectHeaders(answer);
  for (const name of CROSS_ORIGIN) expect(answer.headers.get(name)).toBeNull();
}

/** What every answer has, of whatever status: security headers, no word of what it is made with, nothing of what was sent. */
export function expectHeaders({ headers, text, status }: Answer, policy = SECURITY_HEADERS['content-security-policy']): void {
  expect(text).not.toContain(CANARY);
  if (status >= 400) {
    expect(text).not.toMatch(/node_modules|\bat \/|SQLITE|typeorm|fastify/i);
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  }
  const expected = { ...SECURITY_HEADERS, 'content-security-policy': policy };
  expect(Object.fromEntries([...headers].filter(([name]) => name in expected))).toEqual(expected);
  for (const name of ['x-powered-by', 'server']) expect(headers.get(name)).toBeNull();
}

const CROSS_ORIGIN = ['origin', 'methods', 'headers', 'credentials'].map((name) => `access-control-allow-${name}`);

export const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** An answer that came on a bare connection. */
export function answerOf(text: string): Answer {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [line = '', ...lines] = head.split('\r\n');
  const headers = new Headers(
    lines.map((item): [string, string] => [item.slice(0, item.indexOf(':')), item.slice(item.indexOf(':') + 1).trim()]),
  );
  return {
    status: Number(line.split(' ')[1]),
    headers,
    text: body,
    bytes: Buffer.from(body),
    body: JSON.parse(body) as Record<string, unknown>,
  };
}
