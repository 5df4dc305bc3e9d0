import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BROKEN_REQUESTS, sendBytes, sendRaw } from '../support/raw-http';
import { freePort } from '../support/servers';
import { startTestApp, type TestApp } from '../support/test-app';

interface Proxy {
  readonly name: string;
  readonly program: string;
  readonly arguments: (file: string, dir: string) => string[];
  readonly settings: (port: number, backend: number, dir: string) => string;
}

/** Both keep connections to the server and send requests of several clients over one of them: what smuggling needs. */
const PROXIES: readonly Proxy[] = [
  {
    name: 'nginx',
    program: '/usr/sbin/nginx',
    arguments: (file, dir) => ['-c', file, '-p', dir, '-e', join(dir, 'error.log')],
    settings: (port, backend, dir) => `
daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log;
events {}
http {
  access_log off; client_body_temp_path ${dir}; proxy_temp_path ${dir}; fastcgi_temp_path ${dir}; uwsgi_temp_path ${dir}; scgi_temp_path ${dir};
  upstream ehr { server 127.0.0.1:${backend}; keepalive 1; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://ehr; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; } }
}`,
  },
  {
    name: 'haproxy',
    program: '/usr/sbin/haproxy',
    arguments: (file) => ['-db', '-q', '-f', file],
    settings: (port, backend) => `
defaults
  mode http
  timeout client 2s
  timeout server 2s
  timeout connect 2s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend ehr
backend ehr
  server ehr 127.0.0.1:${backend}
`,
  },
];

/** Hidden behind each broken request. Where proxy and server disagree on that one's end, the next client on the shared connection gets the answer to this. */
const HIDDEN = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

let app: TestApp;
const seen: string[] = [];
beforeAll(async () => {
  app = await startTestApp();
  app.app.getHttpServer().prependListener('request', (request: IncomingMessage) => seen.push(request.url ?? ''));
});
afterAll(() => app.close());

describe.each(PROXIES)('SEC-70 behind $name', ({ name, program, arguments: args, settings }) => {
  const run = spawnSync(program, ['-v']).error ? test.skip : test;
  let child: ChildProcess | undefined;
  let dir: string;
  let url: string;
  beforeAll(async () => {
    if (run === test.skip) return;
    dir = mkdtempSync(join(tmpdir(), `bjwt-${name}-`));
    const port = await freePort();
    const file = join(dir, 'proxy.conf');
    writeFileSync(file, settings(port, Number(new URL(app.url).port), dir));
    child = spawn(program, args(file, dir), { stdio: 'inherit' });
    url = `http://127.0.0.1:${port}`;
    for (let i = 0; i < 50; i += 1) {
      if (
        await sendRaw(url, { path: '/health/live' }).then(
          (answer) => answer.status === 200,
          () => false,
        )
      )
        return;
      await sleep(100);
    }
    throw new Error(`${name} does not answer`);
  });
  afterAll(async () => {
    if (child) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  run.each(BROKEN_REQUESTS)(`SEC-70 behind ${name}: %s smuggles nothing`, async (_name, bytes) => {
    await Promise.race([sendBytes(url, bytes + HIDDEN).catch(() => undefined), sleep(100)]);
    seen.length = 0;
    for (const limit of [1, 2, 3]) {
      const { status, body } = await sendRaw(url, { path: `/api/v1/hospitals?limit=${limit}` });
      expect([status, body]).toEqual([200, { items: [], nextCursor: null }]); // not the answer to what was hidden
    }
    expect(seen).toEqual([1, 2, 3].map((limit) => `/api/v1/hospitals?limit=${limit}`));
  });
});
