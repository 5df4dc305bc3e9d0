import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { IsNull, MoreThanOrEqual } from 'typeorm';
import { Clock } from '../common/clock';
import { describeError, LOGS, type Logs } from '../common/logger';
import { KeyRing } from '../crypto/key-ring.service';
import type { Subject } from '../crypto/vault';
import { Database } from '../database/database';
import { LedgerErasureService } from '../ledger/ledger-erasure.service';
import { ErasureEntity } from './erasure.entity';

const POLL_MS = 1_000;
/** Looked at again each time: another process may commit later than it decided, and by another clock. */
const OVERLAP_MS = 60_000;

/** Drops the keys of erased patients from the memory of every process: at once where the news arrives, within a second where it does not. */
@Injectable()
export class ErasedKeysService implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  /** What was decided before was looked at: also by one who was cut off for long. */
  private seenUntil: number;

  constructor(
    private readonly database: Database,
    private readonly keyRing: KeyRing,
    private readonly ledgerErasure: LedgerErasureService,
    private readonly clock: Clock,
    @Inject(LOGS) private readonly logs: Logs,
  ) {
    this.seenUntil = clock.now();
  }

  onApplicationBootstrap(): void {
    const look = () => {
      this.look().catch((error: unknown) => this.logs.app.error({ err: describeError(error) }, 'erasures cannot be read'));
    };
    this.database.peers.onTold(({ about }) => about === 'erased' && look());
    this.timer = setInterval(look, POLL_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** After the commit that destroyed the patient's key. */
  forget(subject: Subject): void {
    this.drop(subject);
    this.database.peers.tell({ about: 'erased' });
  }

  private drop(subject: Subject): void {
    this.keyRing.forget(subject);
    this.ledgerErasure.forgetSigner(subject.subjectId);
  }

  private async look(): Promise<void> {
    const now = this.clock.now();
    const erased = await this.database.reader.getRepository(ErasureEntity).find({
      where: { decidedAt: MoreThanOrEqual(this.seenUntil - OVERLAP_MS), state: 'executed', recordId: IsNull() },
      select: { id: true, patientId: true, hospitalId: true },
    });
    for (const { patientId, hospitalId } of erased) this.drop({ subjectId: patientId, tenantId: hospitalId });
    this.seenUntil = now;
  }
}
