import type { EntityManager } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import { Database } from '../../src/database/database';
import { claim, holdTrail, needAlone } from '../../src/database/beside';
import { openDataSources } from '../../src/database/database.module';
import { openRaw } from '../support/raw-database';
import { createWorld, type World } from '../support/world';

let world: World;
let database: Database;
beforeAll(async () => {
  world = await createWorld();
  database = world.app.get(Database);
}, 60_000);
afterAll(() => world.close());

/** A promise, and what resolves it. */
function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 300));

test('SEC-93 units beside each other overlap, and a unit that runs alone overlaps none', async () => {
  const said: string[] = [];
  const [both, end] = [gate(), gate()];
  const first = database.beside(async () => {
    both.open();
    await end.opened;
    said.push('first ends');
  });
  await both.opened;
  await database.beside(() => Promise.resolve(said.push('second, beside the first')));
  const alone = database.transaction(() => Promise.resolve(said.push('alone')));
  await soon();
  end.open();
  await Promise.all([first, alone]);
  expect(said).toEqual(['second, beside the first', 'first ends', 'alone']);
});

test('SEC-93 of two units that claim one name the second waits for the end of the first; another name is free', async () => {
  const said: string[] = [];
  const [held, end] = [gate(), gate()];
  const first = database.beside(async (tx) => {
    expect(await claim(tx, 'chart 1')).toBe(true);
    held.open();
    await end.opened;
    said.push('first ends');
  });
  await held.opened;
  const second = database.beside(async (tx) => {
    await claim(tx, 'chart 1');
    said.push('second');
  });
  await database.beside(async (tx) => {
    await claim(tx, 'chart 2');
    said.push('another chart');
  });
  await soon();
  end.open();
  await Promise.all([first, second]);
  expect(said).toEqual(['another chart', 'first ends', 'second']);
});

test('SEC-93 units are READ COMMITTED, whatever the default of the database is', async () => {
  const isolation = async (tx: EntityManager) => (await tx.query<unknown[]>('SHOW transaction_isolation'))[0];
  const [row] = await database.reader.query<{ name: string }[]>('SELECT current_database() AS name');
  const db = openRaw(world);
  db.exec(`ALTER DATABASE "${row?.name ?? ''}" SET default_transaction_isolation = 'serializable'`);
  db.close();
  const { config } = world.foundations;
  const sources = await openDataSources(dataSourceOptions(config), dataSourceOptions(config, true)); // new connections
  const fresh = new Database(sources);
  try {
    for (const found of [await fresh.transaction(isolation), await fresh.beside(isolation), await fresh.append(isolation)])
      expect(found).toEqual({ transaction_isolation: 'read committed' });
  } finally {
    await fresh.onApplicationShutdown();
  }
});

test('SEC-90 what needs to be alone is rolled back beside others and runs again alone, once, and so does the second of two equal keys', async () => {
  const insert = `INSERT INTO "rate_count" ("minute", "client", "count") VALUES ($1, '\\x01', 1)`;
  const count = async (minute: number) =>
    (await database.reader.query<unknown[]>('SELECT 1 FROM "rate_count" WHERE "minute" = $1', [minute])).length;
  let runs = 0;
  const effect = jest.fn();
  await database.beside(async (tx) => {
    runs += 1;
    await tx.query(insert, [7]);
    database.afterCommit(effect);
    needAlone(tx);
    expect(await claim(tx, 'chart 1')).toBe(false);
  });
  expect([runs, await count(7), effect.mock.calls.length]).toEqual([2, 1, 1]);
  const put = () =>
    database.beside(async (tx) => {
      const there = await tx.query<unknown[]>('SELECT 1 FROM "rate_count" WHERE "minute" = 8');
      if (there.length === 0) await tx.query(insert, [8]);
      return there.length;
    });
  expect((await Promise.all([put(), put(), put(), put()])).sort()).toEqual([0, 1, 1, 1]);
});

test('SEC-90 a unit that fails leaves nothing and takes nobody with it, alone and beside', async () => {
  const insert = `INSERT INTO "rate_count" ("minute", "client", "count") VALUES ($1, '\\x02', 1)`;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 24 }, (_none, index) => {
      const run = index % 2 === 0 ? database.transaction.bind(database) : database.beside.bind(database);
      return run(async (tx) => {
        await tx.query(insert, [100 + index]);
        if (index % 3 === 0) throw new Error('wanted');
        if (index % 3 === 1) await expect(tx.query('SELECT 1 FROM "nowhere"')).rejects.toThrow(); // PostgreSQL then takes no more of this unit
      });
    }),
  );
  const rows = await database.reader.query<{ minute: number }[]>(
    'SELECT "minute" FROM "rate_count" WHERE "minute" BETWEEN 100 AND 999 ORDER BY 1',
  );
  const kept = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [100 + index] : []));
  expect(rows.map(({ minute }) => minute)).toEqual(kept);
  expect(kept).toEqual(Array.from({ length: 8 }, (_none, index) => 102 + 3 * index));
});

test('SEC-93 a unit that nobody in another one waits for takes nobody’s effects, nor does whoever made the executor begin', async () => {
  const told: number[] = [];
  const units: Promise<unknown>[] = [];
  await database.beside(async () => {
    units.push(database.beside((tx) => Promise.resolve(needAlone(tx)))); // in the end it waits for the outer one, to run alone
    await soon();
  });
  for (let number = 0; number < 20; number += 1)
    units.push(
      database.transaction(async (tx) => {
        await tx.query('SELECT pg_sleep(0.01)');
        database.afterCommit(() => told.push(number));
      }),
    );
  await Promise.all(units);
  expect(told).toHaveLength(20);
});

test('SEC-93 reading and the probes go on while a unit runs alone for long, and more wait to write than there are connections; the sealing of the trail waits for who appends, and then keeps others waiting', async () => {
  const [held, end] = [gate(), gate()];
  const long = database.transaction(async () => {
    held.open();
    await end.opened;
  });
  await held.opened;
  const { poolSize } = world.foundations.config.postgres ?? { poolSize: 0 };
  let written = 0;
  const writers = Array.from({ length: 3 * poolSize }, () => database.beside(() => Promise.resolve((written += 1))));
  await soon();
  expect((await world.doctorA.api.get(`/patients/${world.patientA.id}`)).status).toBe(200);
  expect((await world.anonymous.get('//health/ready')).status).toBe(200);
  expect(written).toBe(0);
  end.open();
  await Promise.all([long, ...writers]);
  expect(written).toBe(3 * poolSize);
  const said: string[] = [];
  const [appending, appended] = [gate(), gate()];
  const first = database.append(async () => {
    appending.open();
    await appended.opened;
    said.push('first ends');
  });
  await appending.opened;
  const sealing = database.transaction(async (tx) => {
    await holdTrail(tx);
    said.push('trail held');
    await soon();
  });
  await soon();
  const second = database.append(() => Promise.resolve(said.push('second')));
  appended.open();
  await Promise.all([first, sealing, second]);
  expect(said).toEqual(['first ends', 'trail held', 'second']);
});
