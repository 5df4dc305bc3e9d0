import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { SystemAction } from '../audit/actions';
import { AuditService } from '../audit/audit.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime, isoTimeOrNull } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { KeyRing } from '../crypto/key-ring.service';
import type { Vault } from '../crypto/vault';
import { Database } from '../database/database';
import { insertRow, updateRows } from '../database/rows';
import type { AccountEntity } from './account.entity';
import { AccountStore } from './account-store';
import { accountSubject } from './accounts.service';
import { DevicesService } from './devices.service';
import type { AddKeyDto, FactorResponse, FactorsResponse, KeyCreationOptions, RecoveryCodesResponse, TotpSeedResponse } from './factor.dto';
import { FactorProofs } from './factor-proofs.service';
import { FactorStore } from './factor-store';
import { newCode } from './one-time-code';
import { newChallenge, PENDING_MS, PendingProofs } from './pending-proofs.service';
import { RecoveryCodeEntity, SecondFactorEntity } from './second-factor.entity';
import { SessionsService } from './sessions.service';
import { newSeed, seedUri, stepOfCode } from './totp';
import { WebauthnService } from './webauthn.service';

const MAX_FACTORS = 10;
const RECOVERY_CODES = 10;

/** The own second factors: added and removed by their holder, with a recent sign-in. Each change ends the holder's other sessions. */
@Injectable()
export class FactorsService {
  constructor(
    private readonly database: Database,
    private readonly accounts: AccountStore,
    private readonly store: FactorStore,
    private readonly pendings: PendingProofs,
    private readonly proofs: FactorProofs,
    private readonly webauthn: WebauthnService,
    private readonly sessions: SessionsService,
    private readonly devices: DevicesService,
    private readonly keyRing: KeyRing,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async list(actor: Actor): Promise<FactorsResponse> {
    const factors = await this.store.confirmed(this.database.reader, actor.id);
    return {
      required: this.config.login.secondFactorRoles.includes(actor.role),
      factors: factors.sort((a, b) => a.createdAt - b.createdAt).map(toResponse),
      recoveryCodes: await this.store.recoveryCodes(this.database.reader, actor.id),
    };
  }

  /** Makes a seed. It counts once `confirmTotp` has seen a code of it; one that was not confirmed is replaced. */
  async enrolTotp(actor: Actor): Promise<TotpSeedResponse> {
    const { vault, username } = await this.holder(actor);
    const secret = newSeed();
    await this.database.transaction(async (tx) => {
      await this.assertRoom(tx, await this.current(tx, actor), 'totp');
      const previous = await this.store.unconfirmed(tx, actor.id);
      if (previous) await tx.getRepository(SecondFactorEntity).delete({ id: previous.id });
      const row = this.newRow(actor.id, 'totp', (id) => vault.seal('second_factor.secret', id, Buffer.from(secret, 'latin1')));
      await insertRow(tx, SecondFactorEntity, row);
      await this.note(tx, actor, 'factor.enrol', row);
    });
    return { secret, uri: seedUri(secret, username) };
  }

  async confirmTotp(actor: Actor, code: string): Promise<FactorResponse> {
    const { vault } = await this.holder(actor);
    return this.database.transaction(async (tx) => {
      const account = await this.current(tx, actor);
      const row = await this.store.unconfirmed(tx, actor.id);
      const now = this.clock.now();
      if (!row || now - row.createdAt > PENDING_MS) throw notFound();
      const secret = vault.openBytes('second_factor.secret', row.id, row.secret).toString('latin1');
      const counter = stepOfCode(secret, code, now, 0);
      if (counter === null) throw new ApiError('invalid_second_factor');
      const changes = { counter, confirmedAt: now };
      await updateRows<SecondFactorEntity>(tx, SecondFactorEntity, { id: row.id }, changes);
      await this.changed(tx, actor, account, 'factor.add', row);
      return toResponse({ ...row, ...changes });
    });
  }

  /** What the browser needs to make a key, with a challenge of this session. */
  async enrolKey(actor: Actor): Promise<KeyCreationOptions> {
    const { username } = await this.holder(actor);
    const challenge = newChallenge();
    const { id: accountId, sessionId } = actor;
    const existing = await this.database.transaction(async (tx) => {
      await this.assertRoom(tx, await this.current(tx, actor), 'webauthn');
      await this.pendings.add(tx, challenge.toString('base64url'), { purpose: 'register', accountId, sessionId, challenge });
      await this.note(tx, actor, 'factor.enrol', { id: accountId, kind: 'webauthn' });
      return this.store.confirmed(tx, accountId);
    });
    const keys = existing.flatMap(({ credentialId }) => credentialId ?? []);
    return this.webauthn.creation(challenge, { id: accountId, name: username }, keys, PENDING_MS);
  }

  async addKey(actor: Actor, dto: AddKeyDto): Promise<FactorResponse> {
    const { vault } = await this.holder(actor);
    const token = challengeOf(dto.clientDataJSON);
    const pending = await this.pendings.find(this.database.reader, token, 'register');
    const isOwn = pending?.accountId === actor.id && pending.sessionId === actor.sessionId;
    const key = isOwn ? await this.webauthn.register(pending.challenge, dto) : null;
    if (!isOwn || !key) throw new ApiError('invalid_key');
    return this.database.transaction(async (tx) => {
      if (!(await this.pendings.spend(tx, pending))) throw new ApiError('invalid_key');
      const account = await this.current(tx, actor);
      await this.assertRoom(tx, account, 'webauthn');
      const { credentialId, counter } = key;
      if (await tx.getRepository(SecondFactorEntity).existsBy({ credentialId })) throw new ApiError('already_exists');
      const made = this.newRow(actor.id, 'webauthn', (id) => vault.seal('second_factor.secret', id, key.publicKey));
      const row = { ...made, counter, credentialId, confirmedAt: made.createdAt };
      await insertRow(tx, SecondFactorEntity, row);
      await this.changed(tx, actor, account, 'factor.add', row);
      return toResponse(row);
    });
  }

  async remove(actor: Actor, id: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      const account = await this.current(tx, actor);
      const factors = await this.store.of(tx, account);
      const row = factors.find((factor) => factor.id === id);
      if (!row) throw notFound();
      if (factors.length === 1) await this.store.forget(tx, actor.id);
      else await tx.getRepository(SecondFactorEntity).delete({ id });
      await this.changed(tx, actor, account, 'factor.remove', row);
      // Where the policy asks for one, a session that proved it does not outlive it.
      if (factors.length === 1 && this.config.login.secondFactorRoles.includes(actor.role)) await this.sessions.endAll(tx, actor.id);
    });
  }

  /** Ten new codes; those from before work no more. */
  async recoveryCodes(actor: Actor): Promise<RecoveryCodesResponse> {
    const codes = Array.from({ length: RECOVERY_CODES }, newCode);
    await this.database.transaction(async (tx) => {
      const account = await this.current(tx, actor);
      if (account.factors === 0) throw new ApiError('conflict', 'Add a second factor first');
      await tx.getRepository(RecoveryCodeEntity).delete({ accountId: actor.id });
      for (const code of codes)
        await insertRow(tx, RecoveryCodeEntity, { hash: this.proofs.recoveryHash(actor.id, code), accountId: actor.id });
      await this.changed(tx, actor, account, 'factor.codes', { id: actor.id, kind: 'recovery' });
    });
    return { codes };
  }

  private async holder(actor: Actor): Promise<{ vault: Vault; username: string }> {
    const account = await this.accounts.find(this.database.reader, 'id', actor.id);
    if (!account?.username) throw notFound();
    const vault = await this.keyRing.vault(this.database.reader, accountSubject(account));
    return { vault, username: vault.open('account.username', account.id, account.username) };
  }

  /** The account as it is now. A request whose session ended while it waited changes nothing any more. */
  private async current(tx: EntityManager, actor: Actor): Promise<AccountEntity> {
    const account = await this.accounts.find(tx, 'id', actor.id);
    if (!account || !(await this.sessions.isOpen(tx, actor))) throw new ApiError('unauthenticated');
    return account;
  }

  private async assertRoom(tx: EntityManager, account: AccountEntity, kind: 'totp' | 'webauthn'): Promise<void> {
    const factors = await this.store.of(tx, account);
    if (kind === 'totp' && factors.some((factor) => factor.kind === kind))
      throw new ApiError('conflict', 'Remove the other code app first');
    if (factors.length >= MAX_FACTORS) throw new ApiError('conflict', `At most ${MAX_FACTORS} second factors`);
  }

  private newRow(accountId: string, kind: 'totp' | 'webauthn', seal: (id: string) => SecondFactorEntity['secret']): SecondFactorEntity {
    const createdAt = this.clock.now();
    const id = newId(createdAt);
    return { id, accountId, kind, secret: seal(id), counter: 0, credentialId: null, createdAt, confirmedAt: null, lastUsedAt: null };
  }

  /** Whoever had the account open elsewhere proves it again, and with the new factor. */
  private async changed(
    tx: EntityManager,
    actor: Actor,
    account: AccountEntity,
    action: SystemAction,
    factor: { id: string; kind: string },
  ): Promise<void> {
    await this.accounts.update(tx, account, { factors: (await this.store.confirmed(tx, actor.id)).length });
    await this.devices.forgetAll(tx, actor.id);
    await this.sessions.endOthers(tx, actor.id, actor.sessionId);
    await this.note(tx, actor, action, factor);
  }

  private note(tx: EntityManager, actor: Actor, action: SystemAction, { id, kind }: { id: string; kind: string }): Promise<void> {
    const about = { requestId: actor.requestId, hospitalId: actor.hospitalId, subjectId: id, kind };
    return this.audit.append(tx, { ...about, action, outcome: 'ok', actor, patientId: actor.role === 'PATIENT' ? actor.id : null });
  }
}

/** The challenge that the browser says it signed: by it the waiting proof is found; whether it is true is checked then. */
function challengeOf(clientDataJSON: string): string {
  try {
    const data: unknown = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8'));
    return typeof data === 'object' && data !== null && 'challenge' in data ? String(data.challenge) : '';
  } catch {
    return '';
  }
}

function toResponse({ id, kind, createdAt, lastUsedAt }: SecondFactorEntity): FactorResponse {
  return { id, kind, createdAt: isoTime(createdAt), lastUsedAt: isoTimeOrNull(lastUsedAt) };
}
