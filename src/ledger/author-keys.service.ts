import { Injectable } from '@nestjs/common';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import type { Actor } from '../common/actor';
import { accountSubject } from '../auth/accounts.service';
import { Clock } from '../common/clock';
import { KeyRing } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { b64u } from './core/bytes';
import { decodeHeader } from './core/header';
import { checkPublicJwk, type PublicJwk, thumbprint } from './core/jwk';
import { AuthorKeyEntity } from './ledger.entity';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

/** Keys in server custody: this server signs in the author's name when the author seals. That cannot stop a malicious operator; client custody can. */
@Injectable()
export class AuthorKeysService {
  private readonly signing = new LRUCache<string, SigningKey>({ max: 2_000, ttl: 10 * 60_000 });

  /** Account by thumbprint. A registered key never changes hands, so this is remembered. */
  private readonly owners = new LRUCache<string, string>({ max: 10_000 });

  constructor(
    private readonly database: Database,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {}

  /** The actor's key; made at the first seal. Remembered only after the commit: a rolled-back key must never sign. */
  async of(tx: EntityManager, actor: Actor): Promise<SigningKey> {
    const known = this.signing.get(actor.id);
    if (known) return known;
    const vault = await this.keyRing.vault(tx, accountSubject(actor));
    const row = await tx.getRepository(AuthorKeyEntity).findOneBy({ accountId: actor.id });
    const key = row
      ? {
          kid: row.kid,
          privateKey: createPrivateKey({
            key: vault.openBytes('account.signing_key', row.kid, row.privateKey),
            format: 'der',
            type: 'pkcs8',
          }),
        }
      : await this.create(tx, actor);
    this.database.afterCommit(() => this.signing.set(actor.id, key));
    return key;
  }

  /** Drops a signing key from memory: its account was erased. */
  forget(accountId: string): void {
    this.signing.delete(accountId);
  }

  /** Whose keys attest these blocks: the account of the key that a header (274 bytes) names, or null. */
  async accounts(manager: EntityManager, headers: readonly Buffer[]): Promise<(header: Buffer) => string | null> {
    const kidOf = (header: Buffer) => b64u(decodeHeader(header).authorKeyId);
    const kids = [...new Set(headers.map(kidOf))];
    const missing = kids.filter((kid) => !this.owners.has(kid));
    if (missing.length > 0) {
      const rows = await manager
        .createQueryBuilder(AuthorKeyEntity, 'k')
        .select(['k.kid', 'k.accountId'])
        .where('k.kid IN (:...missing)', { missing })
        .getMany();
      for (const { kid, accountId } of rows) this.owners.set(kid, accountId);
    }
    return (header) => this.owners.get(kidOf(header)) ?? null;
  }

  private async create(tx: EntityManager, actor: Actor): Promise<SigningKey> {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const jwk = checkPublicJwk(publicKey.export({ format: 'jwk' }));
    const kid = b64u(thumbprint(jwk));
    const vault = await this.keyRing.vault(tx, accountSubject(actor));
    const sealed = vault.seal('account.signing_key', kid, privateKey.export({ format: 'der', type: 'pkcs8' }));
    await tx
      .getRepository(AuthorKeyEntity)
      .insert({ kid, accountId: actor.id, x: jwk.x, custody: 'server', privateKey: sealed, createdAt: this.clock.now() });
    return { kid, privateKey };
  }
}

/** Looks registered public keys up by thumbprint, for a verifier. */
export async function authorKeyDirectory(manager: EntityManager): Promise<(kid: string) => PublicJwk | undefined> {
  const rows = await manager.createQueryBuilder(AuthorKeyEntity, 'k').select(['k.kid', 'k.x']).getMany();
  const keys = new Map<string, PublicJwk>(rows.map(({ kid, x }) => [kid, { kty: 'OKP', crv: 'Ed25519', x }]));
  return (kid) => keys.get(kid);
}
