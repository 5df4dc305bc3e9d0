import { filled } from '../document.mjs';
import { summaryOf } from '../growth-rows.mjs';
import { optionsOf, PARTS } from '../options.mjs';
import { roundRows, verdictOf } from '../report.mjs';
import { cpuOf, lastToFirst, median, pairOf, quantile } from '../statistics.mjs';
import { lineChart, ticksOf } from '../svg.mjs';

describe('statistics', () => {
  test('median: the middle one, or the mean of the two in the middle; numbers are not sorted as text', () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  test('quantile: by nearest rank, never past the end, null of nothing', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(quantile(hundred, 0.99)).toBe(100);
    expect(quantile(hundred, 0.5)).toBe(51);
    expect(quantile([7], 1)).toBe(7);
    expect(quantile([], 0.5)).toBeNull();
  });

  test('a ratio is the median of the rounds’ own ratios: one round on a slow machine does not change it', () => {
    const round = (ours: number, floor: number) => ({
      ours: { rate: ours, count: 1, cpuUs: 2 },
      floor: { rate: floor, count: 1, cpuUs: 1 },
    });
    const pair = pairOf([round(50, 100), round(5, 10), round(60, 100)], 'ours', 'floor', 'rate');
    expect(pair).toEqual({ ours: 50, floor: 100, ratio: 0.5, cpu: 2, floorCpu: 1 });
  });

  test('CPU time of an act: over all acts, so that a long round counts more; null where it was not measured', () => {
    const rounds = [{ seal: { cpuUs: 100, count: 300 } }, { seal: { cpuUs: 200, count: 100 } }];
    expect(cpuOf(rounds, 'seal')).toBe(125);
    expect(cpuOf([...rounds, { seal: { cpuUs: null, count: 1 } }], 'seal')).toBeNull();
  });

  test('growth: the median of the last tenth ÷ that of the first tenth, so that one disturbed step does not count', () => {
    const steps = Array.from({ length: 30 }, (_, index): number => (index < 15 ? 4 : 2));
    expect(lastToFirst(steps)).toBe(0.5);
    expect(lastToFirst(steps.with(0, 1000).with(29, 0.001))).toBe(0.5);
    expect(lastToFirst([10, 1, 5])).toBe(0.5);
    expect(lastToFirst([8])).toBe(1);
  });
});

describe('options', () => {
  test('all parts, or those that are named; what is wrong is said', () => {
    expect([...optionsOf([]).parts]).toEqual(Object.keys(PARTS));
    expect([...optionsOf(['--only', 'read,seal', '--quick']).parts]).toEqual(['read', 'seal']);
    expect([...optionsOf(['--log']).parts]).toEqual(['log']);
    expect(() => optionsOf(['--only', 'sael'])).toThrow('there is no sael');
    expect(() => optionsOf(['10000'])).toThrow('what is 10000?');
    expect(() => optionsOf(['--only', 'seal', '--report'])).toThrow('whole run');
    expect(() => optionsOf(['--qick'])).toThrow();
  });

  test('growth: sizes from small to large', () => {
    expect(optionsOf(['--growth', '100000,10000']).sizes).toEqual([10_000, 100_000]);
    expect(() => optionsOf(['--growth', '10'])).toThrow('from 1000');
    expect(() => optionsOf(['--growth', 'many'])).toThrow('from 1000');
  });
});

describe('report', () => {
  test('verdicts: a goal is reached from its side; a row without a ratio is judged by itself', () => {
    const row = { id: '', metric: '', unit: '', ours: 70, floor: null };
    expect(verdictOf({ ...row, ratio: 0.7, goal: 0.7, stretch: 1.1 })).toEqual({ goal: '≥ 0.7 · 1.1', verdict: 'met' });
    expect(verdictOf({ ...row, ratio: 0.69, goal: 0.7, stretch: 1.1 }).verdict).toBe('MISSED');
    expect(verdictOf({ ...row, ratio: 0.4, goal: 1, stretch: 0.5, atMost: true }).verdict).toBe('stretch');
    expect(verdictOf({ ...row, ratio: 1.2, goal: 1, stretch: 0.5, atMost: true }).verdict).toBe('MISSED');
    expect(verdictOf({ ...row, ratio: null, goal: 64, atMost: true }).verdict).toBe('MISSED');
    expect(verdictOf({ ...row, ratio: 0.1 })).toEqual({ goal: '', verdict: '' });
  });

  test('only what was measured has a row', () => {
    const measure = { rate: 10, p50: 1, p99: 2, count: 5, cpuUs: 3 };
    const rows = roundRows([{ 'read/64': measure, 'floor-read/64': { ...measure, rate: 20 }, 'seal/64': measure }]);
    expect(rows.map(({ id, ratio }) => [id, ratio])).toEqual([
      ['P3', 0.5],
      ['', 1],
    ]);
    expect(roundRows([])).toEqual([]);
  });

  test('growth: what stands up to a size; nothing of a size that was not reached', () => {
    const point = (records: number, rate: number) => ({
      records,
      rate,
      floorRate: rate * 2,
      cpuUs: 100,
      p99: 5,
      bytes: 1000 + records * 2000,
      rssMb: 200,
    });
    const state = { base: 1000, payload: 1000, points: [point(1000, 10), point(2000, 20), point(3000, 5)] };
    expect(summaryOf(state, 2000)).toMatchObject({ records: 2000, steps: 2, rate: 2, toFloor: 1, cpu: 1, bytesPerRecord: 2000 });
    expect(summaryOf(state, 4000)).toBeNull();
  });

  test('the document: what stands between the marks is replaced, and nothing else', () => {
    const text = 'a <!-- bench:x -->old<!-- /bench:x --> b';
    expect(filled(text, 'x', 'new')).toBe('a <!-- bench:x -->\n\nnew\n\n<!-- /bench:x --> b');
    expect(() => filled(text, 'y', 'new')).toThrow('marks of y');
  });
});

describe('picture', () => {
  test('ticks are round and reach the greatest value', () => {
    expect(ticksOf(100)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(ticksOf(1_000_000)).toEqual([0, 200_000, 400_000, 600_000, 800_000, 1_000_000]);
    expect(ticksOf(0.7)).toEqual([0, 0.2, 0.4, 0.6, 0.8]);
    expect(ticksOf(0)).toEqual([0]);
    for (const greatest of [1, 7, 33, 101, 9_999]) {
      const ticks = ticksOf(greatest);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(greatest);
      expect(ticks.length).toBeLessThanOrEqual(7);
    }
  });

  test('each series is one line; the greatest value is at the top, names are escaped', () => {
    const points: [number, number][] = [
      [0, 0],
      [50, 100],
      [100, 50],
    ];
    const svg = lineChart({ title: 'a < b & "c"', x: 'x', y: 'y', series: [{ name: 'one', points }] });
    expect(svg).toContain('<title>a &#60; b &#38; &#34;c&#34;</title>');
    expect(/points="([^"]+)"/.exec(svg)?.[1]).toBe('70,308 403,44 736,176');
    expect(svg.match(/<polyline/g)).toHaveLength(1);
    expect(svg).not.toContain('NaN');
  });
});
