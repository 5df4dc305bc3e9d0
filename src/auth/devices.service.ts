import { Injectable } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import { type EntityManager, In } from 'typeorm';
import { AuditService } from '../audit/audit.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime } from '../common/clock';
import { notFound } from '../common/errors';
import { newId } from '../common/ids';
import { Database } from '../database/database';
import { insertRow, selectRows, updateRows } from '../database/rows';
import type { DeviceResponse } from './auth.dto';
import { KnownDeviceEntity } from './known-device.entity';
import { LoginCounterEntity } from './login-counter.entity';

const KEPT_MS = 90 * 24 * 3_600_000;
/** Newest first; whoever signs in without a token makes one more. */
const MOST = 20;
const TOKEN = /^dt_[A-Za-z0-9_-]{43}$/;

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/**
 * Devices on which a holder has signed in (OWASP "Device Cookies"): they count their own wrong passwords, so that strangers who guess cannot keep the
 * holder out (SEC-35). A token proves no identity: the password is still needed.
 */
@Injectable()
export class DevicesService {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** The device whose token this is, if it is one of the account's. */
  async recognise(manager: EntityManager, token: string | undefined, accountId: string): Promise<KnownDeviceEntity | null> {
    const device = await this.find(manager, token);
    return device?.accountId === accountId ? device : null;
  }

  /** Whether some account knows this device. */
  async isKnown(token: string | undefined): Promise<boolean> {
    return (await this.find(this.database.reader, token)) !== null;
  }

  /** After a sign-in: keeps a known device for another 90 days, or makes a new one. Returns its token. */
  async remember(tx: EntityManager, accountId: string, known: KnownDeviceEntity | null, knownToken: string | undefined): Promise<string> {
    const now = this.clock.now();
    const times = { lastUsedAt: now, expiresAt: now + KEPT_MS };
    if (known && knownToken !== undefined) {
      await updateRows(tx, KnownDeviceEntity, { id: known.id }, times);
      return knownToken;
    }
    const token = `dt_${randomBytes(32).toString('base64url')}`;
    const others = await selectRows(tx, KnownDeviceEntity, 'accountId', [accountId]);
    others.sort((a, b) => b.lastUsedAt - a.lastUsedAt);
    await this.drop(tx, others.slice(MOST - 1));
    await insertRow(tx, KnownDeviceEntity, { id: newId(now), accountId, hash: hashOf(token), createdAt: now, ...times });
    return token;
  }

  async list(actor: Actor): Promise<DeviceResponse[]> {
    const now = this.clock.now();
    const rows = await selectRows(this.database.reader, KnownDeviceEntity, 'accountId', [actor.id]);
    return rows
      .filter((row) => row.expiresAt > now)
      .sort((a, b) => b.lastUsedAt - a.lastUsedAt)
      .map(({ id, createdAt, lastUsedAt, expiresAt }) => ({
        id,
        createdAt: isoTime(createdAt),
        lastUsedAt: isoTime(lastUsedAt),
        expiresAt: isoTime(expiresAt),
      }));
  }

  /** The holder forgets one of the own devices: the next sign-in from there is a stranger's. */
  forget(actor: Actor, id: string): Promise<void> {
    return this.database.transaction(async (tx) => {
      const [device] = await selectRows(tx, KnownDeviceEntity, 'id', [id]);
      if (device?.accountId !== actor.id) throw notFound();
      await this.drop(tx, [device]);
      const { requestId, hospitalId } = actor;
      await this.audit.append(tx, { action: 'device.forget', outcome: 'ok', actor, requestId, hospitalId, subjectId: id });
    });
  }

  /**
   * An account's password or factors were changed or taken away: whoever knew them may have left a device behind.
   * @param keep the device on which the holder has just proved it, else strangers' guesses would now keep the holder out
   */
  async forgetAll(tx: EntityManager, accountId: string, keep: KnownDeviceEntity | null = null): Promise<void> {
    const devices = await selectRows(tx, KnownDeviceEntity, 'accountId', [accountId]);
    await this.drop(
      tx,
      devices.filter(({ id }) => id !== keep?.id),
    );
  }

  async drop(tx: EntityManager, devices: readonly KnownDeviceEntity[]): Promise<void> {
    const ids = devices.map((device) => device.id);
    if (ids.length === 0) return;
    await tx.getRepository(KnownDeviceEntity).delete({ id: In(ids) });
    await tx.getRepository(LoginCounterEntity).delete({ subject: In(ids) });
  }

  private async find(manager: EntityManager, token: string | undefined): Promise<KnownDeviceEntity | null> {
    if (token === undefined || !TOKEN.test(token)) return null;
    const [device] = await selectRows(manager, KnownDeviceEntity, 'hash', [hashOf(token)]);
    return device && device.expiresAt > this.clock.now() ? device : null;
  }
}
