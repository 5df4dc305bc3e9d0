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
