import { Gauge, Histogram, type Registry } from 'prom-client';
import type { Database } from '../database/database';
import { counter, gauge } from './meters';

/** How the database keeps up with the units of work. Commits are observed as they happen, all else when somebody asks. */
export class DatabaseMetrics {
  private readonly units;
  private readonly connections;
  private readonly waiting;

  constructor(
    registry: Registry,
    private readonly database: Database,
  ) {
    this.units = gauge(registry, 'ehr_units_pending', 'Units of work that wait or run');
    const size = new Histogram({
      name: 'ehr_commit_units',
      help: 'Units of work that became durable in one commit',
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers: [registry],
    });
    const duration = new Histogram({
      name: 'ehr_commit_duration_seconds',
      help: 'Time of a commit, from COMMIT until it is durable',
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.2, 1],
      registers: [registry],
    });
    const repeats = counter(
      registry,
      'ehr_unit_repeats_total',
      'Times that a unit of work ran again: it met another one, or has to run alone',
    );
    const rejected = counter(registry, 'ehr_rejected_rows_total', 'Rows that this server did not write so, each counted once; 0 is good');
    this.connections = new Gauge({
      name: 'ehr_database_connections',
      help: 'Connections of the PostgreSQL pools; limit is the most that a pool opens',
      labelNames: ['pool', 'state'] as const,
      registers: [registry],
    });
    this.waiting = new Gauge({
      name: 'ehr_database_connections_awaited',
      help: 'Who waits for a connection of a PostgreSQL pool',
      labelNames: ['pool'] as const,
      registers: [registry],
    });
    database.onRejectedRow(() => rejected.inc());
    database.onUnits({
      committed: (units, ms) => {
        size.observe(units);
        duration.observe(ms / 1000);
      },
      repeated: () => repeats.inc(),
    });
  }

  read(): void {
    const { units, pools } = this.database.load();
    this.units.set(units);
    for (const { name: pool, busy, idle, limit, waiting } of pools) {
      this.connections.set({ pool, state: 'busy' }, busy);
      this.connections.set({ pool, state: 'idle' }, idle);
      this.connections.set({ pool, state: 'limit' }, limit);
      this.waiting.set({ pool }, waiting);
    }
  }
}
