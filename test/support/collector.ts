import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Attribute {
  readonly key: string;
  readonly value: { stringValue?: string; intValue?: string; boolValue?: boolean };
}

/** A span as OTLP writes it in JSON. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly flags: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly status?: { code: number };
}

/** An OpenTelemetry collector: a real HTTP server that takes OTLP in JSON. */
export interface Collector {
  readonly url: string;
  readonly spans: CollectedSpan[];
  readonly texts: string[];
  readonly requests: { path: string; headers: IncomingHttpHeaders }[];
  readonly resources: Attribute[][];
  /** What it answers from now on. */
  answer(status: number): void;
  close(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  let status = 200;
  const found: Pick<Collector, 'spans' | 'texts' | 'requests' | 'resources'> = { spans: [], texts: [], requests: [], resources: [] };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const text = Buffer.concat(parts).toString();
      found.requests.push({ path: `${request.method} ${request.url}`, headers: request.headers });
      if (status === 200) take(text);
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  const take = (text: string): void => {
    const { resourceSpans } = JSON.parse(text) as {
      resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: CollectedSpan[] }[] }[];
    };
    found.texts.push(text);
    for (const { resource, scopeSpans } of resourceSpans) {
      found.resources.push(resource.attributes);
      found.spans.push(...scopeSpans.flatMap(({ spans }) => spans));
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    ...found,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (next) => (status = next),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
