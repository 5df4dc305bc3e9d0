/** Reads V8 CPU profiles: where the time of our server goes. `node bench/profile.mjs <file.cpuprofile>` prints one. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Short name of a source: the package, or our own file. */
function sourceOf(url) {
  const packaged = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\/(.*)$/.exec(url);
  if (packaged) return { group: packaged[1], file: `${packaged[1]}/…/${packaged[2].split('/').at(-1)}` };
  const own = /dist\/(src\/(?:[^/]+\/)*[^/]+)$/.exec(url);
  if (own) return { group: 'our code', file: own[1] };
  if (url.startsWith('node:')) return { group: 'node', file: url };
  return { group: url === '' ? 'native and V8' : url.split('/').at(-1), file: url.split('/').at(-1) || 'native' };
}

/** `dispatch` is the inspector itself, starting and stopping the profile. */
const IDLE = new Set(['(idle)', '(root)', 'dispatch']);

/**
 * Self time by function and by package, and time including callees by function of our own code; as shares of the time that was not idle.
 * @param {{ nodes: any[], samples: number[], timeDeltas: number[] }} profile
 */
export function summarise(profile) {
  const self = new Map();
  profile.samples.forEach((id, index) => self.set(id, (self.get(id) ?? 0) + profile.timeDeltas[index]));
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const [functions, groups, inclusive] = [new Map(), new Map(), new Map()];
  const add = (map, key, value) => map.set(key, (map.get(key) ?? 0) + value);
  let busy = 0;
  let idle = 0;
  const walk = (node, open) => {
    const { functionName, url, lineNumber } = node.callFrame;
    const own = self.get(node.id) ?? 0;
    const source = sourceOf(url);
    const name = `${functionName || '(anonymous)'} ${source.file}:${lineNumber + 1}`;
    if (IDLE.has(functionName)) idle += own;
    else {
      busy += own;
      add(functions, name, own);
      add(groups, functionName === '(garbage collector)' ? 'garbage collector' : source.group, own);
    }
    const outer = !open.has(name);
    if (outer) open.add(name);
    let total = own;
    for (const child of node.children ?? []) total += walk(byId.get(child), open);
    if (outer) {
      open.delete(name);
      if (url !== '' && !url.startsWith('node:')) add(inclusive, name, total);
    }
    return total;
  };
  walk(profile.nodes[0], new Set());
  const top = (map, count) =>
    [...map]
      .sort((a, b) => b[1] - a[1])
      .slice(0, count)
      .map(([name, time]) => ({ name, share: time / busy }));
  return { busy: busy / (busy + idle), functions: top(functions, 25), groups: top(groups, 15), inclusive: top(inclusive, 60) };
}

/** @param {ReturnType<typeof summarise>} summary */
export function profileText(title, summary, count = 10) {
  const lines = (rows) => rows.slice(0, count).map(({ name, share }) => `  ${(share * 100).toFixed(1).padStart(5)} %  ${name}`);
  return [
    `${title}: event loop busy ${(summary.busy * 100).toFixed(0)} %; shares of busy time`,
    ' self time by function',
    ...lines(summary.functions),
    ' self time by package',
    ...lines(summary.groups),
    ' with callees, our own functions',
    ...lines(summary.inclusive.filter(({ name }) => / src\//.test(name))),
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  for (const file of process.argv.slice(2))
    process.stdout.write(`${profileText(file, summarise(JSON.parse(readFileSync(file, 'utf8'))), 25)}\n`);
