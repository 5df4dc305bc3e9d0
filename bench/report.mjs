/** From measures to rows, and from rows to the table. Goals and stretch goals are the project's own (docs/performance.md). */
import { median, pairOf } from './statistics.mjs';

/**
 * @typedef {object} Row
 * @property {string} id of the target, or empty
 * @property {string} metric
 * @property {string} unit of `ours` and `floor`
 * @property {number | null} ours
 * @property {number | null} floor the yardstick, which the metric names where it is not the floor
 * @property {number | null} ratio what goal and stretch speak of; null: they speak of `ours`
 * @property {number | null} [cpu] CPU µs of an act, ours; so is `floorCpu`
 * @property {number} [goal]
 * @property {number} [stretch]
 * @property {boolean} [atMost] the goal is not to be exceeded; else it is to be reached
 */

const P1 = { goal: 0.7, stretch: 1.1 };
const P2 = { goal: 1, stretch: 0.5, atMost: true };
const P3 = { goal: 0.6, stretch: 0.8 };

/** The pairs of a round: id, metric, ours, yardstick, field, target. */
const PAIRS = [
  ['P1', 'sealed writes, 64 conn, many patients (seal of a ready draft)', 'seal/64', 'floor-write/64', 'rate', P1],
  ['P1', 'sealed writes, 64 conn, one hot patient', 'seal-hot/64', 'floor-write-hot/64', 'rate', P1],
  ['P1', 'draft + seal as a client sees it, 64 conn', 'draft+seal/64', 'floor-write/64', 'rate', P1],
  ['', 'draft alone, 64 conn', 'draft/64', 'floor-write/64', 'rate'],
  ...[1, 16, 256].flatMap((count) => [
    ['', `sealed writes, ${count} conn`, `seal/${count}`, `floor-write/${count}`, 'rate'],
    ['', `sealed writes, ${count} conn, one hot patient`, `seal-hot/${count}`, `floor-write-hot/${count}`, 'rate'],
  ]),
  ['P2', 'p99 of sealed writes, 64 conn', 'seal/64', 'floor-write/64', 'p99', P2],
  ['', 'p50 of sealed writes, 64 conn', 'seal/64', 'floor-write/64', 'p50'],
  ['', 'p99 of draft + seal, 64 conn', 'draft+seal/64', 'floor-write/64', 'p99'],
  ['P9', 'sealed writes ÷ the naive way, 64 conn', 'seal/64', 'naive/64', 'rate', { goal: 8, stretch: 12 }],
  ['', 'draft + seal ÷ the naive way, 64 conn', 'draft+seal/64', 'naive/64', 'rate'],
  ['', 'the naive way ÷ the floor, 64 conn', 'naive/64', 'floor-write/64', 'rate'],
  ['P3', 'decrypted reads with trail, 64 conn', 'read/64', 'floor-read/64', 'rate', P3],
  ...[1, 16, 256].map((count) => ['', `decrypted reads with trail, ${count} conn`, `read/${count}`, `floor-read/${count}`, 'rate']),
  ['', 'p99 of reads, 64 conn', 'read/64', 'floor-read/64', 'p99'],
  ['', 'list: a chart of 20 records, 64 conn ÷ floor reads of one', 'list/64', 'floor-read/64', 'rate'],
  ['', 'search by two words of a name, 64 conn ÷ floor reads', 'search/64', 'floor-read/64', 'rate'],
  ['P4', 'trivial authenticated route (415), 64 conn ÷ bare Fastify', 'trivial/64', 'bare/64', 'rate', { goal: 0.6, stretch: 0.7 }],
  ['', 'refused by validation (400), 64 conn ÷ bare Fastify', 'invalid/64', 'bare/64', 'rate'],
  ['', 'role refused, on the trail (403), 64 conn ÷ bare Fastify', 'refused/64', 'bare/64', 'rate'],
  ['', 'one-row route (GET /hospitals/:id, 200), 64 conn ÷ bare Fastify', 'one-row/64', 'bare/64', 'rate'],
  ['', 'sign-in, 16 conn ÷ raw Argon2id, one a core', 'login/16', 'argon2/16', 'rate'],
  ['', 'refresh, 16 conn ÷ floor writes', 'refresh/16', 'floor-write/16', 'rate'],
  ['', 'import, records of one bundle ÷ floor writes, 64 conn', 'import', 'floor-write/64', 'rate'],
];

/** @returns {Row[]} of what was measured */
export function roundRows(rounds) {
  const has = (name) => rounds[0]?.[name] !== undefined;
  return PAIRS.filter(([, , ours, floor]) => has(ours) && has(floor)).map(([id, metric, ours, floor, field, target]) => ({
    id,
    metric,
    unit: field === 'rate' ? '/s' : 'ms',
    ...pairOf(rounds, ours, floor, field),
    ...target,
  }));
}

const middle = (list, pick) => median(list.map(pick));
const beside = (list, ours, floor) => ({
  ours: middle(list, ours),
  floor: middle(list, floor),
  ratio: middle(list, (r) => ours(r) / floor(r)),
});
const atMost = (goal, stretch) => ({ goal, stretch, atMost: true });

