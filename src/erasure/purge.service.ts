import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsNull } from 'typeorm';
import { Clock } from '../common/clock';
import { describeError, LOGS, type Logs } from '../common/logger';
import { Database } from '../database/database';
import { selectRows, updateRow } from '../database/rows';
import { ErasureEntity } from './erasure.entity';

/** Somebody reads an older state of the database: later. */
const AGAIN_MS = 30_000;
/** How long who approves an erasure waits for it. */
const WAIT_MS = 5_000;

/** After an erasure was committed, takes its bytes out of the files of the database, however often it takes; also what a stopped server left. */
@Injectable()
export class PurgeService implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private last: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    @Inject(LOGS) private readonly logs: Logs,
  ) {}

  onApplicationBootstrap(): Promise<void> {
    return this.run();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Resolves when it is done, or goes on without the caller: large tables take their time. Never throws: what was erased stays erased. */
  async run(): Promise<void> {
    this.last = this.last.then(() => this.once());
    await Promise.race([this.last, sleep(WAIT_MS, undefined, { ref: false })]);
  }

  /** What could not be purged now is tried again. */
  private async once(): Promise<void> {
    if (this.stopped) return;
    try {
      if (await this.purge()) return;
      this.logs.app.warn(
        {},
        'erased bytes are still in the files of the database: somebody reads an older state, or this role may not VACUUM',
      );
    } catch (error) {
      this.logs.app.error({ err: describeError(error) }, 'erased bytes could not be purged');
    }
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), AGAIN_MS);
    this.timer.unref();
  }

  private async purge(): Promise<boolean> {
    // Read first: what is executed later may be committed after the purge.
    const waiting = await this.database.reader
      .getRepository(ErasureEntity)
      .find({ where: { state: 'executed', purgedAt: IsNull() }, select: { id: true, decidedAt: true } });
    const since = Math.max(...waiting.map((row) => row.decidedAt ?? 0));
    if (waiting.length === 0) return true;
    if (!(await this.database.purge(since))) return false;
    const purgedAt = this.clock.now();
    const ids = waiting.map((row) => row.id);
    await this.database.transaction(async (tx) => {
      for (const row of await selectRows(tx, ErasureEntity, 'id', ids))
        if (row.purgedAt === null) await updateRow(tx, ErasureEntity, row, { purgedAt });
    });
    return true;
  }
}
