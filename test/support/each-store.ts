import { findPostgres } from './find-postgres';
import setUpPostgres, { tearDown } from './postgres-setup';

/** Runs suites twice: on SQLite, and on a PostgreSQL server that is started for them; where none is installed they are counted as skipped. */
export function onEachStore(suite: () => void): void {
  describe('on SQLite', suite);
  (findPostgres() === null ? describe.skip : describe)('on PostgreSQL', () => {
    beforeAll(setUpPostgres);
    afterAll(tearDown);
    suite();
  });
}

/** In a suite that is run once on each: what SQLite alone does, and what PostgreSQL alone does. */
export const onSqlite = process.env['TEST_POSTGRES'] === undefined ? test : test.skip;
export const onPostgres = process.env['TEST_POSTGRES'] === undefined ? test.skip : test;
