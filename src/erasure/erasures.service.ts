import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant, type Target } from '../access/access.service';
import { AuditService } from '../audit/audit.service';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime, isoTimeOrNull } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { cursorId, type Page, type PageQuery, toPage } from '../common/page';
import { Database } from '../database/database';
import { checkedRows, insertRow, selectRows, updateRow } from '../database/rows';
import { EnrolmentsService } from '../hospital/enrolments.service';
import type { ErasureCertificate } from '../ledger/core/erasure-certificate';
import { VerificationService } from '../ledger/verification.service';
import { RecordErasureService } from '../record/record-erasure.service';
import { FoundRecord } from '../record/records.service';
import { ErasingService } from './erasing.service';
import type { ErasureDto, ErasureQuery, ErasureResponse } from './erasure.dto';
import { ErasureEntity } from './erasure.entity';
import { certifiedBy, erasureRows } from './erasure-rows';
import { PurgeService } from './purge.service';

/** An erasure that was executed, as who restores a backup from before hands it in again. */
export type ExecutedErasure = Pick<
  ErasureEntity,
  'id' | 'hospitalId' | 'patientId' | 'recordId' | 'reason' | 'requestedBy' | 'requestedAt'
> & {
  readonly approvedBy: readonly [string, string];
};

/** Erasure by law (GDPR Article 17): somebody asks, two different people of the hospital or the founder approve, and it is done. */
@Injectable()
export class ErasuresService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessService,
    private readonly accounts: AccountsService,
    private readonly enrolments: EnrolmentsService,
    private readonly records: RecordErasureService,
    private readonly erasing: ErasingService,
    private readonly purge: PurgeService,
    private readonly verification: VerificationService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {
    this.verification.keep(erasureRows);
  }

  /** Asks. What a hospital or the founder asks for has its first approval by that. */
  request(actor: Actor, patientId: string, dto: ErasureDto): Promise<ErasureResponse> {
    const { reason } = dto;
    const recordId = dto.recordId ?? null;
    const target = recordId === null ? { patientId } : recordOf(patientId, recordId);
    return this.access.change(actor, 'erasure.request', target, async (tx, grant) => {
      if (recordId !== null) await this.records.assertErasable(tx, recordId);
      const waiting = await waitingFor(tx, patientId);
      if (waiting.some((row) => row.recordId === recordId)) throw new ApiError('conflict', 'This erasure is asked for already');
      const requestedAt = this.clock.now();
      const row: ErasureEntity = {
        id: newId(requestedAt),
        hospitalId: grant.hospitalId,
        patientId,
        recordId,
        reason,
        state: 'requested',
        requestedBy: actor.id,
        requestedAt,
        firstApprovedBy: actor.role === 'PATIENT' ? null : actor.id,
        secondApprovedBy: null,
        refusedBy: null,
        decidedAt: null,
        purgedAt: null,
        certificate: null,
      };
      await insertRow(tx, ErasureEntity, row);
      noteAbout(grant, row);
      return toResponse(row);
    });
  }

  /** The second of two different accounts executes it: the answer comes when it is durable, and the bytes are purged if nobody reads an older state. */
  async approve(actor: Actor, id: string): Promise<ErasureResponse> {
    const approved = await this.access.change(actor, 'erasure.approve', erasureTarget(id), async (tx, grant) => {
      const row = await this.open(tx, id);
      noteAbout(grant, row);
      if (row.firstApprovedBy === actor.id) throw new ApiError('conflict', 'Two different people approve an erasure');
      if (row.firstApprovedBy === null || !(await this.mayApprove(tx, row.firstApprovedBy, grant)))
        return this.change(tx, row, { firstApprovedBy: actor.id });
      return this.execute(tx, actor, row, [row.firstApprovedBy, actor.id]);
    });
    if (approved.state !== 'executed') return approved;
    await this.purge.run();
    return toResponse(await find(this.database.reader, id));
  }

  /**
   * Executes again what a restored backup does not know, in a block of its own: both approvals were given, and the caller has made sure of that.
   * @returns false when there is nothing to erase: it is executed here too, or what it erased is not there
   * @throws ApiError when it cannot be executed; `conflict` when it was a draft at that time, or who approved last has no account here
   */
  repeat({ approvedBy, ...erasure }: ExecutedErasure): Promise<boolean> {
    const [firstApprovedBy, last] = approvedBy;
    return this.database.transaction(async (tx) => {
      const [known] = await selectRows(tx, ErasureEntity, 'id', [erasure.id]);
      if ((known && known.state !== 'requested') || (await this.isGone(tx, erasure))) return false;
      const approver = (await this.accounts.people(tx, [last])).get(last);
      if (!approver) throw new ApiError('conflict', 'Who approved it has no account here');
      const none = { secondApprovedBy: null, refusedBy: null, decidedAt: null, purgedAt: null, certificate: null };
      const row = known ?? { ...erasure, ...none, state: 'requested', firstApprovedBy };
      if (!known) await insertRow(tx, ErasureEntity, row);
      const open = known ? await updateRow(tx, ErasureEntity, known, { firstApprovedBy }) : await this.open(tx, row.id);
      const now = this.clock.now();
      const { role, hospitalId } = approver;
      const actor = { id: last, role, hospitalId, sessionId: '', epoch: now, authTime: now, acr: 'pwd', requestId: newId(now) } as const;
      await this.execute(tx, actor, open, approvedBy);
      return true;
    });
  }

  /** Refuses, or lets a patient withdraw what the patient asked for. Whoever wants it after all asks anew. */
  refuse(actor: Actor, id: string): Promise<ErasureResponse> {
    return this.access.change(actor, 'erasure.refuse', erasureTarget(id), async (tx, grant) => {
      const row = await this.open(tx, id);
      noteAbout(grant, row);
      if (actor.role === 'PATIENT' && row.requestedBy !== actor.id) throw new ApiError('forbidden', 'A patient withdraws own wishes only');
      return this.change(tx, row, { state: 'refused', refusedBy: actor.id, decidedAt: this.clock.now() });
    });
  }

  list(actor: Actor, patientId: string, query: PageQuery): Promise<Page<ErasureResponse>> {
    return this.access.read(actor, 'erasure.list', { patientId }, async (manager, grant) => {
      const page = await this.page(manager, query, { patientId });
      grant.note({ ids: page.items.map((item) => item.id) });
      return page;
    });
  }

  /** What waits for an approval, and what was decided; a hospital sees its own. */
  async queue(actor: Actor, query: ErasureQuery): Promise<Page<ErasureResponse>> {
    const { state } = query;
    const own = actor.role === 'ADMIN' ? {} : { hospitalId: actor.hospitalId ?? '' };
    const page = await this.page(this.database.reader, query, { ...own, ...(state === undefined ? {} : { state }) });
    const { hospitalId, requestId } = actor;
    const ids = page.items.map((item) => item.id);
    await this.audit.record({ action: 'erasure.queue', outcome: 'ok', actor, requestId, hospitalId, ids });
    return page;
  }

  /** @throws ApiError `conflict` while there is none, `integrity_error` when it was altered */
  certificate(actor: Actor, id: string): Promise<ErasureCertificate> {
    return this.access.read(actor, 'erasure.certificate', erasureTarget(id), async (manager, grant) => {
      const row = await find(manager, id);
      noteAbout(grant, row);
      if (row.state !== 'executed') throw new ApiError('conflict', 'There is a certificate when it is executed');
      const certified = certifiedBy(row);
      if (!certified) throw new ApiError('integrity_error');
      return certified.certificate;
    });
  }

  /** The act has a row of its own on the trail, beside that of the approval. */
  private async execute(
    tx: EntityManager,
    actor: Actor,
    row: ErasureEntity,
    approvedBy: readonly [string, string],
  ): Promise<ErasureResponse> {
    const { patientId, recordId } = row;
    const certificate = await this.access.within(tx, actor, 'erasure.execute', { patientId }, (_tx, grant) =>
      this.erasing.execute(tx, grant, row, approvedBy),
    );
    const decidedAt = this.clock.now();
    const executed = await this.change(tx, row, {
      state: 'executed',
      secondApprovedBy: approvedBy[1],
      decidedAt,
      certificate: JSON.stringify(certificate),
    });
    if (recordId === null)
      for (const other of await waitingFor(tx, patientId)) await this.change(tx, other, { state: 'superseded', decidedAt });
    return executed;
  }

  /** Who waited for approval at the time of the backup is there: to be erased, the person was approved after it. */
  private async isGone(tx: EntityManager, { patientId, recordId }: Pick<ErasureEntity, 'patientId' | 'recordId'>): Promise<boolean> {
    if (recordId !== null) return this.records.isGone(tx, recordId);
    const chart = await this.enrolments.chartAfterApproval(tx, patientId);
    return chart === null || chart.erased;
  }

  /** Whether who approved first still may: the approval of an account that was closed or locked since, as a stolen one is, counts no more. */
  private async mayApprove(tx: EntityManager, id: string, { hospitalId }: Grant): Promise<boolean> {
    const person = (await this.accounts.people(tx, [id])).get(id);
    if (person?.status !== 'ACTIVE') return false;
    return person.role === 'ADMIN' || (person.role === 'HOSPITAL' && person.hospitalId === hospitalId);
  }

  private async open(tx: EntityManager, id: string): Promise<ErasureEntity> {
    const row = await find(tx, id);
    if (row.state !== 'requested') throw new ApiError('conflict', `This erasure is ${row.state}`);
    return row;
  }

  private async change(tx: EntityManager, row: ErasureEntity, changes: Partial<ErasureEntity>): Promise<ErasureResponse> {
    return toResponse(await updateRow(tx, ErasureEntity, row, changes));
  }

  private async page(
    manager: EntityManager,
    query: PageQuery,
    where: { patientId?: string; hospitalId?: string; state?: string },
  ): Promise<Page<ErasureResponse>> {
    const builder = manager
      .createQueryBuilder(ErasureEntity, 'e')
      .orderBy('e.id')
      .limit(query.limit + 1);
    const after = cursorId(query);
    if (after !== undefined) builder.andWhere('e.id > :after', { after });
    for (const [name, value] of Object.entries(where)) builder.andWhere(`e.${name} = :${name}`, { [name]: value });
    return toPage(checkedRows(manager, ErasureEntity, await builder.getMany()), query.limit, (row) => row.id, toResponse);
  }
}

