import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type News, PostgresPeers } from '../../src/database/peers';
import { dropStore, storeOf } from '../support/test-store';

let address: { connectionString: string };
let stranger: Client;
let [first, second]: [PostgresPeers | undefined, PostgresPeers | undefined] = [undefined, undefined];
beforeAll(async () => {
  address = { connectionString: (await storeOf('peers'))['DATABASE_URL'] ?? '' };
  stranger = new Client(address);
  await stranger.connect();
  [first, second] = [new PostgresPeers(address), new PostgresPeers(address)];
  await Promise.all([first.leads(), second.leads()]); // both listen
});
afterAll(async () => {
  await Promise.all([first?.close(), second?.close(), stranger.end()]);
  await dropStore('peers');
});

test('ATTACK whatever somebody else notifies ends no process and reaches nobody; what a peer says does', async () => {
  const heard: News[] = [];
  second?.onTold((news) => heard.push(news));
  const texts = [
    '',
    'x',
    'null',
    '[]',
    '"queued"',
    '{"from":"me"}',
    '{"news":null}',
    '{"news":{"about":"published","logId":"1","size":2}}',
  ];
  const more = ['{"news":{"about":"halted","logId":1}}', '{"news":{"about":"__proto__"}}', `{"news":${'['.repeat(3000)}`];
  for (const text of [...texts, ...more]) await stranger.query('SELECT pg_notify($1, $2)', ['bjwt_ehr', text]);
  first?.tell({ about: 'published', logId: 1, size: 2 });
  while (heard.length === 0) await sleep(10);
  expect(heard).toEqual([{ about: 'published', logId: 1, size: 2 }]);
});

test('one of two leads', async () => {
  expect([await first?.leads(), await second?.leads()].sort()).toEqual([false, true]);
});

test('ATTACK whose connection is cut while several ask has one new connection, and one of the two leads again', async () => {
  const asked = (peers?: PostgresPeers) => peers?.leads().catch(() => false) ?? Promise.resolve(false);
  const both = () => Promise.all([asked(first), asked(second)]);
  const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()`;
  for (let round = 0; round < 5; round += 1) {
    const asking = [both(), both(), both()];
    await stranger.query(cut);
    first?.tell({ about: 'queued' });
    await Promise.all([...asking, both(), both()]);
    await sleep(100);
    await both();
    expect((await both()).sort()).toEqual([false, true]);
    const { rows } = await stranger.query<{ n: string }>('SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database()');
    expect(Number(rows[0]?.n)).toBe(3);
  }
});
