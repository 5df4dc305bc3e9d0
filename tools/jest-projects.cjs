const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const rootDir = join(__dirname, '..');

// Nest 12 and some of its dependencies are pure ESM, which Jest cannot require() on Node 20: swc turns exactly those into CommonJS.
const lock = JSON.parse(readFileSync(join(rootDir, 'package-lock.json'), 'utf8')).packages;
const isEsm = (dir) => {
  try {
    return JSON.parse(readFileSync(join(rootDir, dir, 'package.json'), 'utf8')).type === 'module';
  } catch {
    return false; // an optional package of another platform
  }
};
const esm = Object.keys(lock)
  .filter((dir) => dir && (!lock[dir].dev || dir.includes('/@nestjs/')) && isEsm(dir))
  .map((dir) => dir.replace(/^node_modules\//, '').replace(/[.+]/g, '\\$&'));

/** Every suite, on SQLite. */
const sqlite = {
  rootDir,
  displayName: 'SQLite',
  testEnvironment: 'node',
  moduleFileExtensions: ['js', 'json', 'ts'],
  testRegex: ['src/.*\\.spec\\.ts$', 'test/(?!long/|interop/|postgres/).*\\.spec\\.ts$'],
  setupFiles: ['<rootDir>/test/setup-env.ts', '<rootDir>/test/setup-sqlite.ts'],
  transformIgnorePatterns: ['\\.cjs$', `^${rootDir}/node_modules/(?!(${esm.join('|')})/(?!node_modules/))`],
  transform: { '^.+\\.(ts|m?js)$': ['@swc/jest', require('./swc-options.cjs')] },
};

/** What does not run on PostgreSQL, and why. Single tests say so themselves: `onSqlite`. */
const SQLITE_ONLY = {
  'integration/database': 'the one connection of SQLite: its units, its lock, its settings',
  'integration/migrations': 'the migrations of SQLite; postgres/migrations has their like',
  'integration/purge': 'the write-ahead log of SQLite',
  'integration/verify-log': 'writes a log of 70,000 entries into a file of its own, to verify what it reads back',
  'integration/find-postgres': 'no database',
  'integration/patterns': 'no database',
  'integration/supply-chain': 'no database',
};

/** Every suite that has a database, on a PostgreSQL server that is started for the run. What has none is the same wherever the rows lie. */
const postgres = {
  ...sqlite,
  displayName: 'PostgreSQL',
  globalSetup: '<rootDir>/test/support/postgres-setup.ts',
  globalTeardown: '<rootDir>/test/support/postgres-teardown.ts',
  setupFiles: ['<rootDir>/test/setup-env.ts'],
  testRegex: ['test/(attacks|e2e|fuzz|integration|postgres)/.*\\.spec\\.ts$'],
  testPathIgnorePatterns: Object.keys(SQLITE_ONLY).map((suite) => `<rootDir>/test/${suite}\\.spec\\.ts$`),
};

module.exports = { sqlite, postgres };
