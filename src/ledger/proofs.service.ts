import { Injectable } from '@nestjs/common';
import { Database } from '../database/database';
import { selectRows } from '../database/rows';
import { type LoggedEntry, type Proven, TlogService } from '../tlog/tlog.service';
import { BlockEntity, ChainEntity } from './ledger.entity';

/** Connects blocks with the log: receipts, and waiting for them. */
@Injectable()
export class ProofsService {
  constructor(
    private readonly database: Database,
    private readonly tlog: TlogService,
  ) {}

  /** @throws ApiError `invalid_request` when nothing could ever be proven that far: said before something is sealed */
  assertOffered(wait: Proven): void {
    this.tlog.assertOffered(wait);
  }

  /** Waits until a block is proven as far as asked; null when time was up before it was logged. The block stays sealed in any case. */
  async settle(recordId: string, blockHash: string, wait: Proven): Promise<LoggedEntry | null> {
    if (wait === 'sealed') return null;
    const { reader } = this.database;
    const hash = Buffer.from(blockHash, 'hex');
    const block = (await selectRows(reader, BlockEntity, 'recordId', [recordId])).find((row) => row.blockHash.equals(hash));
    const [chain] = block ? await selectRows(reader, ChainEntity, 'chainId', [block.chainId]) : [];
    return block && chain ? this.tlog.settle(chain.hospitalId, hash, wait, block.header) : null;
  }
}
