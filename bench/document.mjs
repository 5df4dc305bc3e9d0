/** `docs/performance.md`: its prose is written by hand; what stands between the marks, and the picture, are made from the newest results. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { growthRows } from './growth-rows.mjs';
import { heading } from './host.mjs';
import { PARTS } from './options.mjs';
import { cellsOf, HEAD } from './report.mjs';
import { lineChart } from './svg.mjs';

const mark = (name, end = '') => `<!-- ${end}bench:${name} -->`;

/** @throws Error when the marks are not there */
export function filled(text, name, content) {
  const [from, to] = [text.indexOf(mark(name)), text.indexOf(mark(name, '/'))];
  if (from < 0 || to < from) throw new Error(`the marks of ${name} are not in the document`);
  return `${text.slice(0, from + mark(name).length)}\n\n${content}\n\n${text.slice(to)}`;
}

const markdown = (rows) => {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(HEAD), line(HEAD.map(() => '---')), ...rows.map((row) => line(cellsOf(row)))].join('\n');
};

/** The newest result that fits, or null. */
function newest(folder, fits) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  for (const name of names.sort().reverse()) {
    const value = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    if (fits(value)) return value;
  }
  return null;
}

const isWhole = ({ parts }) => Array.isArray(parts) && Object.keys(PARTS).every((part) => parts.includes(part));

/** Writes the document from the results of a folder. @returns the file */
export async function writeDocument(folder, file) {
  const run = newest(folder, (value) => isWhole(value) && !value.quick) ?? newest(folder, isWhole);
  if (!run) throw new Error('there is no whole run: npm run bench');
  const growth = newest(folder, ({ points }) => Array.isArray(points));
  const about = [
    `Run of ${run.stamp.slice(0, 10)}${run.quick ? ', **quick**: short phases, read it with care' : ''}, ${run.plan.rounds} rounds.`,
    ...heading(run.host).map((line) => `- ${line}`),
    `- the load generator's share of the CPU time: ${shares(run.loadShares)}`,
  ].join('\n');
  let text = readFileSync(file, 'utf8');
  text = filled(text, 'run', about);
  text = filled(text, 'table', markdown(run.rows));
  text = filled(text, 'growth', growth ? growthText(growth) : 'No growth run yet.');
  const { format, resolveConfig } = await import('prettier');
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), parser: 'markdown' }));
  if (growth) writeFileSync(join(dirname(file), 'growth.svg'), picture(growth.points));
  return file;
}

const shares = (some) =>
  Object.entries(some)
    .filter(([name]) => /\/64$/.test(name))
    .map(([name, share]) => `${name} ${(share * 100).toFixed(0)} %`)
    .join(', ');

/** Where the stored bytes of a record are. */
function tablesText(tables) {
  const lines = tables.map(({ name, ...bytes }) => [name, ...[bytes.bytes, bytes.indexes, bytes.unused].map((value) => value.toFixed(0))]);
  return [['table', 'bytes a record', 'of it indexes', 'of it empty'], ['---', '---:', '---:', '---:'], ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function growthText({ stamp, host, summaries, tables }) {
  const about = `Run of ${stamp.slice(0, 10)}, load average when it began ${host.loadAverageBefore.toFixed(1)}.`;
  return [about, markdown(summaries.flatMap(growthRows)), 'Where the stored bytes are, by table:', tablesText(tables)].join('\n\n');
}

function picture(points) {
  const most = 200;
  const every = Math.ceil(points.length / most);
  const some = points.filter((_, index) => index % every === 0 || index === points.length - 1);
  return lineChart({
    title: 'Sealed writes a second over the number of sealed records (64 connections)',
    x: 'sealed records',
    y: 'per second',
    series: [
      { name: 'ours', points: some.map(({ records, rate }) => [records, rate]) },
      { name: 'floor, same moment', points: some.map(({ records, floorRate }) => [records, floorRate]) },
    ],
  });
}
