/** Medians and ratios: pure. A ratio is the median of the rounds' own ratios, never a ratio of two numbers that were measured far apart. */

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The value below which the share `q` lies, by nearest rank.
 * @param {readonly number[]} sorted ascending
 * @returns {number | null} null of nothing
 */
export const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? null;

/** CPU time of an act over all rounds, µs: of short rounds the sum is steadier than the median of each. Null where it was not measured. */
export function cpuOf(rounds, name) {
  const measures = rounds.map((round) => round[name]);
  if (measures.some(({ cpuUs }) => cpuUs === null || cpuUs === undefined)) return null;
  const acts = measures.reduce((sum, { count }) => sum + count, 0);
  return measures.reduce((sum, { cpuUs, count }) => sum + cpuUs * count, 0) / acts;
}

/**
 * One of our measures beside its yardstick.
 * @param {Record<string, Record<string, number | null>>[]} rounds measures by name, of each round
 */
export function pairOf(rounds, ours, floor, field) {
  const of = (name) => rounds.map((round) => round[name][field]);
  const pair = {
    ours: median(of(ours)),
    floor: median(of(floor)),
    ratio: median(rounds.map((round) => round[ours][field] / round[floor][field])),
  };
  return field === 'rate' ? { ...pair, cpu: cpuOf(rounds, ours), floorCpu: cpuOf(rounds, floor) } : pair;
}

/**
 * How a run went on: the median of the last tenth of its steps ÷ that of the first tenth; of fewer than twenty steps, the last one ÷ the first.
 * @param {readonly number[]} values in their order, at least one
 */
export function lastToFirst(values) {
  const tenth = Math.max(1, Math.floor(values.length / 10));
  return median(values.slice(-tenth)) / median(values.slice(0, tenth));
}
