import { parser } from '@prometheus-io/lezer-promql';
import { load } from 'js-yaml';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Metrics, metricsOf } from '../support/metrics';
import { createWorld, type World } from '../support/world';

/** Alert rules, dashboard and runbook fit the metrics of the server. */
const ROOT = join(__dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const docs = read('docs/operations.md');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { severity: string };
  readonly annotations: { summary: string; runbook: string };
}
const rules = (load(read('deploy/prometheus/alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}
const dashboard = JSON.parse(read('deploy/grafana/bjwt-ehr.json')) as { panels: Panel[]; templating: { list: { query: string }[] } };
// What Grafana puts in, as it would.
const queries = dashboard.panels
  .flatMap((panel) => panel.targets ?? [])
  .map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', '.+'));

/** Names of metrics in an expression, by the grammar of Prometheus. @throws Error where it is none */
function metricsIn(expression: string): string[] {
  const names: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ type, from, to, node }) => {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expression}`);
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector') names.push(expression.slice(from, to));
    },
  });
  return names;
}

/** Matchers `label="value"` of an expression whose values are no patterns. */
const exactLabels = (expression: string) =>
  [...expression.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => ({ label, value }));

describe('rules and dashboard fit the metrics', () => {
  let world: World;
  let metrics: Metrics;
  beforeAll(async () => {
    world = await createWorld();
    await world.anonymous.get('/auth/me');
    metrics = await metricsOf(world);
  }, 60_000);
  afterAll(() => world.close());

  /** On SQLite there are no pools: their metrics have help and type, but no series. */
  const exists = (name: string) =>
    name === 'up' || metrics.described.has(name) || metrics.described.has(name.replace(/_(bucket|sum|count)$/, ''));

  test('every expression is PromQL, and every metric in it is one of the server', () => {
    expect(rules.length).toBeGreaterThan(15);
    expect(queries.length).toBeGreaterThan(30);
    for (const expression of [...rules.map(({ expr }) => expr), ...queries]) {
      const names = metricsIn(expression);
      expect([expression, names.length > 0]).toEqual([expression, true]);
      for (const name of names) expect([name, exists(name)]).toEqual([name, true]);
    }
    for (const { query } of dashboard.templating.list) {
      const [, name] = /^label_values\((\w+), \w+\)$/.exec(query) ?? [];
      if (name !== undefined) expect([name, exists(name)]).toEqual([name, true]);
    }
    expect(() => metricsIn('sum(rate(a[5m])')).toThrow(/not PromQL/);
    expect(metricsIn('a / on (x) b{c="d"}')).toEqual(['a', 'b']);
  });

  test('labels and values in them exist', () => {
    const text = [...metrics.series.keys()].join('\n');
    const outside = ['job', 'instance'];
    const rare = ['5xx', 'limit', 'denied']; // nothing failed here, and SQLite has no pools
    for (const expression of [...rules.map(({ expr }) => expr), ...queries])
      for (const { label, value } of exactLabels(expression).filter((pair) => !outside.includes(pair.label) && !rare.includes(pair.value)))
        expect([expression, text.includes(`${label}="${value}"`)]).toEqual([expression, true]);
  });

  test('every metric of the server is on the dashboard or in a rule, and in docs/operations.md', () => {
    const used = new Set(
      [...rules.map(({ expr }) => expr), ...queries].flatMap(metricsIn).map((name) => name.replace(/_(bucket|sum|count)$/, '')),
    );
    const ours = [...metrics.described.keys()].filter((name) => /^(ehr|http)_/.test(name));
    for (const name of ours) expect([name, used.has(name), docs.includes(`\`${name}\``)]).toEqual([name, true, true]);
  });

  test('every alert says what it is, how bad, and where to read what to do', () => {
    for (const { alert, labels, annotations } of rules) {
      expect(['critical', 'warning', 'info']).toContain(labels.severity);
      expect(annotations.summary.length).toBeGreaterThan(10);
      expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
      expect([alert, docs.includes(`\n### ${alert}\n`)]).toEqual([alert, true]);
    }
    for (const [, heading = ''] of docs.matchAll(/^### (Ehr\w+)$/gm))
      expect([heading, rules.some(({ alert }) => alert === heading)]).toEqual([heading, true]);
  });
});