/** @returns {Row[]} */
export function verifyRows({ chain, audits, cores }) {
  const P5 = { goal: 0.25, stretch: 0.4 };
  const P6 = { goal: 0.7, stretch: 0.9 };
  const sha = (r) => r.sha;
  const signatures = (r) => r.ed25519 * cores;
  const raw = `÷ raw Ed25519 verifications × ${cores} cores`;
  const audited = audits.rounds;
  const rows = [
    ['P5', `audit of all, hashes only, ${cores} threads ÷ raw SHA-256 of one`, 'MB/s', beside(audited, (r) => r.hashedMbPerS, sha), P5],
    ['P5', `verification of ${chain.blocks} blocks with signatures ÷ raw SHA-256`, 'MB/s', beside(chain.rounds, (r) => r.mbPerS, sha), P5],
    ['P5', 'RSS growth of the verification', 'MB', { ours: chain.rssGrowth, floor: null, ratio: null }, atMost(64, 64)],
    [
      'P6',
      `verification of ${chain.blocks} blocks by the server ${raw}`,
      'blocks/s',
      beside(chain.rounds, (r) => r.blocksPerS, signatures),
      P6,
    ],
    ['P6', `audit of all with signatures, contents closed ${raw}`, 'blocks/s', beside(audited, (r) => r.signedPerS, signatures), P6],
    ['P6', `audit of all with signatures and contents ${raw}`, 'blocks/s', beside(audited, (r) => r.openedPerS, signatures), P6],
  ];
  return rows.map(([id, metric, unit, values, target]) => ({ id, metric, unit, ...values, ...target }));
}

/** @returns {Row[]} */
export function startRows(cold, loaded) {
  const idle = beside(
    cold,
    (r) => r.rss,
    (r) => r.floorRss,
  );
  const started = beside(
    cold,
    (r) => r.ours,
    (r) => r.floor,
  );
  return [
    { id: 'P8', metric: 'cold start, database exists', unit: 'ms', ...started, ...atMost(3, 2.2) },
    { id: 'P8', metric: 'RSS idle', unit: 'MB', ...idle, ratio: null, ...atMost(130, 115) },
    { id: 'P8', metric: 'RSS after the load', unit: 'MB', ours: loaded.ours, floor: loaded.floor, ratio: null, ...atMost(400, 320) },
  ];
}

/** @returns {Row[]} */
export function statementRows(statements) {
  return Object.entries(statements).map(([name, { data, control }]) => ({
    id: name === 'authentication' ? 'P4' : '',
    metric: `SQL statements: ${name} (+ ${control} BEGIN, SAVEPOINT, COMMIT …)`,
    unit: '',
    ours: data,
    floor: null,
    ratio: null,
    ...(name === 'authentication' ? atMost(0, 0) : {}),
  }));
}

export const number = (value) =>
  value === null || value === undefined ? '' : value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));

/** Goal, stretch goal and what became of them, as words. @param {Pick<Row, 'ratio' | 'ours' | 'goal' | 'stretch' | 'atMost'>} row */
export function verdictOf({ ratio, goal, stretch, atMost: most, ours }) {
  if (goal === undefined) return { goal: '', verdict: '' };
  const value = ratio ?? ours;
  const reached = (target) => (most ? value <= target : value >= target);
  const verdict = stretch !== undefined && reached(stretch) ? 'stretch' : reached(goal) ? 'met' : 'MISSED';
  return { goal: `${most ? '≤' : '≥'} ${goal}${stretch === undefined ? '' : ` · ${stretch}`}`, verdict };
}

export const HEAD = ['', 'metric', 'ours', 'floor', 'unit', 'ratio', 'goal · stretch', '', 'CPU µs ours/floor', 'CPU ratio'];

/** The cells of a row, as text. @param {Row} row */
export function cellsOf(row) {
  const { goal, verdict } = verdictOf(row);
  const hasCpu = typeof row.cpu === 'number' && typeof row.floorCpu === 'number';
  return [
    row.id,
    row.metric,
    number(row.ours),
    number(row.floor),
    row.unit,
    row.ratio === null ? '' : row.ratio.toFixed(3),
    goal,
    verdict,
    hasCpu ? `${number(row.cpu)} / ${number(row.floorCpu)}` : '',
    hasCpu ? (row.floorCpu / row.cpu).toFixed(3) : '',
  ];
}

/** @param {Row[]} rows */
export function table(rows) {
  const lines = rows.map(cellsOf);
  const widths = HEAD.map((_, column) => Math.max(...[HEAD, ...lines].map((line) => line[column].length)));
  const numeric = new Set([2, 3, 5, 9]);
  const text = (line) =>
    line.map((cell, column) => (numeric.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  ');
  return [text(HEAD), widths.map((width) => '─'.repeat(width)).join('  '), ...lines.map(text)].map((line) => line.trimEnd()).join('\n');
}

/** The generator's share of all CPU time, by measure: medians of the rounds. */
export function loadShares(rounds) {
  const shares = (name) => rounds.map((round) => round[name].loadShare);
  const names = Object.keys(rounds[0] ?? {}).filter((name) => shares(name).every((share) => share !== null));
  return Object.fromEntries(names.map((name) => [name, median(shares(name))]));
}
