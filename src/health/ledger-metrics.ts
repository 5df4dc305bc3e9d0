import type { Registry } from 'prom-client';
import type { LedgerFigures, LedgerStatusService } from '../ledger/ledger-status.service';
import { counter, gauge, setTotal } from './meters';

const seconds = (ms: number): number => ms / 1000;

/** How far logs, trail and scrub have come. Sums over all logs: a label with a hospital would say too much. */
export class LedgerMetrics {
  private readonly size;
  private readonly pending;
  private readonly signedSize;
  private readonly halted;
  private readonly lag;
  private readonly scrubBlocks;
  private readonly scrubFindings;
  private readonly scrubProgress;
  private readonly scrubbedAt;
  private readonly trailBatches;
  private readonly trailAt;
  private readonly trailOpen;

  constructor(
    registry: Registry,
    private readonly ledger: LedgerStatusService,
  ) {
    this.size = gauge(registry, 'ehr_log_size', 'Leaves of all transparency logs');
    this.pending = gauge(registry, 'ehr_log_pending', 'Entries that wait for their place in a log');
    this.signedSize = gauge(registry, 'ehr_log_signed_size', 'Leaves under signed checkpoints');
    this.halted = gauge(registry, 'ehr_log_halted', 'Logs that take nothing until their operator acts');
    this.lag = gauge(
      registry,
      'ehr_log_lag_seconds',
      'Age of the newest checkpoint of the log that is furthest behind; 0 when all is signed',
    );
    this.scrubBlocks = counter(registry, 'ehr_scrub_blocks_total', 'Blocks verified by the scrub');
    this.scrubFindings = gauge(registry, 'ehr_scrub_findings', 'What the scrub found that does not fit; 0 is good');
    this.scrubProgress = gauge(registry, 'ehr_scrub_progress_ratio', 'Part of the chains that this pass of the scrub has read');
    this.scrubbedAt = gauge(
      registry,
      'ehr_scrub_last_pass_timestamp_seconds',
      'When the scrub last read everything; 0 when this process never did',
    );
    this.trailBatches = counter(registry, 'ehr_trail_batches_total', 'Batches of the trail in the logs');
    this.trailAt = gauge(
      registry,
      'ehr_trail_last_batch_timestamp_seconds',
      'When the newest batch of the trail was made; 0 before the first',
    );
    this.trailOpen = gauge(registry, 'ehr_trail_open_rows', 'Rows of the trail that are in no batch yet');
  }

  async read(): Promise<void> {
    const { logs, lagMs, scrub, trail } = await this.ledger.figures();
    this.setLogs(logs);
    this.lag.set(seconds(lagMs));
    setTotal(this.scrubBlocks, scrub.blocks);
    this.scrubFindings.set(scrub.findings);
    this.scrubProgress.set(scrub.chains === 0 ? 0 : scrub.chainsDone / scrub.chains);
    this.scrubbedAt.set(scrub.lastCompletedAt === null ? 0 : seconds(Date.parse(scrub.lastCompletedAt)));
    setTotal(this.trailBatches, trail.batches);
    this.trailAt.set(seconds(trail.lastAt));
    this.trailOpen.set(trail.open);
  }

  private setLogs(logs: LedgerFigures['logs']): void {
    const sum = (of: (log: (typeof logs)[number]) => number) => logs.reduce((total, log) => total + of(log), 0);
    this.size.set(sum((log) => log.size));
    this.pending.set(sum((log) => log.pending));
    this.signedSize.set(sum((log) => log.signedSize));
    this.halted.set(sum((log) => (log.halted === null ? 0 : 1)));
  }
}
