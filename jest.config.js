require('./tools/swc-register.cjs');
const { describePostgres, findPostgres } = require('./test/support/find-postgres.ts');
const { postgres, sqlite } = require('./tools/jest-projects.cjs');

const found = findPostgres();

/** Where the two databases differ most. All the others: `npm run test:postgres`. */
const first = ['postgres/.*', 'integration/races', 'e2e/people-races'];

/** Every suite on SQLite, and some on PostgreSQL if there is one. */
module.exports = {
  projects: [sqlite, ...(found ? [{ ...postgres, testRegex: [`test/(${first.join('|')})\\.spec\\.ts$`] }] : [])],
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', '!src/main.ts', '!src/database/migrations/**'],
  reporters: ['default', ['<rootDir>/tools/closing-line.cjs', { PostgreSQL: found && describePostgres(found) }]],
  testTimeout: 120_000, // of a machine that others use, too
  maxWorkers: 2,
  // What suites leave behind in a worker is collected for a second and more, in which no server of a test answers.
  workerIdleMemoryLimit: '700MB',
};
