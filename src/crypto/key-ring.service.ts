import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import { CryptoError } from './crypto-error';
import { DataKeyRow } from './data-key.entity';
import { KekRow } from './kek.entity';
import { verifyKeyChecks } from './key-check';
import { createWrapped, dekBinding, kekBinding, KeyWrapper, unwrap } from './key-wrap';
import { type DataRoots, ROOT_KEYS } from './root-keys';
import { type Subject, Vault } from './vault';

const CACHED_KEYS = 10_000;
const CACHED_FOR_MS = 5 * 60_000;

/** A data key with the KEK it is wrapped by, as the query gives them. */
interface Found {
  dekId: string;
  subjectId: string;
  tenantId: string;
  kekVersion: number;
  wrapped: Buffer;
  state: DataKeyRow['state'];
  kekWrapped: Buffer | null;
}

/** The key of a subject in the answer of `existingVaults`. Different subjects have different keys, whatever their ids contain. */
export function vaultKey(subject: Subject): string {
  return JSON.stringify([subject.tenantId, subject.subjectId]);
}

/**
 * Finds, makes and unwraps the keys of subjects: root → KEK per hospital and version → data key per subject.
 *
 * Unwrapped keys are cached (10,000, 5 minutes), but only those read outside a transaction. A key made or seen inside one may vanish with its
 * rollback; were it cached, later writes would be sealed under a key that is stored nowhere, and lost for ever. (This relies on reads outside
 * a transaction never seeing what another one has not committed: on SQLite, `src/database` must not share one connection between requests.)
 */
@Injectable()
export class KeyRing {
  readonly #vaults = new LRUCache<string, Vault>({ max: CACHED_KEYS, ttl: CACHED_FOR_MS });
  /** By the wrapped bytes and what they are bound to. Unwrapping is a pure function of these, so a rollback cannot make an entry wrong. */
  readonly #keks = new LRUCache<string, KeyWrapper>({ max: 1000, ttl: CACHED_FOR_MS });

  /** Keys that were destroyed lately: a request that read one just before must not put it back into the cache. */
  readonly #gone = new LRUCache<string, true>({ max: CACHED_KEYS, ttl: CACHED_FOR_MS });

  #committed: EntityManager | undefined;

  constructor(@Inject(ROOT_KEYS) private readonly keys: DataRoots) {}

  /** Gives a connection that sees committed data only; with it, keys needed inside transactions are cached too. */
  readCommittedFrom(reader: EntityManager): void {
    this.#committed = reader;
  }

  /**
   * The vault of a subject. Inside a transaction a missing key is made, in that transaction; use the vault only there.
   * @throws CryptoError `key_missing` (outside a transaction), `key_destroyed`, `key_rejected`, `bad_context`
   */
  async vault(manager: EntityManager, subject: Subject): Promise<Vault> {
    const cached = this.#vaults.get(vaultKey(subject));
    if (cached) return cached;
    for (const source of this.#sources(manager)) {
      const [found] = await this.#find(source, [subject]);
      if (!found) continue;
      const vault = this.#open(found);
      if (!isInTransaction(source)) this.#remember(subject, vault);
      return vault;
    }
    if (!isInTransaction(manager)) throw new CryptoError('key_missing');
    return this.#create(manager, subject);
  }

  /**
   * The vaults of those subjects that have a key, by `vaultKey`; subjects without one, or whose key was destroyed, are absent.
   * One query for all that are not cached; at most 10,000 subjects (databases limit the parameters of a statement).
   * @throws CryptoError `key_rejected`
   */
  async existingVaults(manager: EntityManager, subjects: readonly Subject[]): Promise<Map<string, Vault>> {
    const vaults = new Map<string, Vault>();
    const missing = new Map<string, Subject>();
    for (const subject of subjects) {
      const cached = this.#vaults.get(vaultKey(subject));
      if (cached) vaults.set(vaultKey(subject), cached);
      else missing.set(vaultKey(subject), subject);
    }
    if (missing.size === 0) return vaults;
    for (const found of await this.#find(manager, [...missing.values()])) {
      if (found.state !== 'active' || !missing.has(vaultKey(found))) continue;
      const vault = this.#open(found);
      vaults.set(vaultKey(found), vault);
      if (!isInTransaction(manager)) this.#remember(found, vault);
    }
    return vaults;
  }

  /**
   * Erasure, to be called inside a transaction: overwrites the wrapped key. Call `forget` after the commit, on every instance; a request that
   * came before the commit may have read the key.
   */
  async destroy(manager: EntityManager, subject: Subject): Promise<void> {
    if (!isInTransaction(manager)) throw new CryptoError('key_missing');
    const { subjectId, tenantId } = subject;
    await manager.update(DataKeyRow, { subjectId, tenantId }, { state: 'destroyed', wrapped: Buffer.alloc(64) });
    this.forget(subject);
  }

