import { setTimeout as sleep, setImmediate as nextTurn } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import type { Database } from '../../src/database/database';
import { OneConnection } from '../../src/database/connections';
import { SerialExecutor } from '../../src/database/serial-executor';
import { countStored, insert, openHouse, openScratch, type Scratch, stored, Thing, thingOptions } from '../support/scratch-database';

/** Whether a promise was kept, and with what. */
const settled = async (work: Promise<unknown>): Promise<'ok' | 'failed'> => {
  try {
    await work;
    return 'ok';
  } catch {
    return 'failed';
  }
};
const fail = (): never => {
  throw new Error('this unit fails');
};

/** What TypeORM does by itself; the reason for src/database. When one of these fails, TypeORM has changed and src/database may become simpler. */
describe('SEC-90 TypeORM alone, on one SQLite connection, loses acknowledged writes', () => {
  let scratch: Scratch;
  beforeEach(async () => {
    scratch = await openScratch();
  });
  afterEach(() => scratch.close());

  test('A throws after B and C were told that they are stored: nothing survives', async () => {
    const { writer } = scratch.sources;
    const a = settled(
      writer.transaction(async (tx) => {
        await insert(tx, 1, 'A');
        await sleep(50);
        fail();
      }),
    );
    await sleep(10);
    const b = await settled(writer.transaction((tx) => insert(tx, 2, 'B')));
    const c = await settled(insert(writer.manager, 3, 'C'));
    expect([await a, b, c]).toEqual(['failed', 'ok', 'ok']);
    expect(await stored(scratch)).toEqual([]);
  });

  test('A commits while B, begun meanwhile, throws later: A was acknowledged and is gone', async () => {
    const { writer } = scratch.sources;
    const a = settled(
      writer.transaction(async (tx) => {
        await insert(tx, 1, 'A');
        await sleep(20);
      }),
    );
    await sleep(5);
    const b = settled(
      writer.transaction(async (tx) => {
        await insert(tx, 2, 'B');
        await sleep(60);
        fail();
      }),
    );
    expect([await a, await b]).toEqual(['ok', 'failed']);
    expect(await stored(scratch)).not.toContain('A');
  });

  test('a read while A is open sees what A has not committed', async () => {
    const { writer } = scratch.sources;
    const a = settled(
      writer.transaction(async (tx) => {
        await insert(tx, 1, 'A');
        await sleep(30);
        fail();
      }),
    );
    await sleep(10);
    expect(await writer.getRepository(Thing).count()).toBe(1);
    expect(await a).toBe('failed');
    expect(await writer.getRepository(Thing).count()).toBe(0);
  });

  test('200 units at 20 a time with one real await inside, 10 % failing: stored is not what was acknowledged', async () => {
    const { writer } = scratch.sources;
    const acknowledged = new Set<number>();
    let next = 0;
    const worker = async (_: unknown, start: number) => {
      for (let i = 0; i < start * 3; i += 1) await nextTurn(); // as requests come: not all in one tick
      for (let id = next++; id < 200; id = next++) {
        const outcome = await settled(
          writer.transaction(async (tx) => {
            await insert(tx, id, 'x');
            await nextTurn();
            if (id % 10 === 0) fail();
          }),
        );
        if (outcome === 'ok') acknowledged.add(id);
      }
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    const kept = new Set((await scratch.sources.reader.getRepository(Thing).find()).map((row) => row.id));
    const lost = [...acknowledged].filter((id) => !kept.has(id)).length;
    const refusedButThere = [...kept].filter((id) => !acknowledged.has(id)).length;
    expect(lost + refusedButThere).toBeGreaterThan(0);
  });

  test('several transactions in one tick are all refused', async () => {
    const { writer } = scratch.sources;
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, id) => settled(writer.transaction((tx) => insert(tx, id, 'x')))));
    expect(outcomes).not.toContain('ok');
  });

  test('synchronous: an existing WAL file that is reopened without the house settings runs at NORMAL', async () => {
    const { file } = scratch;
    await scratch.sources.reader.destroy();
    await scratch.sources.writer.destroy();
    const plain = await new DataSource({ ...thingOptions(file), prepareDatabase: () => undefined }).initialize();
    expect(await plain.query('PRAGMA synchronous')).toEqual([{ synchronous: 1 }]);
    await plain.destroy();
  });
});

