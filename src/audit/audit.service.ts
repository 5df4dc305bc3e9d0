import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { Actor, Role } from '../common/actor';
import { Clock } from '../common/clock';
import { idTime, newId } from '../common/ids';
import { describeError, LOGS, type Logs } from '../common/logger';
import { Database } from '../database/database';
import { RunAgain } from '../database/executor';
import { insertRow } from '../database/rows';
import type { AuditAction } from './actions';
import { AuditEventEntity } from './audit-event.entity';
import { isTaggingOnTrail } from './first-tags';

const REMEMBERED = 10_000;
/** Words of the trigger that keeps rows out of what is sealed. */
const SEALED_ABOVE = 'the trail is sealed above this id';

export type Outcome = 'ok' | 'denied' | 'failed';

export interface AuditEntry {
  action: AuditAction;
  outcome: Outcome;
  actor: Pick<Actor, 'id' | 'role' | 'hospitalId'> | null;
  requestId: string;
  hospitalId?: string | null;
  patientId?: string | null;
  subjectId?: string | null;
  purpose?: string | null;
  kind?: string | null;
  reason?: string | null;
  rules?: readonly string[];
  contractVersion?: number | null;
  ids?: readonly string[];
  count?: number;
  /** Head of the patient's chain that the decision saw. */
  headHeight?: number | null;
}

type RowListener = (action: AuditAction, outcome: Outcome) => void;

/** A row of the trail as other modules see it. */
export type AuditEvent = Readonly<Omit<AuditEventEntity, 'actorRole'> & { actorRole: Role | null }>;

/** Writes the trail. The same transaction carries the row and the act. */
@Injectable()
export class AuditService implements OnModuleInit {
  /** Rows are sealed up to this instant by a process whose clock is before ours; 0 when there is none. */
  private sealedUntil = 0;

  /** Requests of this process that have a row. */
  private readonly noted = new LRUCache<string, true>({ max: REMEMBERED });

  private readonly listeners: RowListener[] = [];

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    @Inject(LOGS) private readonly logs: Logs,
  ) {
    database.onRejectedRow((table, id) => this.rejected(table, id));
  }

  /** That rows have tags is on the trail from the first start with tags on (`tagRowsOnce`). */
  async onModuleInit(): Promise<void> {
    if (await isTaggingOnTrail(this.database.reader)) return;
    await this.record({ action: 'row.tag', outcome: 'ok', actor: null, requestId: newId() });
  }

  /** Appends one row; after the commit the same row goes to the audit log file (R20). */
  async append(tx: EntityManager, entry: AuditEntry): Promise<void> {
    const row = this.toRow(entry);
    try {
      await insertRow(tx, AuditEventEntity, row);
    } catch (error) {
      if (!(error instanceof Error && error.message.includes(SEALED_ABOVE))) throw error;
      // This process's clock is behind that of the process whose rows were sealed: ids follow the trail, `at` stays what the clock said.
      const [newest] = await this.database.reader
        .getRepository(AuditEventEntity)
        .find({ select: { id: true }, order: { id: 'DESC' }, take: 1 });
      this.sealedUntil = newest ? idTime(newest.id) : 0;
      throw new RunAgain();
    }
    this.database.afterCommit(() => {
      this.noted.set(row.requestId, true);
      this.logs.audit.info(row, row.action);
      for (const listener of this.listeners) listener(entry.action, entry.outcome);
    });
  }

  /** Calls the listener for each row of this process, after its commit. */
  onRow(listener: RowListener): void {
    this.listeners.push(listener);
  }

  /** Appends one row as a unit of its own. */
  record(entry: AuditEntry): Promise<void> {
    return this.database.append((tx) => this.append(tx, entry));
  }

  /**
   * One row for a refusal that has none yet (SEC-95). It names no thing that was asked for: the trail of a hospital must not tell what exists elsewhere.
   * @param what `controller.method`
   */
  async refused(actor: Actor, what: string, reason: string): Promise<void> {
    if (this.noted.has(actor.requestId)) return;
    await this.record({ action: 'request.refuse', outcome: 'denied', actor, requestId: actor.requestId, kind: what, reason });
  }

  /** A row that somebody else wrote into the database was refused. This is a unit of its own: what met it is rolled back. */
  private rejected(table: string, id: string): void {
    const { app } = this.logs;
    app.error({ table, id }, 'a row that this server did not write so was refused');
    this.record({ action: 'row.reject', outcome: 'failed', actor: null, requestId: newId(), kind: table, subjectId: id }).catch(
      (error: unknown) => app.error({ err: describeError(error) }, 'a refused row is not on the trail'),
    );
  }

  private toRow(entry: AuditEntry): AuditEventEntity {
    const at = this.clock.now();
    return {
      id: newId(Math.max(at, this.sealedUntil + 1)),
      at,
      action: entry.action,
      outcome: entry.outcome,
      actorId: entry.actor?.id ?? null,
      actorRole: entry.actor?.role ?? null,
      actorHospitalId: entry.actor?.hospitalId ?? null,
      hospitalId: entry.hospitalId ?? null,
      patientId: entry.patientId ?? null,
      subjectId: entry.subjectId ?? null,
      purpose: entry.purpose ?? null,
      kind: entry.kind ?? null,
      reason: entry.reason ?? null,
      rules: entry.rules && entry.rules.length > 0 ? entry.rules.join(' ').slice(0, 400) : null,
      contractVersion: entry.contractVersion ?? null,
      count: entry.count ?? entry.ids?.length ?? null,
      setDigest: entry.ids ? setDigest(entry.ids) : null,
      headHeight: entry.headHeight ?? null,
      requestId: entry.requestId,
    };
  }
}

/** SHA-256 over ids, each followed by a newline, in the order in which they were given; base64url. */
export function setDigest(ids: readonly string[]): string {
  const hash = createHash('sha256');
  for (const id of ids) hash.update(`${id}\n`);
  return hash.digest('base64url');
}
