// Lets plain `node -r` load TypeScript (the TypeORM command line needs it).
const { transformSync } = require('@swc/core');
const { readFileSync } = require('node:fs');
const options = require('./swc-options.cjs');

process.setSourceMapsEnabled(true);
require.extensions['.ts'] = (module, filename) =>
  module._compile(transformSync(readFileSync(filename, 'utf8'), { ...options, filename }).code, filename);