describe('SEC-90 SEC-91 the same through Database loses nothing', () => {
  let house: Scratch & { database: Database };
  beforeEach(async () => {
    house = await openHouse();
  });
  afterEach(() => house.close());

  test('A throws while B and C wait: B and C are stored', async () => {
    const { database } = house;
    const a = settled(
      database.transaction(async (tx) => {
        await insert(tx, 1, 'A');
        await sleep(50);
        fail();
      }),
    );
    await sleep(10);
    const b = settled(database.transaction((tx) => insert(tx, 2, 'B')));
    const c = settled(database.transaction((tx) => insert(tx, 3, 'C')));
    expect(await Promise.all([a, b, c])).toEqual(['failed', 'ok', 'ok']);
    expect(await stored(house)).toEqual(['B', 'C']);
  });

  test('B throws after A was acknowledged: A stays', async () => {
    const { database } = house;
    const a = settled(
      database.transaction(async (tx) => {
        await insert(tx, 1, 'A');
        await sleep(20);
      }),
    );
    await sleep(5);
    const b = settled(
      database.transaction(async (tx) => {
        await insert(tx, 2, 'B');
        await sleep(60);
        fail();
      }),
    );
    expect(await a).toBe('ok');
    expect(await stored(house)).toEqual(['A']);
    expect(await b).toBe('failed');
    expect(await stored(house)).toEqual(['A']);
  });

  test('group commit: units of one tick share a transaction, and a failing one takes nobody with it', async () => {
    const { database } = house;
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, (_, id) =>
        settled(
          database.transaction(async (tx) => {
            await insert(tx, id, `unit ${id}`);
            if (id % 3 === 0) fail();
            if (id % 3 === 1) await nextTurn();
          }),
        ),
      ),
    );
    expect(outcomes).toEqual(Array.from({ length: 30 }, (_, id) => (id % 3 === 0 ? 'failed' : 'ok')));
    expect(await stored(house)).toEqual(Array.from({ length: 30 }, (_, id) => `unit ${id}`).filter((_, id) => id % 3 !== 0));
  });

  test('a unit that breaks a constraint, or runs bad SQL, takes nobody with it', async () => {
    const { database } = house;
    const outcomes = await Promise.all([
      settled(database.transaction((tx) => insert(tx, 1, 'first'))),
      settled(database.transaction((tx) => insert(tx, 1, 'the same key'))),
      settled(database.transaction((tx) => tx.query('INSERT INTO nothing VALUES (1)'))),
      settled(database.transaction((tx) => insert(tx, 2, 'second'))),
    ]);
    expect(outcomes).toEqual(['ok', 'failed', 'failed', 'ok']);
    expect(await stored(house)).toEqual(['first', 'second']);
  });

  test('1000 concurrent units, one setImmediate inside, 10 % failing: stored is exactly what was acknowledged', async () => {
    const { database } = house;
    const acknowledged = new Set<number>();
    await Promise.all(
      Array.from({ length: 1000 }, async (_, id) => {
        if (id % 7 === 0) await nextTurn();
        const outcome = await settled(
          database.transaction(async (tx) => {
            await insert(tx, id, 'x');
            await nextTurn();
            if (id % 10 === 0) fail();
          }),
        );
        if (outcome === 'ok') acknowledged.add(id);
      }),
    );
    const rows = await house.sources.reader.getRepository(Thing).find();
    expect(acknowledged.size).toBe(900);
    expect(new Set(rows.map((row) => row.id))).toEqual(acknowledged);
  });

  test('units run one after another, each sees what those before it stored', async () => {
    const { database } = house;
    let running = 0;
    const counts = await Promise.all(
      Array.from({ length: 50 }, (_, id) =>
        database.transaction(async (tx) => {
          running += 1;
          expect(running).toBe(1);
          const before = await tx.getRepository(Thing).count();
          await nextTurn();
          await insert(tx, id, 'x');
          running -= 1;
          return before;
        }),
      ),
    );
    expect(counts).toEqual(Array.from({ length: 50 }, (_, id) => id));
  });

  test('SEC-91 the reader never sees what is not committed, even within a batch', async () => {
    const { database } = house;
    const seen = new Set<number>();
    let open = true;
    const watcher = (async () => {
      while (open) {
        for (const row of await database.reader.getRepository(Thing).find()) seen.add(row.id);
        await nextTurn();
      }
    })();
    const failing = settled(
      database.transaction(async (tx) => {
        await insert(tx, 1, 'never');
        await sleep(40);
        fail();
      }),
    );
    const inTheSameBatch = settled(
      database.transaction(async (tx) => {
        await insert(tx, 2, 'later');
        await sleep(20);
        expect(seen.has(2)).toBe(false);
      }),
    );
    expect([await failing, await inTheSameBatch]).toEqual(['failed', 'ok']);
    await sleep(10);
    open = false;
    await watcher;
    expect([...seen]).toEqual([2]);
  });

  test('what is acknowledged is seen by the reader at once', async () => {
    for (let id = 0; id < 20; id += 1) {
      await house.database.transaction((tx) => insert(tx, id, 'x'));
      expect(await countStored(house)).toBe(id + 1);
    }
  });

  test('the reader refuses to write', async () => {
    await expect(insert(house.database.reader, 1, 'x')).rejects.toThrow(/readonly/i);
    await expect(house.database.reader.query('DELETE FROM thing')).rejects.toThrow(/readonly/i);
    expect(await stored(house)).toEqual([]);
  });

  test('a failed COMMIT refuses every unit of the batch, stores nothing of it, and the next batch works', async () => {
    const { database, sources } = house;
    const effects: string[] = [];
    const runner = sources.writer.createQueryRunner(); // the same one: TypeORM has one for SQLite
    const commit = runner.commitTransaction.bind(runner);
    let outer = 0;
    runner.commitTransaction = async () => {
      const depth = Reflect.get(runner, 'transactionDepth') as number;
      if (depth === 1 && outer++ === 0) throw new Error('disk I/O error');
      await commit();
    };
    const batch = ['A', 'B', 'C'].map((who, id) =>
      database.transaction(async (tx) => {
        await insert(tx, id, who);
        database.afterCommit(() => effects.push(who));
        return who;
      }),
    );
    expect((await Promise.allSettled(batch)).map((item) => item.status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect([await stored(house), effects]).toEqual([[], []]);
    await database.transaction((tx) => insert(tx, 7, 'next'));
    expect(await stored(house)).toEqual(['next']);
  });

  test('a transaction that SQLite itself has ended refuses the batch, and the next batch works', async () => {
    const { database } = house;
    const batch = await Promise.all([
      settled(database.transaction((tx) => insert(tx, 1, 'A'))),
      settled(database.transaction((tx) => tx.query('ROLLBACK'))), // as after a full disk
      settled(database.transaction((tx) => insert(tx, 2, 'B'))),
    ]);
    expect(batch).toEqual(['failed', 'failed', 'failed']);
    expect(await stored(house)).toEqual([]);
    await database.transaction((tx) => insert(tx, 3, 'next'));
    expect(await stored(house)).toEqual(['next']);
  });

  test('a nested transaction is a savepoint of its unit', async () => {
    const { database } = house;
    await database.transaction(async (tx) => {
      await insert(tx, 1, 'outer');
      expect(await settled(tx.transaction(async (inner) => (await insert(inner, 2, 'inner'), fail())))).toBe('failed');
      await tx.transaction((inner) => insert(inner, 3, 'kept'));
    });
    expect(await stored(house)).toEqual(['outer', 'kept']);
  });

  test('afterCommit: only after the commit, in order, never after a rollback, never outside of a unit', async () => {
    const { database } = house;
    const effects: string[] = [];
    const unit = (id: number, failing: boolean) =>
      settled(
        database.transaction(async (tx) => {
          await insert(tx, id, 'x');
          database.afterCommit(() => effects.push(`effect ${id}`));
          await nextTurn();
          expect(effects).toEqual([]); // nothing of this batch has been committed
          if (failing) fail();
        }),
      );
    expect(await Promise.all([unit(1, false), unit(2, true), unit(3, false)])).toEqual(['ok', 'failed', 'ok']);
    expect(effects).toEqual(['effect 1', 'effect 3']);
    expect(() => database.afterCommit(() => undefined)).toThrow('outside');
  });

  test('an effect that throws does not undo what is stored, nor hang those who wait', async () => {
    const { database } = house;
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const outcomes = await Promise.all([
      settled(
        database.transaction(async (tx) => {
          await insert(tx, 1, 'A');
          database.afterCommit(fail);
        }),
      ),
      settled(database.transaction((tx) => insert(tx, 2, 'B'))),
    ]);
    expect(outcomes).toEqual(['ok', 'ok']); // both are durable
    expect(warned.mock.calls).toEqual([['An effect after a commit failed: Error']]);
    warned.mockRestore();
    await database.transaction((tx) => insert(tx, 3, 'C'));
    expect(await stored(house)).toEqual(['A', 'B', 'C']);
  });

  test('the queue is bounded: beyond it the answer is 503 at once, and those who wait are served', async () => {
    const { database } = house;
    const waiting = Array.from({ length: 4096 }, () => settled(database.transaction(() => Promise.resolve())));
    await expect(database.transaction(() => Promise.resolve())).rejects.toMatchObject({
      code: 'unavailable',
      status: 503,
      extra: { headers: { 'retry-after': '1' } },
    });
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['ok']));
    expect(await settled(database.transaction((tx) => insert(tx, 1, 'x')))).toBe('ok');
  });

  test('shutdown waits for what is under way', async () => {
    const { database, file } = house;
    const last = database.transaction(async (tx) => {
      await sleep(30);
      await insert(tx, 1, 'last');
    });
    await database.onApplicationShutdown();
    await last;
    const again = await new DataSource(thingOptions(file, true)).initialize();
    expect(await again.getRepository(Thing).count()).toBe(1);
    await again.destroy();
  });
});

