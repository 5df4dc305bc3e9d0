import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import { Clock } from '../common/clock';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { updateRows } from '../database/rows';
import type { AccountEntity } from './account.entity';
import { accountSubject } from './accounts.service';
import type { SecondFactorDto, SecondFactorResponse } from './factor.dto';
import { FactorStore } from './factor-store';
import { newChallenge, PENDING_MS, PendingProofs } from './pending-proofs.service';
import { type PendingProofEntity, RecoveryCodeEntity, SecondFactorEntity } from './second-factor.entity';
import { stepOfCode } from './totp';
import { WebauthnService } from './webauthn.service';

/** A second factor that was proved, to be used up in the transaction of the sign-in. */
export type FactorProof =
  | { readonly amr: 'otp' | 'hwk'; readonly factorId: string; readonly from: number; readonly to: number }
  | { readonly amr: 'otp'; readonly recoveryHash: Buffer };

/** Asks for a second factor, and checks it. */
@Injectable()
export class FactorProofs {
  constructor(
    private readonly database: Database,
    private readonly store: FactorStore,
    private readonly pendings: PendingProofs,
    private readonly webauthn: WebauthnService,
    private readonly keyRing: KeyRing,
    private readonly blindIndex: BlindIndex,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** What somebody whose password is right is asked for next; null when there is no second factor. */
  async ask(tx: EntityManager, account: AccountEntity, replaces: string | null, requestId: string): Promise<SecondFactorResponse | null> {
    const factors = await this.store.of(tx, account);
    if (factors.length === 0) return null;
    const mfaToken = `mfa_${randomBytes(32).toString('base64url')}`;
    const challenge = newChallenge();
    await this.pendings.add(tx, mfaToken, { purpose: 'login', accountId: account.id, sessionId: replaces, challenge });
    const { id: subjectId, hospitalId } = account;
    await this.audit.append(tx, { action: 'login.password', outcome: 'ok', actor: account, requestId, subjectId, hospitalId });
    const keys = factors.flatMap(({ credentialId }) => credentialId ?? []);
    const kinds = new Set<string>(factors.map(({ kind }) => kind));
    if ((await this.store.recoveryCodes(tx, account.id)) > 0) kinds.add('recovery');
    return {
      mfaToken,
      expiresIn: PENDING_MS / 1000,
      factors: [...kinds].sort(),
      ...(keys.length > 0 && { webauthn: this.webauthn.request(challenge, keys, PENDING_MS) }),
    };
  }

  /** Checks what was sent; changes nothing. */
  async verify(account: AccountEntity, pending: PendingProofEntity, dto: SecondFactorDto): Promise<FactorProof | null> {
    const { totp, recoveryCode, webauthn } = dto;
    if (recoveryCode !== undefined) return { amr: 'otp', recoveryHash: this.recoveryHash(account.id, recoveryCode) };
    const factors = await this.store.confirmed(this.database.reader, account.id);
    const vault = await this.keyRing.vault(this.database.reader, accountSubject(account));
    const found = factors.find(({ kind, credentialId }) =>
      webauthn ? credentialId?.equals(Buffer.from(webauthn.id, 'base64url')) : kind === 'totp',
    );
    if (!found) return null;
    const { id: factorId, counter: from, credentialId } = found;
    const secret = vault.openBytes('second_factor.secret', factorId, found.secret);
    const to =
      webauthn && credentialId
        ? await this.webauthn.assert(pending.challenge, { credentialId, publicKey: new Uint8Array(secret), counter: from }, webauthn)
        : stepOfCode(secret.toString('latin1'), totp ?? '', this.clock.now(), from);
    return to === null ? null : { amr: webauthn ? 'hwk' : 'otp', factorId, from, to };
  }

  /** Uses the proof up: of several that come at once with the same code or counter, one succeeds (SEC-43). */
  async use(tx: EntityManager, accountId: string, proof: FactorProof): Promise<boolean> {
    if ('recoveryHash' in proof)
      return (await tx.getRepository(RecoveryCodeEntity).delete({ hash: proof.recoveryHash, accountId })).affected === 1;
    const { factorId: id, from, to } = proof;
    const changes = { counter: to, lastUsedAt: this.clock.now() };
    return (await updateRows<SecondFactorEntity>(tx, SecondFactorEntity, { id, accountId, counter: from }, changes)) === 1;
  }

  /** What is stored of a recovery code. Case and separators do not count. */
  recoveryHash(accountId: string, code: string): Buffer {
    return this.blindIndex.unique(accountId, 'recovery_code.hash', code.replace(/[^A-Za-z0-9]/g, '') || '-');
  }
}
