import type { EntityManager } from 'typeorm';
import type { Policy } from '../ledger/core/policy';
import { LeafProver } from './leaf-prover';
import { LogEntity } from './tlog.entity';

/** The provers of one verification, by log: each is opened once, so that everything is proven under one checkpoint of a log. */
export class LogProvers {
  private readonly opened = new Map<number, ReturnType<typeof LeafProver.open>>();

  constructor(
    private readonly manager: EntityManager,
    private readonly policyFor: (origin: string) => Policy | null,
  ) {}

  /** As {@link LeafProver.open}; null also for a log that there is not, or whose key is not known. */
  of(logId: number): ReturnType<typeof LeafProver.open> {
    const known = this.opened.get(logId) ?? this.open(logId);
    this.opened.set(logId, known);
    return known;
  }

  private async open(logId: number): ReturnType<typeof LeafProver.open> {
    const log = await this.manager.getRepository(LogEntity).findOneBy({ id: logId });
    const policy = log && this.policyFor(log.origin);
    return policy && LeafProver.open(this.manager, log, policy);
  }
}
