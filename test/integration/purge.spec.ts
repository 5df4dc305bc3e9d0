import { readFileSync, statSync } from 'node:fs';
import { DataSource } from 'typeorm';
import type { Database } from '../../src/database/database';
import { insert, openHouse, type Scratch, stored, Thing, thingOptions } from '../support/scratch-database';

const CANARY = 'canary of somebody who was';
let house: Scratch & { database: Database };
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

/** The files of the database that hold the canary. */
const holders = (): string[] => ['', '-wal'].filter((end) => readFileSync(`${house.file}${end}`).includes(CANARY));
const remove = () => house.database.transaction((tx) => tx.getRepository(Thing).delete({ id: 1 }));

/** A row in the main file, and an older version of its page in the log. */
async function keep(): Promise<void> {
  await house.database.transaction((tx) => insert(tx, 1, CANARY));
  expect(await house.database.purge()).toBe(true);
  await house.database.transaction((tx) => insert(tx, 2, 'neighbour'));
  expect(holders()).toEqual(['', '-wal']);
}

test('SEC-85 what was deleted is in the files until they are purged, and in none of them after', async () => {
  await keep();
  await remove();
  expect(holders()).toEqual(['', '-wal']);
  expect(await house.database.purge()).toBe(true);
  expect(holders()).toEqual([]);
  expect(statSync(`${house.file}-wal`).size).toBe(0);
  expect(await stored(house)).toEqual(['neighbour']);
});

test('SEC-85 somebody who reads an older state keeps it: purging says so, and works afterwards', async () => {
  await keep();
  const other = await new DataSource(thingOptions(house.file, true)).initialize();
  await other.query('BEGIN');
  await other.query('SELECT * FROM thing');
  await remove();
  expect(await house.database.purge()).toBe(false);
  expect(holders()).not.toEqual([]);
  await other.query('COMMIT');
  await other.destroy();
  expect(await house.database.purge()).toBe(true);
  expect(holders()).toEqual([]);
});

test('SEC-85 while another process writes, purging waits for the next time and breaks nothing', async () => {
  await keep();
  await remove();
  const other = await new DataSource(thingOptions(house.file)).initialize();
  await other.query('BEGIN IMMEDIATE');
  expect(await house.database.purge()).toBe(false);
  await other.query('ROLLBACK');
  await other.destroy();
  expect(await house.database.purge()).toBe(true);
  expect(holders()).toEqual([]);
});

test('purging among many writes loses none of them and waits for no end of them', async () => {
  const writes: Promise<unknown>[] = [];
  const purges: Promise<boolean>[] = [];
  for (let id = 1; id <= 300; id += 1) {
    writes.push(house.database.transaction((tx) => insert(tx, id, `row ${id}`)));
    if (id % 50 === 0) purges.push(house.database.purge());
  }
  expect(await Promise.all(purges)).toEqual(Array.from({ length: 6 }, () => true));
  await Promise.all(writes);
  expect(await stored(house)).toHaveLength(300);
});
