import { statfs } from 'node:fs/promises';
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { version } from '../common/version';
import type { Config } from '../config/config';
import type { TraceExport } from '../config/config.module';
import type { PasswordHasher } from '../crypto/password-hasher';
import type { ConnectionsService } from './connections.service';
import { counter, gauge, setTotal } from './meters';

/** The process and the machine: connections, password hashes, room on the disks, and what Node says of itself (event loop, memory). */
export class ProcessMetrics {
  private readonly connections;
  private readonly requests;
  private readonly hashes;
  private readonly free;
  private readonly dropped;

  constructor(
    registry: Registry,
    private readonly edge: ConnectionsService,
    private readonly hasher: PasswordHasher,
    private readonly traces: TraceExport,
    private readonly config: Config,
  ) {
    collectDefaultMetrics({ register: registry });
    this.connections = gauge(registry, 'http_connections', 'Open connections of clients');
    this.requests = gauge(registry, 'http_requests_running', 'Requests that are not yet answered');
    this.hashes = new Gauge({
      name: 'ehr_password_hashes',
      help: 'Password hashes that are computed now, or wait for their turn',
      labelNames: ['state'] as const,
      registers: [registry],
    });
    this.free = new Gauge({
      name: 'ehr_disk_free_bytes',
      help: 'Room that is left for the data and the log files',
      labelNames: ['folder'] as const,
      registers: [registry],
    });
    this.dropped = counter(registry, 'ehr_trace_spans_dropped_total', 'Spans that no collector took');
    const build = new Gauge({
      name: 'ehr_build_info',
      help: 'Always 1; the labels say what runs',
      labelNames: ['version', 'node', 'database'] as const,
      registers: [registry],
    });
    build.set({ version, node: process.version, database: config.postgres ? 'postgres' : 'sqlite' }, 1);
  }

  async read(): Promise<void> {
    const { connections, requests } = this.edge.load;
    this.connections.set(connections);
    this.requests.set(requests);
    const { running, waiting } = this.hasher.load;
    this.hashes.set({ state: 'running' }, running);
    this.hashes.set({ state: 'waiting' }, waiting);
    setTotal(this.dropped, this.traces.exporter?.dropped ?? 0);
    await Promise.all([this.readRoom('data', this.config.dataDir), this.readRoom('logs', this.config.logDir)]);
  }

  /** A folder that is not there has no figure: on PostgreSQL there may be no data folder. */
  private async readRoom(folder: string, path: string): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(path);
      this.free.set({ folder }, bavail * bsize);
    } catch {
      this.free.remove({ folder });
    }
  }
}
