/** From measures to the table: medians over rounds; a ratio is the median of the rounds' own ratios, never a ratio of two far-apart numbers. */

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const of = (rounds, name, field) => rounds.map((round) => round[name][field]);
const pair = (rounds, ours, floor, field) => ({
  ours: median(of(rounds, ours, field)),
  floor: median(of(rounds, floor, field)),
  ratio: median(rounds.map((round) => round[ours][field] / round[floor][field])),
  ...(field === 'rate' ? { cpu: median(of(rounds, ours, 'cpuUs')), floorCpu: median(of(rounds, floor, 'cpuUs')) } : {}),
});

/** @typedef {{ id: string, metric: string, unit: string, ours: number, floor: number | null, ratio: number | null, goal?: number, atMost?: boolean }} Row */

/** The rows of the rounds. Goals are those of PERFORMANCE.md. @returns {Row[]} */
function roundRows(rounds, others) {
  const row = (id, metric, ours, floor, field, goal, atMost = false) => ({
    id,
    metric,
    unit: field === 'rate' ? '/s' : 'ms',
    ...pair(rounds, ours, floor, field),
    ...(goal === undefined ? {} : { goal, atMost }),
  });
  return [
    row('P1', 'sealed writes, 64 conn, many patients (seal of a ready draft)', 'seal/64', 'floor-write/64', 'rate', 0.7),
    row('P1', 'sealed writes, 64 conn, one hot patient', 'seal-hot/64', 'floor-write-hot/64', 'rate', 0.7),
    row('P1', 'draft + seal as a client sees it, 64 conn', 'draft+seal/64', 'floor-write/64', 'rate', 0.7),
    row('', 'draft alone, 64 conn', 'draft/64', 'floor-write/64', 'rate'),
    ...others.map((count) => row('', `sealed writes, ${count} conn`, `seal/${count}`, `floor-write/${count}`, 'rate')),
    row('P2', 'p99 of sealed writes, 64 conn', 'seal/64', 'floor-write/64', 'p99', 1, true),
    row('', 'p50 of sealed writes, 64 conn', 'seal/64', 'floor-write/64', 'p50'),
    row('', 'p99 of draft + seal, 64 conn', 'draft+seal/64', 'floor-write/64', 'p99'),
    row('P3', 'decrypted reads with trail, 64 conn', 'read/64', 'floor-read/64', 'rate', 0.6),
    ...others.map((count) => row('', `decrypted reads with trail, ${count} conn`, `read/${count}`, `floor-read/${count}`, 'rate')),
    row('', 'p99 of reads, 64 conn', 'read/64', 'floor-read/64', 'p99'),
    row('P4', 'trivial authenticated route (400 of validation) ÷ bare Fastify', 'invalid/64', 'bare/64', 'rate', 0.6),
    row('', 'role refused, on the trail (403) ÷ bare Fastify', 'refused/64', 'bare/64', 'rate'),
    row('', 'one-row route (GET /hospitals/:id, 200) ÷ bare Fastify', 'one-row/64', 'bare/64', 'rate'),
  ];
}

