import { request } from 'node:http';
import { connect } from 'node:net';
import type { Answer } from './api-client';

export interface RawRequest {
  readonly method?: string;
  /** Sent as it is: nothing is normalised. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Uint8Array;
}

/** A request that `fetch` would refuse or tidy up. The body may have any type, the path any form. */
export function sendRaw(url: string, { method = 'GET', path, headers = {}, body }: RawRequest): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        const text = bytes.toString('utf8');
        const received = new Headers();
        for (const [name, value] of Object.entries(response.headers)) received.set(name, String(value));
        resolve({ status: response.statusCode ?? 0, headers: received, body: parsed(text), text, bytes });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Bytes on a bare connection; answers with all that comes back until the server closes it, which it must within two seconds. */
export function sendBytes(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'));
    const timer = setTimeout(() => socket.destroy(new Error(`the connection stays open after: ${text}`)), 2_000);
    socket.on('close', () => clearTimeout(timer));
    socket.on('data', (part: Buffer) => (text += part.toString('latin1')));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

const withBody = (lines: string, body: string, version = '1.1') =>
  `POST /api/v1/auth/login HTTP/${version}\r\nHost: x\r\nContent-Type: application/json\r\n${lines}\r\n\r\n${body}`;
const chunked = (body: string) => withBody('Transfer-Encoding: chunked', body);
const get = (target: string, lines: string) => `GET ${target} HTTP/1.1\r\n${lines}\r\n\r\n`;

/** Requests that two readers could take for two different ones (RFC 9112, sections 3.2, 5.1, 6, 7 and 11.2): name and bytes. */
export const BROKEN_REQUESTS: readonly (readonly [name: string, bytes: string])[] = [
  ['length and chunks', withBody('Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
  ['chunks and length', withBody('Transfer-Encoding: chunked\r\nContent-Length: 2', '0\r\n\r\n')],
  ['two lengths', withBody('Content-Length: 2\r\nContent-Length: 3', '{}')],
  ['the same length twice', withBody('Content-Length: 2\r\nContent-Length: 2', '{}')],
  ['a list of lengths', withBody('Content-Length: 2, 2', '{}')],
  ['a length with a sign', withBody('Content-Length: +2', '{}')],
  ['a negative length', withBody('Content-Length: -2', '{}')],
  ['a hexadecimal length', withBody('Content-Length: 0x2', '{}')],
  ['a length that is no number', withBody('Content-Length: x', '{}')],
  ['a length beyond all numbers', withBody(`Content-Length: ${'9'.repeat(30)}`, '{}')],
  ['a space before the colon', withBody('Content-Length : 2', '{}')],
  ['a tab before the colon', withBody('Transfer-Encoding\t: chunked', '0\r\n\r\n')],
  ['another coding after chunked', withBody('Transfer-Encoding: chunked, identity', '0\r\n\r\n')],
  ['two codings in two lines', withBody('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', '0\r\n\r\n')],
  ['a coding that nobody knows', withBody('Transfer-Encoding: xchunked', '0\r\n\r\n')],
  ['a coding behind a vertical tab', withBody('Transfer-Encoding: \u000bchunked', '0\r\n\r\n')],
  ['a bad chunk size', chunked('zz\r\n{}\r\n0\r\n\r\n')],
  ['a chunk size with a sign', chunked('+2\r\n{}\r\n0\r\n\r\n')],
  ['a chunk size with 0x', chunked('0x2\r\n{}\r\n0\r\n\r\n')],
  ['a chunk size beyond all numbers', chunked(`${'f'.repeat(20)}\r\n{}\r\n0\r\n\r\n`)],
  ['a chunk that is longer than its size', chunked('1\r\n{}\r\n0\r\n\r\n')],
  ['a chunk line that ends with a bare LF', chunked('2\n{}\r\n0\r\n\r\n')],
  ['a chunk that ends with a bare LF', chunked('2\r\n{}\n0\r\n\r\n')],
  ['a bare CR in a chunk extension', chunked('2;a\rb\r\n{}\r\n0\r\n\r\n')],
  ['a folded header', get('/health/live', 'Host: x\r\n X-Folded: y')],
  ['a folded coding', withBody('Transfer-Encoding:\r\n chunked', '0\r\n\r\n')],
  ['a bare LF between headers', 'GET /health/live HTTP/1.1\nHost: x\n\n'],
  ['a bare CR in a header', get('/health/live', 'Host: x\r\nX-A: a\rb')],
  ['NUL in a header', get('/health/live', 'Host: x\r\nX-A: a\0b')],
  ['NUL in the name of a header', get('/health/live', 'Host: x\r\nX\0A: b')],
  ['a header without a name', get('/health/live', 'Host: x\r\n: b')],
  ['a header without a colon', get('/health/live', 'Host: x\r\nnothing')],
  ['a space before the first header', get('/health/live', ' Host: x')],
  ['no host', get('/health/live', 'X-A: b')],
  ['two hosts', get('/health/live', 'Host: x\r\nHost: y')],
  ['the same host twice', get('/health/live', 'Host: x\r\nhost: x')],
  ['a list of hosts', get('/health/live', 'Host: x, y')],
  ['a host with a path', get('/health/live', 'Host: x/y')],
  ['a host with a user', get('/health/live', 'Host: a@x')],
  ['two tokens', get('/api/v1/auth/me', 'Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b')],
  ['two content types', withBody('Content-Length: 2\r\ncontent-type: text/plain', '{}')],
  ['an absolute address', get('http://elsewhere.example/health/live', 'Host: x')],
  ['an absolute address without a path', get('http://elsewhere.example', 'Host: x')],
  ['an address without a slash', get('health/live', 'Host: x')],
  ['a star', get('*', 'Host: x')],
  ['a space in the address', get('/health/live x', 'Host: x')],
  ['a control character in the address', get('/health/\u0001live', 'Host: x')],
  ['no version', 'GET /health/live\r\nHost: x\r\n\r\n'],
  ['HTTP/1.2', 'GET /health/live HTTP/1.2\r\nHost: x\r\n\r\n'],
  ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a method that is none', 'G@T /health/live HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a method in lower case', 'get /health/live HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['chunks in HTTP/1.0', withBody('Transfer-Encoding: chunked', '0\r\n\r\n', '1.0')],
];

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
