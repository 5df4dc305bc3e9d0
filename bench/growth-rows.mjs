/** What a growth run says: pure. */
import { number } from './report.mjs';
import { lastToFirst } from './statistics.mjs';

/**
 * @typedef {object} Point after a step
 * @property {number} records sealed so far
 * @property {number} rate seals a second
 * @property {number} p99 ms
 * @property {number} cpuUs of a seal
 * @property {number} floorRate sealed writes of the floor right after
 * @property {number} bytes of the database's pages that are in use
 * @property {number} rssMb of our server
 */

/**
 * What the steps up to a size say. Null when the run has not come that far.
 * @param {{ base: number, payload: number, points: readonly Point[] }} run `base`: bytes before the first record; `payload`: bytes of a record as it was sent
 * @param {number} size
 */
export function summaryOf({ base, payload, points }, size) {
  const until = points.findIndex(({ records }) => records >= size);
  if (until < 0) return null;
  const some = points.slice(0, until + 1);
  const { records, bytes, rssMb: rss } = some.at(-1);
  return {
    size,
    records,
    steps: some.length,
    rate: lastToFirst(some.map((point) => point.rate)),
    toFloor: lastToFirst(some.map((point) => point.rate / point.floorRate)),
    cpu: 1 / lastToFirst(some.map((point) => point.cpuUs)),
    p99: lastToFirst(some.map((point) => point.p99)),
    bytesPerRecord: (bytes - base) / records,
    payload,
    rssMb: rss,
  };
}

/** @returns {import('./report.mjs').Row[]} */
export function growthRows({ size, steps, rate, toFloor, cpu, p99, bytesPerRecord, payload, rssMb: rss }) {
  const row = (id, metric, ratio, more = {}) => ({
    id,
    metric: `${metric}, ${number(size)} records`,
    unit: '',
    ours: null,
    floor: null,
    ratio,
    ...more,
  });
  const tenths = `last tenth ÷ first tenth of ${steps} steps`;
  return [
    row('P7', `sealing rate as a share of the floor's, ${tenths}`, toFloor, { goal: 0.9, stretch: 1 }),
    row('', `sealing rate, ${tenths}`, rate),
    row('', `acts for the same CPU time, ${tenths}`, cpu),
    row('', `p99, ${tenths}`, p99),
    row('P7', `stored bytes ÷ payload bytes (${payload})`, bytesPerRecord / payload, {
      ours: bytesPerRecord,
      floor: payload,
      unit: 'bytes',
      goal: 2,
      stretch: 1.7,
      atMost: true,
    }),
    row('', 'RSS of the server', null, { ours: rss, unit: 'MB' }),
  ];
}
