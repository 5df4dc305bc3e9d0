// Refuses circles of imports between files. The order of modules is ESLint's work (eslint.config.mjs); this looks inside modules too.
const { readdirSync, readFileSync, existsSync } = require('node:fs');
const { dirname, join, relative } = require('node:path');

const root = join(__dirname, '..');
const files = readdirSync(join(root, 'src'), { recursive: true })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(root, 'src', name));

/** Files that a file needs at run time: `import type` vanishes when compiled. */
function importsOf(file) {
  const text = readFileSync(file, 'utf8');
  const targets = [...text.matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from\s+'(\.[^']+)'/gms)].map((match) =>
    join(dirname(file), match[1]),
  );
  return targets.map((target) => [`${target}.ts`, join(target, 'index.ts')].find((path) => existsSync(path))).filter(Boolean);
}

const done = new Set();
const path = [];
const circles = [];
function visit(file) {
  const at = path.indexOf(file);
  if (at >= 0) return void circles.push([...path.slice(at), file]);
  if (done.has(file)) return;
  path.push(file);
  for (const next of importsOf(file)) visit(next);
  path.pop();
  done.add(file);
}
for (const file of files) visit(file);

for (const circle of circles) console.error(`circle: ${circle.map((file) => relative(root, file)).join(' → ')}`);
if (circles.length > 0) process.exit(1);
console.log(`no circles in ${files.length} files`);
