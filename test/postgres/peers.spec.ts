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
