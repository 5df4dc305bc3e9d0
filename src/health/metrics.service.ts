import { Inject, Injectable } from '@nestjs/common';
import { AggregatorRegistry, Histogram, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client';
import { AuditService } from '../audit/audit.service';
import type { ProblemCode } from '../common/errors';
import { primary } from '../common/ipc';
import { CONFIG, type Config } from '../config/config';
import { TraceExport } from '../config/config.module';
import { PasswordHasher } from '../crypto/password-hasher';
import { Database } from '../database/database';
import { LedgerStatusService } from '../ledger/ledger-status.service';
import { ConnectionsService } from './connections.service';
import { DatabaseMetrics } from './database-metrics';
import { LedgerMetrics } from './ledger-metrics';
import { counter } from './meters';
import { ProcessMetrics } from './process-metrics';

/** Metrics of one process, in the form in which processes hand them to each other. */
type Figures = MetricObjectWithValues<MetricValue<string>>[];

/** One answered request; `route` is the pattern, not the address. */
export interface AnsweredRequest {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  /** Why it was refused. */
  readonly problem?: ProblemCode | undefined;
}

/** What a monitor asks for, in the words of Prometheus (docs/operations.md). No label ever holds an id or a name, and all labels have few values. */
@Injectable()
export class MetricsService {
  private readonly registry = new Registry();
  private readonly requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from request to answer',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });
  private readonly problems = counter(this.registry, 'ehr_problems_total', 'Refused and failed requests by the code of the answer', [
    'code',
  ]);
  private readonly failures = counter(this.registry, 'ehr_metrics_errors_total', 'Times that figures could not be read from the database');
  private readonly areas: readonly { read(): void | Promise<void> }[];

  constructor(
    database: Database,
    ledger: LedgerStatusService,
    connections: ConnectionsService,
    hasher: PasswordHasher,
    audit: AuditService,
    traces: TraceExport,
    @Inject(CONFIG) config: Config,
  ) {
    const { registry } = this;
    const { worker } = config.cluster;
    if (worker !== null) registry.setDefaultLabels({ worker });
    primary?.handle('metrics', () => this.figures());
    const rows = counter(registry, 'ehr_trail_rows_total', 'Rows that this process put on the trail', ['action', 'outcome']);
    audit.onRow((action, outcome) => rows.inc({ action, outcome }));
    this.areas = [
      new ProcessMetrics(registry, connections, hasher, traces, config),
      new DatabaseMetrics(registry, database),
      new LedgerMetrics(registry, ledger),
    ];
  }

  /** Counts one request. Statuses by their class; which of them it was, the problem says. */
  observe({ method, route, status, seconds, problem }: AnsweredRequest): void {
    this.requests.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, seconds);
    if (problem !== undefined) this.problems.inc({ code: problem });
  }

  /** Of all workers of a cluster, whichever was asked, each under its label `worker`. */
  async metrics(): Promise<string> {
    const others = (await primary?.ask('metrics')) as Figures[] | undefined;
    if (others) return AggregatorRegistry.aggregate([await this.figures(), ...others]).metrics();
    await this.read();
    return this.registry.metrics();
  }

  private async figures(): Promise<Figures> {
    await this.read();
    const figures = await this.registry.getMetricsAsJSON();
    // Values of two workers have different labels, so nothing is added up; the library would leave some metrics out.
    return figures.map((figure) => ({ ...figure, aggregator: 'sum' }));
  }

  /** What cannot be read keeps its last value: when the database does not answer, the rest is needed most. */
  private async read(): Promise<void> {
    for (const area of this.areas)
      try {
        await area.read();
      } catch {
        this.failures.inc();
      }
  }
}
