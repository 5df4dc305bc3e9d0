const base = require('./jest.config.js');

// Suites that use a database through the server only. The others look into the SQLite file itself.
const suites = [
  'author-keys',
  'backup',
  'bad-input',
  'hospital',
  'import',
  'metrics',
  'patient',
  'people-races',
  'proofs',
  'proofs-unlogged',
  'role-matrix',
  'scrub',
  'story',
];

/** On a PostgreSQL server that is started for the run. */
module.exports = {
  ...base,
  globalSetup: '<rootDir>/test/support/postgres-setup.ts',
  globalTeardown: '<rootDir>/test/support/postgres-teardown.ts',
  testRegex: ['test/postgres/.*\\.spec\\.ts$', `test/e2e/(${suites.join('|')})\\.spec\\.ts$`],
};
