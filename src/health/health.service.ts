import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { ApiError } from '../common/errors';
import { Database } from '../database/database';

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

  constructor(private readonly database: Database) {
    collectDefaultMetrics({ register: this.registry });
  }

  /** @throws ApiError unavailable when the database does not answer */
  async check(): Promise<void> {
    try {
      await this.database.reader.query('SELECT 1');
      await this.database.transaction((tx) => tx.query('SELECT 1'));
    } catch {
      throw new ApiError('unavailable', 'The database does not answer');
    }
  }

  /** Counts one answered request; `route` is the pattern, not the address. */
  observe(request: { method: string; route: string; status: number; seconds: number }): void {
    this.requests.observe({ method: request.method, route: request.route, status: String(request.status) }, request.seconds);
  }

  metrics(): Promise<string> {
    return this.registry.metrics();
  }
}
