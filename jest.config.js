const { readFileSync } = require('node:fs');
const { join } = require('node:path');

// Nest 12 and some of its dependencies are pure ESM, which Jest cannot require() on Node 20: swc turns exactly those into CommonJS.
const lock = JSON.parse(readFileSync(join(__dirname, 'package-lock.json'), 'utf8')).packages;
const isEsm = (dir) => {
  try {
    return JSON.parse(readFileSync(join(__dirname, dir, 'package.json'), 'utf8')).type === 'module';
  } catch {
    return false; // an optional package of another platform
  }
};
const esm = Object.keys(lock)
  .filter((dir) => dir && (!lock[dir].dev || dir.includes('/@nestjs/')) && isEsm(dir))
  .map((dir) => dir.replace(/^node_modules\//, '').replace(/[.+]/g, '\\$&'));

module.exports = {
  testEnvironment: 'node',
  moduleFileExtensions: ['js', 'json', 'ts'],
  testRegex: ['src/.*\\.spec\\.ts$', 'test/(?!long/|postgres/).*\\.spec\\.ts$'],
  setupFiles: ['<rootDir>/test/setup-env.ts'],
  transformIgnorePatterns: ['\\.cjs$', `^${__dirname}/node_modules/(?!(${esm.join('|')})/(?!node_modules/))`],
  transform: { '^.+\\.(ts|m?js)$': ['@swc/jest', require('./tools/swc-options.cjs')] },
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', '!src/main.ts', '!src/database/migrations/**'],
  reporters: ['default', '<rootDir>/tools/closing-line.cjs'],
  testTimeout: 30_000,
  maxWorkers: 2,
};