describe('settings, read back', () => {
  const WRITER = {
    synchronous: 2,
    foreign_keys: 1,
    secure_delete: 1,
    temp_store: 2,
    trusted_schema: 0,
    journal_mode: 'wal',
    busy_timeout: 20,
  };

  async function pragmas(source: DataSource, names: readonly string[]): Promise<Record<string, unknown>> {
    const found: Record<string, unknown> = {};
    for (const name of names) {
      const [row] = await source.query<[Record<string, unknown>]>(`PRAGMA ${name}`);
      found[name] = Object.values(row)[0];
    }
    return found;
  }

  test('on a new file and on one that is reopened', async () => {
    const scratch = await openScratch();
    try {
      expect(await pragmas(scratch.sources.writer, Object.keys(WRITER))).toEqual(WRITER);
      await scratch.sources.reader.destroy();
      await scratch.sources.writer.destroy();
      const again = await new DataSource(thingOptions(scratch.file)).initialize();
      expect(await pragmas(again, Object.keys(WRITER))).toEqual(WRITER);
      await again.destroy();
    } finally {
      await scratch.close();
    }
  });

  test('of the reader', async () => {
    const scratch = await openScratch();
    try {
      const expected = { trusted_schema: 0, journal_mode: 'wal', busy_timeout: 20 };
      expect(await pragmas(scratch.sources.reader, Object.keys(expected))).toEqual(expected);
    } finally {
      await scratch.close();
    }
  });

  test('a second process waits its turn: BEGIN IMMEDIATE', async () => {
    const house = await openHouse();
    const other = await new DataSource(thingOptions(house.file)).initialize();
    try {
      const statements: string[] = [];
      const runner = house.sources.writer.createQueryRunner();
      const query = runner.query.bind(runner) as (sql: string, ...rest: unknown[]) => Promise<unknown>;
      runner.query = ((sql: string, ...rest: unknown[]) => (statements.push(sql), query(sql, ...rest))) as typeof runner.query;
      await house.database.transaction(async (tx) => {
        await tx.getRepository(Thing).count(); // reads before it writes
        await expect(
          (async () => {
            await other.query('PRAGMA busy_timeout = 1');
            await other.query("INSERT INTO thing (id, who) VALUES (9, 'other')");
          })(),
        ).rejects.toThrow(/locked/);
        await insert(tx, 1, 'x');
      });
      expect(await stored(house)).toEqual(['x']);
    } finally {
      await other.destroy();
      await house.close();
    }
  });
});

