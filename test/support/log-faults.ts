import type { INestApplicationContext } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Database } from '../../src/database/database';
import { LogKeys } from '../../src/tlog/log-keys';
import { LogPublisher } from '../../src/tlog/log-publisher.service';
import { watchStatements } from './statements';

/** The steps of an entry from its seal to its cosignature. */
export type Point = 'queue' | 'sequence' | 'sign' | 'store' | 'publish' | 'ask' | 'store cosignature';
/** `lost`: it fails and nothing of it is stored. `stored`: it is stored, and whoever did it learns of a failure, or nothing at all. */
export type Way = 'lost' | 'stored';

/** Which table's rows a step writes. */
const TABLE: Partial<Record<Point, string>> = {
  queue: 'log_pending',
  sequence: 'log_leaf',
  store: 'log_checkpoint',
  'store cosignature': 'log_cosignature',
};

/** Lets one step fail once, after it went well `after` times: `strike` is called, and if it returns, the step throws. Wraps what is injected; production code knows nothing of it. */
export function armFault(app: INestApplicationContext, point: Point, way: Way, strike: () => void, after = 0): void {
  let left = after;
  let armed = true;
  const fail = (): void => {
    if (!armed || (left -= 1) >= 0) return;
    armed = false;
    strike();
    throw new Error(`fault: ${point}, ${way}`);
  };
  const table = TABLE[point];
  if (table !== undefined) failTransaction(app.get(Database), `INSERT INTO "${table}"`, way, fail);
  else if (point === 'sign') failSigning(app.get(LogKeys), fail);
  else if (point === 'publish') app.get(LogPublisher).onPublished(fail);
  else failRequest('/witness/add-checkpoint', way, fail);
}

/** On SQLite, where units run one after another: what runs while one does is its own. */
function failTransaction(database: Database, statement: string, way: Way, fail: () => void): void {
  let hit = false;
  watchStatements((sql) => (hit ||= sql.startsWith(statement)));
  for (const kind of ['transaction', 'beside'] as const) {
    const run = database[kind].bind(database);
    database[kind] = async <T>(work: (tx: EntityManager) => Promise<T>): Promise<T> => {
      let mine = false;
      const value = await run(async (tx) => {
        hit = false;
        const done = await work(tx);
        mine = hit;
        if (mine && way === 'lost') fail();
        return done;
      });
      if (mine && way === 'stored') fail();
      return value;
    };
  }
}

function failSigning(keys: LogKeys, fail: () => void): void {
  const log = keys.log.bind(keys);
  // Reading a public key is no signing: only who takes the private half fails.
  keys.log = (origin) => {
    const signer = log(origin);
    return {
      key: signer.key,
      get privateKey() {
        fail();
        return signer.privateKey;
      },
    };
  };
}

function failRequest(address: string, way: Way, fail: () => void): void {
  const real = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const matches = (typeof input === 'string' ? input : '').endsWith(address);
    if (matches && way === 'lost') fail();
    const answer = await real(input, init);
    if (matches && way === 'stored') fail();
    return answer;
  };
}
