import { randomUUID } from 'node:crypto';
import type { EndedSpan } from './tracing';

/** Where spans go. */
export interface TraceSettings {
  /** The full address, `…/v1/traces`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly resource: Readonly<Record<string, string>>;
  /** Part of the traces that are recorded, 0 to 1. */
  readonly ratio: number;
}

/** The defaults of the OpenTelemetry specification for its batch processor. */
const MAX_QUEUE = 2_048;
const MAX_BATCH = 512;
const DELAY_MS = 5_000;
const TIMEOUT_MS = 10_000;
/** OTLP/HTTP, section Failures: what may be sent again. */
const RETRYABLE = [429, 502, 503, 504];
const KIND_INTERNAL = 1;
const KIND_SERVER = 2;
const STATUS_ERROR = 2;
const SAMPLED = 1;

type Value = string | number | boolean;

/** Attributes in the JSON form of OTLP (protobuf's: 64-bit integers as text). */
function attributesOf(values: object): object[] {
  return Object.entries(values as Record<string, Value>).map(([key, value]) => {
    if (typeof value === 'number') return { key, value: { intValue: String(value) } };
    return { key, value: typeof value === 'boolean' ? { boolValue: value } : { stringValue: value } };
  });
}

/** Nanoseconds as text, exact to the microsecond. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1_000)}000`;
}

function spanOf({ traceId, spanId, parentId, name, isServer, startMs, endMs, attributes, isFailed }: EndedSpan): object {
  return {
    traceId,
    spanId,
    ...(parentId !== null && { parentSpanId: parentId }),
    flags: SAMPLED,
    name,
    kind: isServer ? KIND_SERVER : KIND_INTERNAL,
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(endMs),
    attributes: attributesOf(attributes),
    ...(isFailed && { status: { code: STATUS_ERROR } }),
  };
}

/**
 * Sends spans to an OpenTelemetry collector, as JSON over HTTP (OTLP 1, `POST …/v1/traces`), in batches and beside the requests. A collector that does not answer
 * costs spans, never requests: what does not fit into the queue is dropped and counted.
 */
export class OtlpExporter {
  private readonly queue: EndedSpan[] = [];
  private readonly resource: object[];
  private readonly timer: NodeJS.Timeout;
  private sending: Promise<void> = Promise.resolve();
  private lost = 0;

  constructor(
    private readonly settings: TraceSettings,
    private readonly version: string,
  ) {
    const { serviceName, resource } = settings;
    const own = { 'service.name': serviceName, 'service.version': version, 'service.instance.id': randomUUID() };
    this.resource = attributesOf({ ...resource, ...own });
    this.timer = setInterval(() => void this.flush(), DELAY_MS).unref();
  }

  /** Spans that no collector got. */
  get dropped(): number {
    return this.lost;
  }

  record(span: EndedSpan): void {
    if (this.queue.length >= MAX_QUEUE) this.lost += 1;
    else if (this.queue.push(span) === MAX_BATCH) void this.flush();
  }

  /** Sends what there is, once, and no more. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.flush();
  }

  /** Resolves when what waits now was sent, or could not be. */
  private flush(): Promise<void> {
    return (this.sending = this.sending.then(() => this.sendAll()));
  }

  private async sendAll(): Promise<void> {
    let batch: EndedSpan[];
    do {
      batch = this.queue.slice(0, MAX_BATCH);
      const outcome = batch.length === 0 ? 'sent' : await this.send(batch);
      if (outcome === 'later') return;
      this.queue.splice(0, batch.length);
      if (outcome === 'never') this.lost += batch.length;
    } while (batch.length === MAX_BATCH);
  }

  private async send(batch: readonly EndedSpan[]): Promise<'sent' | 'later' | 'never'> {
    const scopeSpans = [{ scope: { name: 'bjwt-ehr', version: this.version }, spans: batch.map(spanOf) }];
    try {
      const { ok, status } = await fetch(this.settings.url, {
        method: 'POST',
        headers: { ...this.settings.headers, 'content-type': 'application/json' },
        body: JSON.stringify({ resourceSpans: [{ resource: { attributes: this.resource }, scopeSpans }] }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
        redirect: 'error', // the headers may hold a secret
      });
      return ok ? 'sent' : RETRYABLE.includes(status) ? 'later' : 'never';
    } catch {
      return 'later';
    }
  }
}
