import { Injectable } from '@nestjs/common';
import { Database } from '../database/database';
import { type LogStatus, LogStatusService } from '../tlog/log-status.service';
import type { LedgerStatusResponse } from './ledger.dto';
import { AuthorKeyEntity, BlockEntity, ChainEntity } from './ledger.entity';
import { ScrubService, type ScrubProgress } from './scrub.service';
import { trailStatus } from './trail-batches';

/** What is sealed, logged and read again, for those who run the server. */
@Injectable()
export class LedgerStatusService {
  constructor(
    private readonly database: Database,
    private readonly logs: LogStatusService,
    private readonly scrub: ScrubService,
  ) {}

  async status(): Promise<LedgerStatusResponse> {
    const { reader } = this.database;
    const count = (entity: typeof ChainEntity | typeof BlockEntity | typeof AuthorKeyEntity) => reader.getRepository(entity).count();
    const [chains, blocks, authorKeys] = [await count(ChainEntity), await count(BlockEntity), await count(AuthorKeyEntity)];
    return { chains, blocks, authorKeys, trail: await trailStatus(reader), logs: await this.logs.all(), scrub: this.scrub.progress() };
  }

  /** The same in numbers without names, for a monitor; cheap. */
  async figures(): Promise<{ readonly logs: readonly Omit<LogStatus, 'witnesses'>[]; readonly scrub: ScrubProgress }> {
    return { logs: await this.logs.plain(), scrub: this.scrub.progress() };
  }
}
