import { Inject, Injectable } from '@nestjs/common';
import {
  AggregatorRegistry,
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import { ApiError } from '../common/errors';
import { primary } from '../common/ipc';
import { CONFIG, type Config } from '../config/config';
import { Database } from '../database/database';
import { SOON } from '../database/executor';
import { LedgerStatusService } from '../ledger/ledger-status.service';
import { ConnectionsService } from './connections.service';

/** Metrics of one process, in the form in which processes hand them to each other. */
type Figures = MetricObjectWithValues<MetricValue<string>>[];

/** Whether the server can serve, and how it does. No label ever holds an id or a name. */
@Injectable()
export class HealthService {
  private readonly registry = new Registry();
  private readonly requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from request to answer',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });

  /** Sums over all logs: a label with a hospital would say too much. */
  private readonly ledgerGauges = {
    ehr_log_size: this.gauge('ehr_log_size', 'Leaves of all transparency logs'),
    ehr_log_pending: this.gauge('ehr_log_pending', 'Entries that wait for their place in a log'),
    ehr_log_signed_size: this.gauge('ehr_log_signed_size', 'Leaves under signed checkpoints'),
    ehr_log_halted: this.gauge('ehr_log_halted', 'Logs that take nothing until their operator acts'),
    ehr_scrub_findings: this.gauge('ehr_scrub_findings', 'What the scrub found that does not fit; 0 is good'),
  };
  private readonly scrubbed = new Counter({
    name: 'ehr_scrub_blocks_total',
    help: 'Blocks verified by the scrub',
    registers: [this.registry],
  });

  constructor(
    private readonly database: Database,
    private readonly ledger: LedgerStatusService,
    private readonly connections: ConnectionsService,
    @Inject(CONFIG) { cluster: { worker } }: Config,
  ) {
    if (worker !== null) this.registry.setDefaultLabels({ worker });
    primary?.handle('metrics', () => this.figures());
    collectDefaultMetrics({ register: this.registry });
    const rejected = new Counter({
      name: 'ehr_rejected_rows_total',
      help: 'Rows that this server did not write so, each counted once; 0 is good',
      registers: [this.registry],
    });
    database.onRejectedRow(() => rejected.inc());
  }

  /** @throws ApiError unavailable when the database does not answer, or the server ends */
  async check(): Promise<void> {
    if (this.connections.isEnding) throw new ApiError('unavailable', 'The server is ending');
    try {
      await this.database.reader.query('SELECT 1');
      await this.database.transaction((tx) => tx.query('SELECT 1'));
    } catch {
      throw new ApiError('unavailable', 'The database does not answer', SOON);
    }
  }

  /** Counts one answered request; `route` is the pattern, not the address. */
  observe(request: { method: string; route: string; status: number; seconds: number }): void {
    this.requests.observe({ method: request.method, route: request.route, status: String(request.status) }, request.seconds);
  }

  /** Of all workers of a cluster, whichever was asked, each under its label `worker`. */
  async metrics(): Promise<string> {
    const others = (await primary?.ask('metrics')) as Figures[] | undefined;
    const own = await this.figures();
    return others ? AggregatorRegistry.aggregate([own, ...others]).metrics() : this.registry.metrics();
  }

  private async figures(): Promise<Figures> {
    await this.readLedger();
    const figures = await this.registry.getMetricsAsJSON();
    // Values of two workers have different labels, so nothing is added up; the library would leave some metrics out.
    return figures.map((figure) => ({ ...figure, aggregator: 'sum' }));
  }

  private async readLedger(): Promise<void> {
    const { logs, scrub } = await this.ledger.figures();
    const sum = (of: (log: (typeof logs)[number]) => number) => logs.reduce((total, log) => total + of(log), 0);
    const gauges = this.ledgerGauges;
    gauges.ehr_log_size.set(sum((log) => log.size));
    gauges.ehr_log_pending.set(sum((log) => log.pending));
    gauges.ehr_log_signed_size.set(sum((log) => log.signedSize));
    gauges.ehr_log_halted.set(sum((log) => (log.halted === null ? 0 : 1)));
    gauges.ehr_scrub_findings.set(scrub.findings);
    this.scrubbed.reset();
    this.scrubbed.inc(scrub.blocks);
  }

  private gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.registry] });
  }
}