/** A record of this very patient. */
function recordOf(patientId: string, recordId: string): (manager: EntityManager) => Promise<Target | null> {
  return async (manager) => {
    const target = await new FoundRecord(recordId).target(manager);
    return target?.patientId === patientId ? target : null;
  };
}

function erasureTarget(id: string): (manager: EntityManager) => Promise<Target | null> {
  return async (manager) => {
    const [row] = await selectRows(manager, ErasureEntity, 'id', [id]);
    return row ? { patientId: row.patientId } : null;
  };
}

async function find(manager: EntityManager, id: string): Promise<ErasureEntity> {
  const [row] = await selectRows(manager, ErasureEntity, 'id', [id]);
  if (!row) throw notFound();
  return row;
}

async function waitingFor(tx: EntityManager, patientId: string): Promise<ErasureEntity[]> {
  return checkedRows(tx, ErasureEntity, await tx.getRepository(ErasureEntity).findBy({ patientId, state: 'requested' }));
}

function noteAbout(grant: Grant, row: ErasureEntity): void {
  grant.note({ subjectId: row.id, kind: row.recordId === null ? 'patient' : 'record' });
}

function toResponse(row: ErasureEntity): ErasureResponse {
  const { id, patientId, hospitalId, recordId, reason, state, requestedBy, refusedBy } = row;
  return {
    id,
    patientId,
    hospitalId,
    recordId,
    reason,
    state,
    requestedBy,
    requestedAt: isoTime(row.requestedAt),
    approvedBy: [row.firstApprovedBy, row.secondApprovedBy].filter((account) => account !== null),
    refusedBy,
    decidedAt: isoTimeOrNull(row.decidedAt),
    purgedAt: isoTimeOrNull(row.purgedAt),
  };
}
