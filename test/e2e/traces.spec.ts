import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHART_ACTIONS } from '../../src/audit/actions';
import { OtlpExporter } from '../../src/common/otlp';
import { parseTraceParent, Tracer } from '../../src/common/tracing';
import { readConfig } from '../../src/config/config';
import { Database } from '../../src/database/database';
import { type CollectedSpan, type Collector, startCollector } from '../support/collector';
import { sendRaw } from '../support/raw-http';
import { startTestApp } from '../support/test-app';
import { createWorld, draftDiagnosis, type World } from '../support/world';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const from = (flags: string) => ({ traceparent: `00-${TRACE}-${SPAN}-${flags}`, tracestate: 'x=canary-state' });

let collector: Collector;
beforeAll(async () => {
  collector = await startCollector();
});
afterAll(() => collector.close());

const settings = (more: Record<string, string> = {}) => ({
  OTEL_ENABLED: 'true',
  OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
  ...more,
});
const named = (name: string) => collector.spans.filter((span) => span.name === name);
const below = (parent: CollectedSpan | undefined, name: string) =>
  collector.spans.filter((span) => span.name === name && span.parentSpanId === parent?.spanId);
const attributes = (span: CollectedSpan | undefined) =>
  Object.fromEntries((span?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]));

describe('traces of a day at the hospital', () => {
  let world: World;
  let log = '';
  const secrets: string[] = [];
  beforeAll(async () => {
    world = await createWorld(
      settings({
        TRUSTED_PROXIES: '127.0.0.0/8',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=the%20test',
        OTEL_SERVICE_NAME: 'ehr-a',
      }),
    );
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id, 'canary-note');
    await world.doctorA.api.post(`/records/${draft}/seal`);
    await world.doctorA.api.get(`/patients?q=canary-query`);
    await world.doctorB.api.get(`/patients/${world.patientA.id}`);
    for (const path of ['//health/live', '//health/ready', '//metrics']) await world.anonymous.get(path);
    await Promise.all(Array.from({ length: 12 }, () => draftDiagnosis(world.doctorA, world.patientA.id)));
    const authorization = `Bearer ${world.doctorA.api.token}`;
    await sendRaw(world.url, {
      path: `/api/v1/records/${draft}`,
      headers: { ...from('01'), authorization, baggage: 'user=canary-baggage', 'user-agent': 'canary-agent' },
    });
    await sendRaw(world.url, { path: '/api/v1/hospitals', headers: from('00') });
    await sendRaw(world.url, { path: '/api/v1/hospitals?canary-address', headers: { traceparent: 'canary-parent' } });
    await sendRaw(world.url, { path: '/api/v1/canary/path' });
    jest.spyOn(world.app.get(Database), 'beside').mockRejectedValueOnce(new Error('canary-error'));
    await world.doctorA.api.post(`/records/${draft}/seal`);
    secrets.push(
      draft,
      world.patientA.id,
      world.doctorA.id,
      world.hospitalA.id,
      world.doctorA.username,
      world.doctorA.api.token ?? '-',
      '127.0.0.1',
    );
    await world.app.close(); // what was recorded is sent
    log = readFileSync(join(world.dir, 'logs', 'ehr.log'), 'utf8');
  }, 60_000);
  afterAll(() => world.close());

  test('OTLP over HTTP in JSON: the address, the content type, ids, instants, the resource', () => {
    expect(new Set(collector.requests.map(({ path, headers }) => `${path} ${headers['content-type']}`))).toEqual(
      new Set(['POST /v1/traces application/json']),
    );
    for (const span of collector.spans) {
      expect(span).toMatchObject({
        traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
        spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
        flags: 1,
      });
      const [start, end] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)];
      expect(end >= start).toBe(true);
      expect(Math.abs(Number(start / 1_000_000n) - Date.now())).toBeLessThan(600_000);
    }
    const resource = Object.fromEntries((collector.resources[0] ?? []).map(({ key, value }) => [key, value.stringValue]));
    expect(resource).toMatchObject({ 'service.name': 'ehr-a', 'service.version': '0.1.0', 'deployment.environment.name': 'the test' });
  });

  test('a request: its span by the pattern of its route, with the decision and the unit of work below it', () => {
    const seal = named('POST /api/v1/records/:id/seal').find((span) => attributes(span)['http.response.status_code'] === '201');
    expect(seal?.kind).toBe(2);
    expect(attributes(seal)).toEqual({
      'http.request.method': 'POST',
      'http.route': '/api/v1/records/:id/seal',
      'http.response.status_code': '201',
    });
    const [unit] = below(seal, 'database.unit');
    for (const part of ['database.wait', 'database.commit']) expect([part, below(unit, part).length]).toEqual([part, 1]);
    // On PostgreSQL a unit that has to be alone learns it in its first run.
    const runs = below(unit, 'database.work');
    expect(runs.map(({ status }) => status?.code)).toEqual(world.foundations.config.postgres ? [2, undefined] : [undefined]);
    const [decision] = below(runs.at(-1), 'access.decide');
    expect(attributes(decision)).toEqual({ 'ehr.action': 'record.seal', 'ehr.permitted': true });
    const [wait, work, commit] = ['database.wait', 'database.work', 'database.commit'].map((part) => below(unit, part).at(-1));
    expect(BigInt(wait?.endTimeUnixNano ?? 0) <= BigInt(work?.startTimeUnixNano ?? 0)).toBe(true);
    expect(BigInt(work?.endTimeUnixNano ?? 0) <= BigInt(commit?.startTimeUnixNano ?? 0) + 1_000_000n).toBe(true);
  });

  test('a refusal is a decision that says so', () => {
    expect(named('access.decide').map((span) => attributes(span)['ehr.permitted'])).toContain(false);
    const actions = new Set<unknown>(CHART_ACTIONS);
    for (const span of named('access.decide')) expect(actions.has(attributes(span)['ehr.action'])).toBe(true);
  });

  test('requests of one moment share a commit, and each has its own spans in its own trace', () => {
    for (const request of named('POST /api/v1/patients/:id/diagnoses')) {
      const [unit] = below(request, 'database.unit');
      const work = below(unit, 'database.work').at(-1);
      expect([unit?.traceId, work?.traceId, below(work, 'access.decide').length]).toEqual([request.traceId, request.traceId, 1]);
    }
    expect(new Set(named('POST /api/v1/patients/:id/diagnoses').map(({ traceId }) => traceId)).size).toBe(13);
  });

  test('what the log publisher does is a trace of its own, and none where it had nothing to do', () => {
    expect(named('log.publish').length).toBeGreaterThan(0);
    for (const span of named('log.publish')) {
      expect(span.parentSpanId).toBeUndefined();
      expect(below(span, 'database.unit').length).toBeGreaterThan(0);
    }
  });

  test('traceparent of a proxy in front is followed, with its word on sampling; what is none is not', () => {
    const [child] = named('GET /api/v1/records/:id').filter(({ traceId }) => traceId === TRACE);
    expect(child?.parentSpanId).toBe(SPAN);
    expect(collector.spans.filter(({ traceId, name }) => traceId === TRACE && name.includes('/hospitals'))).toEqual([]);
    expect(named('GET /api/v1/hospitals').length).toBe(1);
  });

  test('what failed is marked, what was refused is not; monitors are not traced', () => {
    const seals = named('POST /api/v1/records/:id/seal').map((span) => [attributes(span)['http.response.status_code'], span.status?.code]);
    expect(seals).toContainEqual(['500', 2]);
    expect(seals).toContainEqual(['201', undefined]);
    expect(collector.spans.filter(({ name }) => /health|metrics/.test(name))).toEqual([]);
  });

  test('SEC-88 no name and no attribute holds an id, a person, an address or what a client sent', () => {
    const text = collector.texts.join('\n');
    expect(text).not.toMatch(/canary|Ayşe|Yılmaz|10000000146/);
    for (const secret of secrets) expect([secret, text.includes(secret)]).toEqual([secret, false]);
    const keys = new Set(collector.spans.flatMap((span) => span.attributes.map(({ key }) => key)));
    expect([...keys].sort()).toEqual(['ehr.action', 'ehr.permitted', 'http.request.method', 'http.response.status_code', 'http.route']);
    expect(text.replace(/"service.instance.id","value":\{"stringValue":"[^"]*"\}/g, '')).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-/);
  });

  test('the log file leads from a trace to its request', () => {
    const lines = log
      .split('\n')
      .filter((line) => line.includes(TRACE))
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([expect.objectContaining({ traceId: TRACE, route: '/api/v1/records/:id', requestId: expect.any(String) })]);
  });
});

