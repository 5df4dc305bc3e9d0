import { Injectable } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import { type EntityManager, LessThanOrEqual } from 'typeorm';
import { Clock } from '../common/clock';
import { insertRow, selectRows, updateRow } from '../database/rows';
import { PendingProofEntity } from './second-factor.entity';

/** How long the server waits for a second step. */
export const PENDING_MS = 5 * 60_000;
const TRIES = 5;

/** Proofs that the server waits for: each once, for five minutes, and given up after five wrong ones. */
@Injectable()
export class PendingProofs {
  constructor(private readonly clock: Clock) {}

  /** @param token what its bearer shows again; only its hash is kept */
  async add(
    tx: EntityManager,
    token: string,
    proof: Pick<PendingProofEntity, 'purpose' | 'accountId' | 'sessionId' | 'challenge'>,
  ): Promise<void> {
    const now = this.clock.now();
    await tx.getRepository(PendingProofEntity).delete({ expiresAt: LessThanOrEqual(now) });
    await insertRow(tx, PendingProofEntity, { ...proof, hash: hashOf(token), failures: 0, expiresAt: now + PENDING_MS });
  }

  async find(manager: EntityManager, token: string, purpose: PendingProofEntity['purpose']): Promise<PendingProofEntity | null> {
    const [row] = await selectRows(manager, PendingProofEntity, 'hash', [hashOf(token)]);
    return row?.purpose === purpose && row.expiresAt > this.clock.now() ? row : null;
  }

  /** Uses it up. False when somebody else just did. */
  async spend(tx: EntityManager, { hash }: PendingProofEntity): Promise<boolean> {
    return (await tx.getRepository(PendingProofEntity).delete({ hash })).affected === 1;
  }

  async fail(tx: EntityManager, row: PendingProofEntity): Promise<void> {
    const failures = row.failures + 1;
    if (failures < TRIES) await updateRow(tx, PendingProofEntity, row, { failures });
    else await tx.getRepository(PendingProofEntity).delete({ hash: row.hash });
  }
}

/** 256 random bits. */
export function newChallenge(): Buffer {
  return randomBytes(32);
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
