import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { type EntityManager, In, LessThan } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { newId } from '../common/ids';
import { RawJson, stringifyExact } from '../common/raw-json';
import { CryptoError } from '../crypto/crypto-error';
import { KeyRing, vaultKey } from '../crypto/key-ring.service';
import type { Vault } from '../crypto/vault';
import { Database } from '../database/database';
import { AccountEntity } from './account.entity';
import { accountSubject } from './accounts.service';
import { IdempotencyEntity } from './idempotency.entity';

const KEPT_MS = 24 * 3_600_000;
const PAGE = 200;

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
    const { digest } = actor.idempotency;
    // A client chooses its keys, and may make them of a name or a number: the clear text is not kept.
    const key = createHash('sha256').update(actor.idempotency.key).digest('base64url');
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

  /**
   * Erasure: drops the kept answers of a hospital's people that name one of these ids, and all those of accounts with such an id. What was kept is a
   * day's answers at most. A retry of such a request is a new one.
   */
  async forget(tx: EntityManager, hospitalId: string, ids: readonly string[]): Promise<void> {
    const repository = tx.getRepository(IdempotencyEntity);
    for (let after = ''; ;) {
      const rows = await repository
        .createQueryBuilder('i')
        .innerJoin(AccountEntity, 'a', 'a.id = i.accountId')
        .where('a.hospitalId = :hospitalId AND i.id > :after', { hospitalId, after })
        .orderBy('i.id')
        .limit(PAGE)
        .getMany();
      const subjects = rows.map((row) => accountSubject({ id: row.accountId, hospitalId }));
      const vaults = await this.keyRing.existingVaults(tx, subjects);
      const named = rows.filter((row, index) => {
        const vault = subjects[index] && vaults.get(vaultKey(subjects[index]));
        return ids.includes(row.accountId) || names(vault, row, ids);
      });
      if (named.length > 0) await repository.delete({ id: In(named.map((row) => row.id)) });
      const last = rows.at(-1);
      if (!last || rows.length < PAGE) return;
      after = last.id;
    }
  }
}

/** Whether an answer names one of these ids; one that does not open is taken to. */
function names(vault: Vault | undefined, row: IdempotencyEntity, ids: readonly string[]): boolean {
  if (!vault) return true;
  try {
    const text = vault.open('idempotency.response', row.id, row.response);
    return ids.some((id) => text.includes(id));
  } catch (error) {
    if (error instanceof CryptoError) return true;
    throw error;
  }
}
