// Lets plain `node -r` load TypeScript: the TypeORM command line and the servers of the tests need it.
const { transformSync } = require('@swc/core');
const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const options = require('./swc-options.cjs');

process.setSourceMapsEnabled(true);

/** Compiled modules by the hash of their text: tests start the server many times, and compiling it is most of a start. */
const cache = join(__dirname, '..', 'node_modules', '.cache', 'bjwt-swc');
const salt = JSON.stringify([options, require('@swc/core/package.json').version]);
mkdirSync(cache, { recursive: true });

function compiled(filename) {
  const text = readFileSync(filename, 'utf8');
  const file = join(cache, `${createHash('sha256').update(salt).update('\0').update(filename).update('\0').update(text).digest('hex')}.js`);
  try {
    return readFileSync(file, 'utf8');
  } catch {
    const { code } = transformSync(text, { ...options, filename });
    // Written aside and renamed: another process may be at it, too.
    writeFileSync(`${file}.${process.pid}`, code);
    renameSync(`${file}.${process.pid}`, file);
    return code;
  }
}

require.extensions['.ts'] = (module, filename) => module._compile(compiled(filename), filename);
