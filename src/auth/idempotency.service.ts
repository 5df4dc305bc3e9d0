import { Injectable } from '@nestjs/common';
import { type EntityManager, LessThan } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { newId } from '../common/ids';
import { RawJson, stringifyExact } from '../common/raw-json';
import { KeyRing } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { accountSubject } from './accounts.service';
import { IdempotencyEntity } from './idempotency.entity';

const KEPT_MS = 24 * 3_600_000;

/** Makes a retried POST have one effect: the answer is stored, sealed, in the transaction of the act itself. */
@Injectable()
export class IdempotencyService {
  constructor(
    private readonly database: Database,
    private readonly keyRing: KeyRing,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** `database.transaction` for a creating act of an actor. */
  transaction<T>(actor: Actor, work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.database.transaction((tx) => this.once(tx, actor, () => work(tx)));
  }

  /**
   * Runs `work`, or gives the answer that it gave when the same key was used before, which is an act of its own on the trail (SEC-95). The answer must
   * be plain JSON. A one-time code in it is given again: a lost answer is what the key is for, and the code, kept sealed, ends with its first use.
   */
  async once<T>(tx: EntityManager, actor: Actor, work: () => Promise<T>): Promise<T> {
    if (!actor.idempotency) return work();
    const { key, digest } = actor.idempotency;
    const repository = tx.getRepository(IdempotencyEntity);
    const now = this.clock.now();
    await repository.delete({ createdAt: LessThan(now - KEPT_MS) });
    const vault = await this.keyRing.vault(tx, accountSubject(actor));
    const earlier = await repository.findOneBy({ accountId: actor.id, key });
    if (earlier) {
      if (!earlier.digest.equals(digest)) throw new ApiError('idempotency_key_reused');
      await this.audit.append(tx, {
        action: 'request.replay',
        outcome: 'ok',
        actor,
        requestId: actor.requestId,
        hospitalId: actor.hospitalId,
      });
      actor.idempotency.replayed = true;
      // The exact text of the first answer, for the reply serialiser; nothing between here and there looks inside.
      return new RawJson(vault.open('idempotency.response', earlier.id, earlier.response)) as T;
    }
    const answer = await work();
    const id = newId(now);
    await repository.insert({
      id,
      accountId: actor.id,
      key,
      digest,
      response: vault.seal('idempotency.response', id, stringifyExact(answer)),
      createdAt: now,
    });
    return answer;
  }
}
