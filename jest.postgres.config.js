const base = require('./jest.config.js');

/** The suites that use a database, on PostgreSQL. */
module.exports = {
  ...base,
  globalSetup: '<rootDir>/test/support/postgres-setup.ts',
  globalTeardown: '<rootDir>/test/support/postgres-teardown.ts',
  testRegex: ['test/e2e/.*\\.spec\\.ts$', 'test/postgres/.*\\.spec\\.ts$'],
};
