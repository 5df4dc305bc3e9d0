import { Injectable } from '@nestjs/common';
import type { Actor } from '../common/actor';
import { Database } from '../database/database';
import { type LogStatus, LogStatusService } from '../tlog/log-status.service';
import type { LedgerStatusResponse } from './ledger.dto';
import { AuthorKeyEntity, BlockEntity, ChainEntity, KeyEventEntity } from './ledger.entity';
import { ScrubService, type ScrubProgress } from './scrub.service';
import { trailFigures, trailStatus } from './trail-batches';

/** How the ledger is doing, for a monitor. Instants in ms. */
export interface LedgerFigures {
  readonly logs: readonly Omit<LogStatus, 'witnesses'>[];
  /** Since the checkpoint of the log that is furthest behind; 0 when every entry is under one. */
  readonly lagMs: number;
  readonly scrub: ScrubProgress;
  readonly trail: { readonly batches: number; readonly lastAt: number; readonly open: number };
}

/** What is sealed, logged and read again, for those who run the server. */
@Injectable()
export class LedgerStatusService {
  constructor(
    private readonly database: Database,
    private readonly logs: LogStatusService,
    private readonly scrub: ScrubService,
  ) {}

  /** Chains, keys and logs are those of the caller's hospital; whoever belongs to none, the founder and the auditor, sees all. */
  async status({ hospitalId }: Pick<Actor, 'hospitalId'>): Promise<LedgerStatusResponse> {
    const { reader } = this.database;
    const [chains, blocks, authorKeys] = await this.counts(hospitalId);
    const logs = await this.logs.all(hospitalId);
    return { chains, blocks, authorKeys, trail: await trailStatus(reader), logs, scrub: this.scrub.progress() };
  }

  private async counts(hospitalId: string | null): Promise<[chains: number, blocks: number, authorKeys: number]> {
    const { reader } = this.database;
    const chains = reader.createQueryBuilder(ChainEntity, 'row');
    const blocks = reader.createQueryBuilder(BlockEntity, 'row');
    const keys = reader.createQueryBuilder(AuthorKeyEntity, 'row');
    if (hospitalId !== null) {
      chains.where('row.hospitalId = :hospitalId', { hospitalId });
      blocks.innerJoin(ChainEntity, 'c', 'c.chainId = row.chainId AND c.hospitalId = :hospitalId', { hospitalId });
      // A key belongs to an account; which hospitals' logs name it, its events say.
      keys.where((query) => {
        const named = query.subQuery().select('1').from(KeyEventEntity, 'e').where('e.kid = row.kid AND e.hospitalId = :hospitalId');
        return `EXISTS ${named.getQuery()}`;
      });
      keys.setParameters({ hospitalId });
    }
    return [await chains.getCount(), await blocks.getCount(), await keys.getCount()];
  }

  /** The same in numbers without names, for a monitor; cheap. */
  async figures(): Promise<LedgerFigures> {
    const { newest, open } = await trailFigures(this.database.reader);
    return {
      logs: await this.logs.plain(),
      lagMs: await this.logs.lagMs(),
      scrub: this.scrub.progress(),
      trail: { batches: newest?.number ?? 0, lastAt: newest?.madeAt ?? 0, open },
    };
  }
}
