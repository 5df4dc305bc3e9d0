import type { TestApp } from './test-app';

/** What `/metrics` says. */
export interface Metrics {
  /** Series, as `name{label="value"}` with the labels in the order of the text, and their values. */
  readonly series: ReadonlyMap<string, number>;
  /** Type and help of each metric. */
  readonly described: ReadonlyMap<string, { type: string; help: string }>;
  /** Sum over all series of this name whose labels are these; 0 when there is none. */
  sum(name: string, labels?: Record<string, string>): number;
}

/** Reads the text format of Prometheus, version 0.0.4. */
export function parseMetrics(text: string): Metrics {
  const series = new Map<string, number>();
  const described = new Map<string, { type: string; help: string }>();
  for (const line of text.split('\n')) {
    const [, kind = '', name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind) described.set(name, { ...(described.get(name) ?? { type: '', help: '' }), [kind.toLowerCase()]: rest });
    const [, key, value] = /^([a-z_]\w*(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (key !== undefined) series.set(key, Number(value));
  }
  return {
    series,
    described,
    sum(name, labels = {}) {
      let total = 0;
      for (const [key, value] of series) {
        const isNamed = key === name || key.startsWith(`${name}{`);
        if (isNamed && Object.entries(labels).every(([label, text]) => key.includes(`${label}="${text}"`))) total += value;
      }
      return total;
    },
  };
}

export async function metricsOf(app: TestApp): Promise<Metrics> {
  return parseMetrics((await app.anonymous.get('//metrics')).text);
}