describe('ATTACK what stops the writer', () => {
  let house: Scratch & { database: Database };
  beforeEach(async () => {
    house = await openHouse();
  });
  afterEach(() => house.close());

  /** The statements of the writer from now on. */
  function watch(): string[] {
    const statements: string[] = [];
    const runner = house.sources.writer.createQueryRunner();
    const query = runner.query.bind(runner) as (sql: string, ...rest: unknown[]) => Promise<unknown>;
    runner.query = ((sql: string, ...rest: unknown[]) => (statements.push(sql), query(sql, ...rest))) as typeof runner.query;
    return statements;
  }

  /** Another connection holds the write lock while `work` runs; says how long the event loop stood still at most, ms. */
  async function whileLocked(ms: number, work: () => Promise<unknown>): Promise<number> {
    const other = await new DataSource(thingOptions(house.file)).initialize();
    await other.query('BEGIN IMMEDIATE');
    const release = sleep(ms).then(() => other.query('ROLLBACK'));
    let [longest, last] = [0, performance.now()];
    const ticks = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    try {
      await work();
      await release;
    } finally {
      clearInterval(ticks);
      await other.destroy();
    }
    return longest;
  }

  test('ATTACK another process holds the write lock: the event loop stays free, and the write succeeds after the release', async () => {
    const longest = await whileLocked(1500, () => house.database.transaction((tx) => insert(tx, 1, 'x')));
    expect(longest).toBeLessThan(750);
    expect(await stored(house)).toEqual(['x']);
  });

  test('ATTACK a lock that is not released: 503 for those who wait, and the next write works', async () => {
    const executor = new SerialExecutor(new OneConnection(house.sources.writer.createQueryRunner(), 200), 30_000);
    const refused = { code: 'unavailable', status: 503, extra: { headers: { 'retry-after': '1' } } };
    await whileLocked(1000, async () => {
      const both = await Promise.allSettled([1, 2].map((id) => executor.run((tx) => insert(tx, id, 'x'))));
      expect(both).toMatchObject([{ reason: refused }, { reason: refused }]);
    });
    await executor.run((tx) => insert(tx, 3, 'later'));
    expect(await stored(house)).toEqual(['later']);
  });

  test('ATTACK 64 callers whose requests come one by one share commits', async () => {
    const statements = watch();
    const caller = async (_: unknown, id: number) => {
      for (let n = 0; n < 10; n += 1) {
        await nextTurn(); // as a socket is read
        await house.database.transaction((tx) => insert(tx, id * 10 + n, 'x'));
      }
    };
    await Promise.all(Array.from({ length: 64 }, caller));
    expect(await countStored(house)).toBe(640);
    expect(statements.filter((sql) => sql === 'COMMIT').length).toBeLessThan(64);
  });

  test('ATTACK a unit that hangs is refused alone, and what it does later reaches no transaction', async () => {
    const executor = new SerialExecutor(new OneConnection(house.sources.writer.createQueryRunner()), 50);
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    let late: Promise<string[]> | undefined;
    let wake = (): void => undefined;
    const asleep = new Promise<void>((resolve) => (wake = resolve));
    const hung = executor.run((tx) => {
      const work = insert(tx, 2, 'hung').then(() => asleep);
      late = work.then(() =>
        Promise.all([
          settled(insert(tx, 3, 'late')),
          settled(tx.query('COMMIT')),
          settled(tx.transaction((inner) => insert(inner, 4, 'later'))),
        ]),
      );
      return late;
    });
    const outcomes = Promise.allSettled([
      executor.run((tx) => insert(tx, 1, 'before')),
      hung,
      executor.run((tx) => insert(tx, 5, 'after')),
    ]);
    expect(await outcomes).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'unavailable' } }, { status: 'fulfilled' }]);
    await executor.run(async (tx) => {
      await insert(tx, 6, 'next');
      wake();
      expect(await late).toEqual(['failed', 'failed', 'failed']);
      await sleep(5);
      await tx.transaction((inner) => insert(inner, 7, 'nested'));
    });
    expect(await stored(house)).toEqual(['before', 'after', 'next', 'nested']);
    expect(warned).toHaveBeenCalledTimes(1);
    warned.mockRestore();
    await executor.idle();
  });

  test('shutdown waits for a unit that was queued but had no turn yet, and for one queued while it waits', async () => {
    const { database } = house;
    const first = database.transaction((tx) => insert(tx, 1, 'first'));
    const second = first.then(() => database.transaction((tx) => insert(tx, 2, 'second')));
    await database.onApplicationShutdown();
    await Promise.all([first, second]);
    const again = await new DataSource(thingOptions(house.file, true)).initialize();
    expect(await again.getRepository(Thing).count()).toBe(2);
    await again.destroy();
  });
});
