import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectHeaders, answerOf } from '../support/edge-answers';
import { sendRaw } from '../support/raw-http';
import { createWorld, draftDiagnosis, type World } from '../support/world';

/** Time of grace in this file, s; in production 30. */
const GRACE = 1;
const POST = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"username":"';

let world: World;
beforeAll(async () => {
  world = await createWorld({ SLOW_CLIENT_SECONDS: String(GRACE) });
});
afterAll(() => world.close());

interface Slow {
  readonly socket: Socket;
  readonly openedAt: number;
  text: string;
  /** ms until the server closed it; null while it has not. */
  closedAfter: number | null;
}
const slows: Slow[] = [];
afterEach(() => {
  for (const { socket } of slows.splice(0)) socket.destroy();
});

/** A connection that sends `start`, then `drip` five times a second; with `deaf` it takes nothing of what comes back. */
async function slow(start: string, drip = '', deaf = false): Promise<Slow> {
  const { port } = new URL(world.url);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  const client: Slow = { socket, openedAt: performance.now(), text: '', closedAfter: null };
  socket.write(start);
  const timer = setInterval(() => drip !== '' && socket.writable && socket.write(drip), 200);
  socket.on('error', () => undefined); // a reset is a way of closing too
  socket.on('close', () => {
    clearInterval(timer);
    client.closedAfter = performance.now() - client.openedAt;
  });
  if (!deaf) socket.on('data', (part: Buffer) => (client.text += part.toString('latin1')));
  slows.push(client);
  return client;
}
const connections = (): Promise<number> => {
  const server = world.app.getHttpServer();
  return promisify(server.getConnections.bind(server))();
};
/** Waits until the server has closed it. */
async function closed(client: Slow): Promise<void> {
  const until = performance.now() + 15_000;
  while (client.closedAfter === null && performance.now() < until) await sleep(50);
  expect(client.closedAfter).not.toBeNull();
}
const many = (count: number, start: string, drip = '', deaf = false) =>
  Promise.all(Array.from({ length: count }, () => slow(start, drip, deaf)));
const HEADERS = 'GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: ';
/** More than the kernel keeps for both ends of a connection. */
const GREEDY = 'GET /docs-json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(60);

test('SEC-71 connections beyond the limit are closed unread; those that are there go on', async () => {
  const server = world.app.getHttpServer();
  expect(server.maxConnections).toBe(4096);
  expect(server.maxRequestsPerSocket).toBe(10_000);
  server.maxConnections = 5 + (await connections());
  try {
    const [first] = await many(5, 'GET /health/live HTTP/1.1\r\nHost: x\r\n');
    const sixth = await slow('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    await closed(sixth);
    expect(sixth.text).toBe('');
    first?.socket.write('Connection: close\r\n\r\n');
    await closed(first as Slow);
    expect(first?.text).toMatch(/^HTTP\/1\.1 200 /);
  } finally {
    server.maxConnections = 4096;
  }
});

test('SEC-71 silent connections, slow headers and slow bodies are told 408 and closed, however they drip', async () => {
  const clients = [await slow(''), await slow('GET /heal'), await slow(HEADERS, 'a'), await slow(POST), await slow(POST, 'a')];
  await sleep(GRACE * 3_500);
  for (const { closedAfter, text } of clients) {
    expect(closedAfter).toBeGreaterThan(GRACE * 400);
    const answer = answerOf(text);
    expect([answer.status, answer.body['code']]).toEqual([408, 'request_timeout']);
    expectHeaders(answer);
  }
});

test('SEC-71 who asks for much and takes nothing is cut off', async () => {
  const client = await slow(GREEDY, '', true);
  await sleep(GRACE * 1_000 + 3_000);
  client.socket.resume(); // a close shows once what is there was read
  await closed(client);
  expect(client.socket.bytesRead).toBeLessThan(60 * 300_000); // it never got all
});

test('SEC-71 a refused upload cannot go on dripping', async () => {
  const head = 'POST /api/v1/imports HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 8000000\r\n\r\n';
  const client = await slow(head, ' ');
  await sleep(GRACE * 3_500);
  expect(client.text).toMatch(/^HTTP\/1\.1 401 /);
  expect(client.closedAfter).not.toBeNull();
});

test('SEC-71 a large file on a poor line passes: it takes longer than the time of grace', async () => {
  const id = await draftDiagnosis(world.doctorA, world.patientA.id);
  const bytes = 160_000; // 4 s at 40 kB/s, above the least rate
  const head = `POST /api/v1/records/${id}/attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${world.doctorA.api.token}\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename="a.png"\r\nContent-Length: ${bytes}\r\nConnection: close\r\n\r\n`;
  const client = await slow(head, 'x'.repeat(8_000));
  await closed(client);
  expect(client.text).toMatch(/^HTTP\/1\.1 201 /);
  expect(client.closedAfter).toBeGreaterThan(GRACE * 3_000);
});

test('SEC-71 a thousand slow connections of all kinds do not stop others, and all are closed', async () => {
  const all = (await Promise.all([many(500, HEADERS, 'a'), many(480, POST, 'a'), many(20, GREEDY, '', true)])).flat();
  const statuses: number[] = [];
  for (let i = 0; i < 100; i += 1) statuses.push((await sendRaw(world.url, { path: '/api/v1/hospitals' })).status);
  expect(statuses).toEqual(Array.from({ length: 100 }, () => 200));
  const until = performance.now() + 15_000;
  while ((await connections()) >= 50 && performance.now() < until) await sleep(100);
  expect(await connections()).toBeLessThan(50);
  expect(all.filter(({ text }) => text.startsWith('HTTP/1.1 408 ')).length).toBeGreaterThanOrEqual(900);
}, 40_000);
