import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor } from '../common/actor';
import { AuditService } from '../audit/audit.service';
import { AccountsService } from '../auth/accounts.service';
import type { PendingResponse } from '../auth/auth.dto';
import { DecisionsService } from '../auth/decisions.service';
import { IdempotencyService } from '../auth/idempotency.service';
import { RegistrationService } from '../auth/registration.service';
import { Clock, isoTimeOrNull } from '../common/clock';
import { ApiError, invalid, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { cursorId, toPage, type Page, type PageQuery } from '../common/page';
import { KeyRing } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { checkedRows, insertRow, selectRows, updateRow } from '../database/rows';
import type { AddedStaffResponse, DepartureDto, RegisterDoctorDto, StaffProfileDto, StaffResponse } from './hospital.dto';
import { StaffEntity } from './hospital.entity';
import { HospitalsService } from './hospitals.service';

interface StaffProfile {
  readonly specialty: string;
  readonly licence: string | null;
  readonly phone: string | null;
}

/** Told inside the transaction in which somebody leaves; `handOverTo` takes over unfinished work. */
export type DepartureListener = (tx: EntityManager, staff: { id: string; hospitalId: string; handOverTo: string | null }) => Promise<void>;

/** The people who work at a hospital (R9), from registration to departure (R11). */
@Injectable()
export class StaffService {
  private readonly listeners: DepartureListener[] = [];

  constructor(
    private readonly database: Database,
    private readonly accounts: AccountsService,
    private readonly decisions: DecisionsService,
    private readonly registrations: RegistrationService,
    private readonly hospitals: HospitalsService,
    private readonly keyRing: KeyRing,
    private readonly idempotency: IdempotencyService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {
    this.decisions.onApproved(async (tx, { id, role }) => {
      const row = role === 'DOCTOR' ? await find(tx, id) : undefined;
      if (row) await updateRow(tx, StaffEntity, row, { startedAt: this.clock.now() });
    });
  }

  onDeparture(listener: DepartureListener): void {
    this.listeners.push(listener);
  }

  /** A doctor registers; the hospital approves later. */
  async register(dto: RegisterDoctorDto, requestId: string): Promise<PendingResponse> {
    const { hospitalId, username, password } = dto;
    if (!(await this.hospitals.exists(this.database.reader, hospitalId))) throw invalid('hospitalId', 'must name a hospital');
    return this.registrations.register(
      { role: 'DOCTOR', hospitalId, name: dto.name },
      { username, password },
      requestId,
      async (tx, id) => {
        await this.store(tx, id, hospitalId, dto, null);
      },
    );
  }

  /** The hospital adds a doctor, who chooses a login with the one-time code. */
  add(actor: Actor, hospitalId: string, dto: StaffProfileDto): Promise<AddedStaffResponse> {
    own(actor, hospitalId);
    return this.idempotency.transaction(actor, async (tx) => {
      const now = this.clock.now();
      const id = newId(now);
      const activation = await this.accounts.issue(tx, actor, { id, role: 'DOCTOR', hospitalId, name: dto.name });
      const row = await this.store(tx, id, hospitalId, dto, now);
      await this.audit.append(tx, { action: 'staff.add', outcome: 'ok', actor, requestId: actor.requestId, hospitalId, subjectId: id });
      const [staff] = await this.toResponses(tx, [row]);
      if (!staff) throw notFound();
      return { staff, activation };
    });
  }

  async list(actor: Actor, hospitalId: string, query: PageQuery): Promise<Page<StaffResponse>> {
    own(actor, hospitalId);
    const builder = this.database.reader
      .createQueryBuilder(StaffEntity, 's')
      .where('s.hospitalId = :hospitalId', { hospitalId })
      .orderBy('s.id')
      .limit(query.limit + 1);
    const after = cursorId(query);
    if (after !== undefined) builder.andWhere('s.id > :after', { after });
    const page = toPage(
      checkedRows(this.database.reader, StaffEntity, await builder.getMany()),
      query.limit,
      (row) => row.id,
      (row) => row,
    );
    await this.audit.record({
      action: 'staff.list',
      outcome: 'ok',
      actor,
      requestId: actor.requestId,
      hospitalId,
      ids: page.items.map((row) => row.id),
    });
    return { items: await this.toResponses(this.database.reader, page.items), nextCursor: page.nextCursor };
  }

  /** One worker, seen by the own hospital or by the worker. Puts the reading on the trail under `action`. */
  async read(actor: Actor, id: string, action: 'staff.read' | 'staff.print' = 'staff.read'): Promise<StaffResponse> {
    const row = await find(this.database.reader, id);
    const allowed = row && (actor.id === id || (actor.role === 'HOSPITAL' && actor.hospitalId === row.hospitalId));
    await this.audit.record({
      action,
      outcome: allowed ? 'ok' : 'denied',
      actor,
      requestId: actor.requestId,
      hospitalId: row?.hospitalId ?? null,
      subjectId: id,
    });
    if (!allowed) throw notFound();
    const [response] = await this.toResponses(this.database.reader, [row]);
    if (!response) throw notFound();
    return response;
  }

  /** Records that a worker leaves: the login and its tokens end now, the row and everything the worker did stay (R11). */
  depart(actor: Actor, hospitalId: string, id: string, dto: DepartureDto): Promise<StaffResponse> {
    own(actor, hospitalId);
    const handOverTo = dto.handOverTo ?? null;
    return this.database.transaction(async (tx) => {
      const row = await find(tx, id);
      if (row?.hospitalId !== hospitalId) throw notFound();
      if (row.lastDay !== null) throw new ApiError('conflict', 'The departure is recorded already');
      if (handOverTo !== null && (handOverTo === id || !(await this.works(tx, handOverTo, hospitalId))))
        throw invalid('handOverTo', 'must be another doctor who works at this hospital');
      const vault = await this.keyRing.vault(tx, { subjectId: id, tenantId: hospitalId });
      const departureReason = vault.seal('departure.reason', id, dto.reason);
      const departed = await updateRow(tx, StaffEntity, row, { lastDay: dto.lastDay, handOverTo, departureReason });
      for (const listener of this.listeners) await listener(tx, { id, hospitalId, handOverTo }); // they know why the account closes
      await this.decisions.closeFor(tx, actor, id);
      await this.audit.append(tx, { action: 'staff.leave', outcome: 'ok', actor, requestId: actor.requestId, hospitalId, subjectId: id });
      const [response] = await this.toResponses(tx, [departed]);
      if (!response) throw notFound();
      return response;
    });
  }

  private async works(tx: EntityManager, id: string, hospitalId: string): Promise<boolean> {
    const row = await find(tx, id);
    return row?.hospitalId === hospitalId && row.lastDay === null && row.startedAt !== null;
  }

  private async store(
    tx: EntityManager,
    id: string,
    hospitalId: string,
    dto: StaffProfileDto,
    startedAt: number | null,
  ): Promise<StaffEntity> {
    const vault = await this.keyRing.vault(tx, { subjectId: id, tenantId: hospitalId });
    const profile: StaffProfile = { specialty: dto.specialty, licence: dto.licence ?? null, phone: dto.phone ?? null };
    const row = {
      id,
      hospitalId,
      profile: vault.seal('doctor.profile', id, JSON.stringify(profile)),
      startedAt,
      lastDay: null,
      departureReason: null,
      handOverTo: null,
    };
    await insertRow(tx, StaffEntity, row);
    return row;
  }

  private async toResponses(manager: EntityManager, rows: readonly StaffEntity[]): Promise<StaffResponse[]> {
    const people = await this.accounts.people(
      manager,
      rows.map((row) => row.id),
    );
    return Promise.all(
      rows.map(async (row) => {
        const vault = await this.keyRing.vault(manager, { subjectId: row.id, tenantId: row.hospitalId });
        const profile = JSON.parse(vault.open('doctor.profile', row.id, row.profile)) as StaffProfile;
        const person = people.get(row.id);
        return {
          id: row.id,
          hospitalId: row.hospitalId,
          name: person?.name ?? '',
          ...profile,
          status: person?.status ?? 'CLOSED',
          startedAt: isoTimeOrNull(row.startedAt),
          lastDay: row.lastDay,
          departureReason: row.departureReason && vault.open('departure.reason', row.id, row.departureReason),
          handOverTo: row.handOverTo,
        };
      }),
    );
  }
}

async function find(manager: EntityManager, id: string): Promise<StaffEntity | undefined> {
  return (await selectRows(manager, StaffEntity, 'id', [id]))[0];
}

/** A hospital acts for itself only; another hospital's people do not exist for it. */
function own(actor: Actor, hospitalId: string): void {
  if (actor.hospitalId !== hospitalId) throw notFound();
}