test("a stranger's traceparent counts for nothing", async () => {
  collector.spans.length = 0;
  const app = await startTestApp(settings());
  await sendRaw(app.url, { path: '/api/v1/hospitals', headers: from('01') });
  await sendRaw(app.url, { path: '/api/v1/hospitals', headers: from('00') });
  await app.close();
  expect(named('GET /api/v1/hospitals').length).toBe(2);
  expect(collector.spans.filter(({ traceId, parentSpanId }) => traceId === TRACE || parentSpanId === SPAN)).toEqual([]);
});

test('off by default: nothing is recorded, sent or opened', async () => {
  collector.requests.length = 0;
  const app = await startTestApp({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  await app.anonymous.get('/hospitals');
  expect(app.app.get(Tracer).isOn).toBe(false);
  await app.close();
  expect(collector.requests).toEqual([]);
});

test('a part of the traces is recorded, whole ones', async () => {
  collector.spans.length = 0;
  const app = await startTestApp(
    settings({
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.5',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YTpi,x-tenant=a',
    }),
  );
  for (let i = 0; i < 80; i += 1) await app.anonymous.get('/hospitals');
  await app.close();
  const { length } = named('GET /api/v1/hospitals');
  expect(length).toBeGreaterThan(5);
  expect(length).toBeLessThan(75);
  expect(collector.requests.at(-1)?.headers).toMatchObject({ authorization: 'Basic YTpi', 'x-tenant': 'a' });
});

describe('a collector that fails', () => {
  const traces = { headers: {}, serviceName: 's', resource: {}, ratio: 1 };
  const fill = (exporter: OtlpExporter, spans: number) => {
    const tracer = new Tracer((span) => exporter.record(span));
    for (let i = 0; i < spans; i += 1) tracer.beginRequest('GET /', null)?.end();
  };

  test('one that refuses loses spans, which are counted; one that is busy gets them later; the queue ends somewhere', async () => {
    collector.spans.length = 0;
    const exporter = new OtlpExporter({ ...traces, url: `${collector.url}/v1/traces` }, '0');
    collector.answer(400);
    fill(exporter, 10);
    await exporter.close();
    expect(exporter.dropped).toBe(10);
    collector.answer(503);
    fill(exporter, 3_000);
    await exporter.close();
    expect([exporter.dropped, collector.spans.length]).toEqual([10 + 3_000 - 2_048, 0]);
    collector.answer(200);
    await exporter.close();
    expect([exporter.dropped, collector.spans.length]).toEqual([10 + 3_000 - 2_048, 2_048]);
  });

  test('one that is not there holds up neither requests nor the end of the server', async () => {
    const app = await startTestApp(settings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }));
    expect((await app.anonymous.get('/hospitals')).status).toBe(200);
    await app.close();
  });
});