  /** Drops the cached key of a subject, and caches it no more until what read it meanwhile is over. */
  forget(subject: Subject): void {
    this.#gone.set(vaultKey(subject), true);
    this.#vaults.delete(vaultKey(subject));
  }

  /**
   * At start-up, before any request: every KEK must unwrap under the root key, and the three keys must be those of the first start (whose
   * check values are written here when the database is still empty).
   * @throws CryptoError `wrong_root_key`, `wrong_index_key`, `wrong_pepper_key`, `wrong_ledger_key`, `key_check_missing`
   */
  async verifyRoot(manager: EntityManager): Promise<void> {
    const keks = await manager.createQueryBuilder(KekRow, 'kek').getMany();
    for (const { tenantId, version, wrapped } of keks) {
      try {
        this.#openKek(tenantId, version, wrapped);
      } catch (error) {
        throw error instanceof CryptoError && error.code === 'key_rejected' ? new CryptoError('wrong_root_key') : error;
      }
    }
    await verifyKeyChecks(manager, this.keys, keks.length === 0);
  }

  #remember(subject: Subject, vault: Vault): void {
    if (!this.#gone.has(vaultKey(subject))) this.#vaults.set(vaultKey(subject), vault);
  }

  /** Where to look for a key: inside a transaction first among what is committed, for only that may be cached. */
  #sources(manager: EntityManager): EntityManager[] {
    return this.#committed && isInTransaction(manager) ? [this.#committed, manager] : [manager];
  }

  #find(manager: EntityManager, subjects: readonly Subject[]): Promise<Found[]> {
    const key = manager
      .createQueryBuilder(DataKeyRow, 'dek')
      .leftJoin(KekRow, 'kek', 'kek.tenantId = dek.tenantId AND kek.version = dek.kekVersion');
    key.select('kek.wrapped', 'kekWrapped');
    for (const column of ['dekId', 'subjectId', 'tenantId', 'kekVersion', 'wrapped', 'state']) key.addSelect(`dek.${column}`, column);
    return key
      .where('dek.tenantId IN (:...tenants)', { tenants: [...new Set(subjects.map((subject) => subject.tenantId))] })
      .andWhere('dek.subjectId IN (:...ids)', { ids: [...new Set(subjects.map((subject) => subject.subjectId))] })
      .getRawMany<Found>();
  }

  #open(found: Found): Vault {
    if (found.state !== 'active') throw new CryptoError('key_destroyed');
    if (found.kekWrapped === null) throw new CryptoError('key_rejected');
    const kek = this.#openKek(found.tenantId, found.kekVersion, found.kekWrapped);
    const key = unwrap(kek, dekBinding(found.dekId, found, found.kekVersion), found.wrapped);
    if (key.id.toString('hex') !== found.dekId) throw new CryptoError('key_rejected'); // key commitment
    return new Vault(key, found);
  }

  #openKek(tenantId: string, version: number, wrapped: Buffer): KeyWrapper {
    const name = `${tenantId}/${version}/${wrapped.toString('base64')}`;
    let kek = this.#keks.get(name);
    if (!kek) this.#keks.set(name, (kek = new KeyWrapper(unwrap(this.keys.root, kekBinding(tenantId, version), wrapped))));
    return kek;
  }

  /** Insert, or take the one that another transaction inserted first: the unique constraint decides. */
  async #create(manager: EntityManager, subject: Subject): Promise<Vault> {
    const { subjectId, tenantId } = subject;
    const { kek, version } = await this.#currentKek(manager, tenantId);
    const { id, wrapped } = createWrapped(kek, (dekId) => dekBinding(dekId, subject, version));
    const row: DataKeyRow = { dekId: id, subjectId, tenantId, kekVersion: version, wrapped, state: 'active', createdAt: Date.now() };
    await manager.createQueryBuilder().insert().into(DataKeyRow).values(row).orIgnore().updateEntity(false).execute();
    const [found] = await this.#find(manager, [subject]);
    if (!found) throw new CryptoError('key_missing');
    return this.#open(found);
  }

  async #currentKek(manager: EntityManager, tenantId: string): Promise<{ kek: KeyWrapper; version: number }> {
    const latest = () =>
      manager
        .createQueryBuilder(KekRow, 'kek')
        .where('kek.tenantId = :tenantId', { tenantId })
        .orderBy('kek.version', 'DESC')
        .limit(1)
        .getOne();
    let row = await latest();
    if (!row) {
      const { wrapped } = createWrapped(this.keys.root, () => kekBinding(tenantId, 1));
      const first: KekRow = { tenantId, version: 1, wrapped, createdAt: Date.now() };
      await manager.createQueryBuilder().insert().into(KekRow).values(first).orIgnore().updateEntity(false).execute();
      row = await latest();
    }
    if (!row) throw new CryptoError('key_missing');
    return { kek: this.#openKek(tenantId, row.version, row.wrapped), version: row.version };
  }
}

function isInTransaction(manager: EntityManager): boolean {
  return manager.queryRunner?.isTransactionActive === true;
}