/** @returns {Row[]} */
function otherRows({ chain, audits, cold, loaded, statements, cores }) {
  const middle = (list, pick) => median(list.map(pick));
  const { rounds } = chain;
  const audited = audits.rounds;
  const rows = [
    {
      id: 'P5',
      metric: `audit of all chains and logs, hashes only, ${cores} threads ÷ raw SHA-256 of one`,
      unit: 'MB/s',
      ours: middle(audited, (r) => r.hashedMbPerS),
      floor: middle(audited, (r) => r.sha),
      ratio: middle(audited, (r) => r.hashedMbPerS / r.sha),
      goal: 0.25,
    },
    {
      id: 'P5',
      metric: `verification of ${chain.blocks} blocks with signatures ÷ raw SHA-256`,
      unit: 'MB/s',
      ours: middle(rounds, (r) => r.mbPerS),
      floor: middle(rounds, (r) => r.sha),
      ratio: middle(rounds, (r) => r.mbPerS / r.sha),
      goal: 0.25,
    },
    { id: 'P5', metric: 'RSS growth of the verification', unit: 'MB', ours: chain.rssGrowth, floor: null, ratio: null, limit: 64 },
    ...[
      [`verification of ${chain.blocks} blocks by the server, one thread`, rounds, (r) => r.blocksPerS],
      ['audit of all with signatures, contents closed', audited, (r) => r.signedPerS],
      ['audit of all with signatures and contents', audited, (r) => r.openedPerS],
    ].map(([metric, list, rate]) => ({
      id: 'P6',
      metric: `${metric} ÷ raw Ed25519 verifications × ${cores} cores`,
      unit: 'blocks/s',
      ours: middle(list, rate),
      floor: middle(list, (r) => r.ed25519) * cores,
      ratio: middle(list, (r) => rate(r) / (r.ed25519 * cores)),
      goal: 0.7,
    })),
    {
      id: 'P8',
      metric: 'cold start, database exists',
      unit: 'ms',
      ours: middle(cold, (r) => r.ours),
      floor: middle(cold, (r) => r.floor),
      ratio: middle(cold, (r) => r.ours / r.floor),
      goal: 3,
      atMost: true,
    },
    {
      id: 'P8',
      metric: 'RSS idle',
      unit: 'MB',
      ours: middle(cold, (r) => r.rss),
      floor: middle(cold, (r) => r.floorRss),
      ratio: null,
      limit: 130,
    },
    { id: 'P8', metric: 'RSS after the load', unit: 'MB', ours: loaded.ours, floor: loaded.floor, ratio: null, limit: 400 },
  ];
  for (const [name, { data, control }] of Object.entries(statements))
    rows.push({
      id: name === 'authentication' ? 'P4' : '',
      metric: `SQL statements: ${name} (+ ${control} BEGIN, SAVEPOINT, COMMIT …)`,
      unit: '',
      ours: data,
      floor: null,
      ratio: null,
      ...(name === 'authentication' ? { limit: 0 } : {}),
    });
  return rows;
}

export const rowsOf = (run) => [...roundRows(run.rounds, run.others), ...otherRows(run)];

const number = (value) =>
  value === null || value === undefined ? '' : value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));

function verdictOf({ ratio, goal, atMost, limit, ours }) {
  if (limit !== undefined) return { goal: `≤ ${limit}`, verdict: ours <= limit ? 'met' : 'MISSED' };
  if (goal === undefined) return { goal: '', verdict: '' };
  return { goal: `${atMost ? '≤' : '≥'} ${goal}`, verdict: (atMost ? ratio <= goal : ratio >= goal) ? 'met' : 'MISSED' };
}

/** @param {Row[]} rows */
export function table(rows) {
  const head = ['', 'metric', 'ours', 'floor', 'unit', 'ratio', 'goal', '', 'CPU µs ours/floor'];
  const lines = rows.map((row) => {
    const { goal, verdict } = verdictOf(row);
    const cpu = row.cpu ? `${number(row.cpu)} / ${number(row.floorCpu)}` : '';
    return [
      row.id,
      row.metric,
      number(row.ours),
      number(row.floor),
      row.unit,
      row.ratio === null ? '' : row.ratio.toFixed(3),
      goal,
      verdict,
      cpu,
    ];
  });
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column].length)));
  const numeric = new Set([2, 3, 5]);
  const text = (line) =>
    line.map((cell, column) => (numeric.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  ');
  return [text(head), widths.map((width) => '─'.repeat(width)).join('  '), ...lines.map(text)].map((line) => line.trimEnd()).join('\n');
}

/** The generator's share of all CPU time, from the least to the most of the measures. */
export function loadShares(rounds) {
  const names = Object.keys(rounds[0]);
  return Object.fromEntries(names.map((name) => [name, median(of(rounds, name, 'loadShare'))]));
}
