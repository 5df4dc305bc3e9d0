import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

/** All names of spans that are not requests. The list is closed, so that no name can carry what somebody typed. */
export type SpanName = 'database.unit' | 'database.wait' | 'database.work' | 'database.commit' | 'access.decide' | 'log.publish';

/** All attributes. Values are of closed vocabularies (methods, route patterns, actions) or numbers: never an id, a name, an address or a header (SEC-88). */
export interface SpanAttributes {
  'http.request.method'?: string;
  'http.route'?: string;
  'http.response.status_code'?: number;
  'ehr.action'?: string;
  'ehr.permitted'?: boolean;
}

/** A span that has ended. Ids in lower-case hex, instants in ms since the epoch with fractions. */
export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly isServer: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: SpanAttributes;
  readonly isFailed: boolean;
}

/** Who asked, in another process (W3C Trace Context). */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const current = new AsyncLocalStorage<Span>();
const nowMs = (): number => performance.timeOrigin + performance.now();

/** A stretch of time in the work on one request. */
export class Span {
  private readonly spanId = randomBytes(8).toString('hex');
  private readonly startMs = nowMs();
  private readonly attributes: SpanAttributes = {};
  private hasEnded = false;

  constructor(
    private readonly record: (span: EndedSpan) => void,
    private readonly name: string,
    readonly traceId: string,
    private readonly parentId: string | null,
    private readonly isServer = false,
  ) {}

  /** A span below this one, which is not current. */
  begin(name: SpanName): Span {
    return new Span(this.record, name, this.traceId, this.spanId);
  }

  set(attributes: SpanAttributes): void {
    Object.assign(this.attributes, attributes);
  }

  /** Runs `work` with this span as the current one. */
  within<T>(work: () => T): T {
    return current.run(this, work);
  }

  /** Only the first call counts. `name`: a better one than that of its beginning. */
  end(isFailed = false, name = this.name): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    const { traceId, spanId, parentId, isServer, startMs, attributes } = this;
    this.record({ traceId, spanId, parentId, name, isServer, startMs, endMs: nowMs(), attributes, isFailed });
  }

  /** Runs `work` within this span, and ends it. */
  async around<T>(work: (span: Span) => Promise<T>): Promise<T> {
    try {
      const value = await this.within(() => work(this));
      this.end();
      return value;
    } catch (error) {
      this.end(true);
      throw error;
    }
  }
}

export function currentSpan(): Span | undefined {
  return current.getStore();
}

/** Runs `work` as a span below the current one; where none is, nothing is measured. */
export function inSpan<T>(name: SpanName, work: (span?: Span) => Promise<T>): Promise<T> {
  const parent = current.getStore();
  return parent ? parent.begin(name).around(work) : work();
}

/** Begins traces, or does not: what is off or not sampled costs nothing below it. */
export class Tracer {
  /** @param ratio part of the traces that are recorded, 0 to 1; `record` null turns tracing off */
  constructor(
    private readonly record: ((span: EndedSpan) => void) | null,
    private readonly ratio = 1,
  ) {}

  get isOn(): boolean {
    return this.record !== null;
  }

  /** The span of a request; with a parent, the parent's decision counts. Null when this trace is not recorded. */
  beginRequest(name: string, parent: TraceParent | null): Span | null {
    const traceId = parent?.traceId ?? randomBytes(16).toString('hex');
    if (!this.record || !(parent ? parent.isSampled : this.samples(traceId))) return null;
    return new Span(this.record, name, traceId, parent?.spanId ?? null, true);
  }

  /** Runs work that nobody asked for as a trace of its own. */
  background<T>(name: SpanName, work: () => Promise<T>): Promise<T> {
    const traceId = randomBytes(16).toString('hex');
    return this.record && this.samples(traceId) ? new Span(this.record, name, traceId, null).around(work) : work();
  }

  /** By the last 52 bits of the id, which are random (W3C Trace Context, section 2.2.2): whoever samples so decides the same. */
  private samples(traceId: string): boolean {
    return parseInt(traceId.slice(-13), 16) / 2 ** 52 < this.ratio;
  }
}

const TRACEPARENT = /^([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads the header `traceparent` (W3C Trace Context); null for what is none. */
export function parseTraceParent(header: unknown): TraceParent | null {
  const [, version, traceId, spanId, flags, more] = (typeof header === 'string' ? TRACEPARENT.exec(header) : null) ?? [];
  if (traceId === undefined || spanId === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null;
  return { traceId, spanId, isSampled: (parseInt(flags ?? '', 16) & 1) === 1 };
}