test('wrong settings stop the start, without their values', () => {
  const wrong: Record<string, string>[] = [
    { OTEL_ENABLED: 'canary' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'canary' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://canary' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'canary' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'a=%canary' },
    { OTEL_RESOURCE_ATTRIBUTES: '=canary' },
    { OTEL_TRACES_SAMPLER: 'canary' },
    { OTEL_TRACES_SAMPLER_ARG: '1.1' },
    { OTEL_TRACES_SAMPLER_ARG: 'canary' },
    { OTEL_SERVICE_NAME: ' ' },
  ];
  for (const env of wrong) {
    const start = () => readConfig({ OTEL_ENABLED: 'true', ...env });
    expect(start).toThrow(new RegExp(`^${Object.keys(env)[0]}: `));
    expect(start).not.toThrow(/canary/);
  }
});

test('W3C Trace Context: what a traceparent may look like', () => {
  const parent = { traceId: TRACE, spanId: SPAN };
  expect(parseTraceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ ...parent, isSampled: true });
  expect(parseTraceParent(`00-${TRACE}-${SPAN}-02`)).toEqual({ ...parent, isSampled: false });
  expect(parseTraceParent(`01-${TRACE}-${SPAN}-03-more`)).toEqual({ ...parent, isSampled: true });
  for (const wrong of [
    undefined,
    ['x'],
    '',
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-1`,
    ` 00-${TRACE}-${SPAN}-01`,
  ])
    expect([wrong, parseTraceParent(wrong)]).toEqual([wrong, null]);
});
