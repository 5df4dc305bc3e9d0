import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import { ConsentsService } from '../access/consents.service';
import { AuditService } from '../audit/audit.service';
import { AccountsService } from '../auth/accounts.service';
import type { IssuedCodeResponse, PendingResponse } from '../auth/auth.dto';
import { IdempotencyService } from '../auth/idempotency.service';
import { RegistrationService } from '../auth/registration.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime } from '../common/clock';
import { ApiError, invalid, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { cursorId, toPage, type Page } from '../common/page';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing, vaultKey } from '../crypto/key-ring.service';
import type { Vault } from '../crypto/vault';
import { Database } from '../database/database';
import { EnrolmentsService } from '../hospital/enrolments.service';
import { HospitalsService } from '../hospital/hospitals.service';
import type {
  EnrolledPatientResponse,
  EnrolPatientDto,
  PatientProfileDto,
  PatientQuery,
  PatientResponse,
  RegisterPatientDto,
  UpdatePatientDto,
} from './patient.dto';
import { PatientEntity } from './patient.entity';

interface PatientContact {
  readonly phone: string | null;
  readonly email: string | null;
  readonly address: string | null;
}

const MASK = '***';

/** Patients' administrative data: registration, enrolment, finding and changing. */
@Injectable()
export class PatientsService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessService,
    private readonly accounts: AccountsService,
    private readonly registrations: RegistrationService,
    private readonly enrolments: EnrolmentsService,
    private readonly consents: ConsentsService,
    private readonly hospitals: HospitalsService,
    private readonly idempotency: IdempotencyService,
    private readonly keyRing: KeyRing,
    private readonly blindIndex: BlindIndex,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** A patient registers; the hospital approves later. */
  async register(dto: RegisterPatientDto, requestId: string): Promise<PendingResponse> {
    const { hospitalId, username, password } = dto;
    if (!(await this.hospitals.exists(this.database.reader, hospitalId))) throw invalid('hospitalId', 'must name a hospital');
    assertDay(dto.birthDate);
    return this.registrations.register(
      { role: 'PATIENT', hospitalId, name: dto.name },
      { username, password },
      requestId,
      async (tx, id) => {
        // A number that is in use must not tell the caller so: it is left out, and the hospital completes the data when it approves.
        const taken = dto.nationalId !== undefined && (await this.findByNationalId(tx, hospitalId, dto.nationalId)) !== null;
        await this.store(tx, id, hospitalId, dto, taken ? null : (dto.nationalId ?? null));
        await this.enrolments.enrol(tx, id, hospitalId, false);
      },
    );
  }

  /** A hospital or one of its doctors enrols a patient. */
  enrol(actor: Actor, dto: EnrolPatientDto): Promise<EnrolledPatientResponse> {
    assertDay(dto.birthDate);
    return this.idempotency.transaction(actor, async (tx) => {
      const patient = await this.enrolIn(tx, actor, dto);
      const { id, hospitalId } = patient;
      const activation =
        dto.issueAccount === true ? await this.accounts.issue(tx, actor, { id, role: 'PATIENT', hospitalId, name: dto.name }) : null;
      return { patient: await this.toResponse(tx, patient), activation };
    });
  }

  /** Enrols inside a transaction that is open already; puts the enrolment on the trail. */
  async enrolIn(tx: EntityManager, actor: Actor, profile: PatientProfileDto): Promise<PatientEntity> {
    const { hospitalId } = actor;
    if (hospitalId === null) throw new ApiError('forbidden');
    const taken = profile.nationalId !== undefined && (await this.findByNationalId(tx, hospitalId, profile.nationalId)) !== null;
    if (taken)
      throw new ApiError('already_exists', 'A patient with this identifier is enrolled', {
        errors: [{ path: 'nationalId', message: 'is enrolled at this hospital' }],
      });
    const id = newId(this.clock.now());
    const row = await this.store(tx, id, hospitalId, profile, profile.nationalId ?? null);
    await this.enrolments.enrol(tx, id, hospitalId, true);
    await this.audit.append(tx, { action: 'patient.enrol', outcome: 'ok', actor, requestId: actor.requestId, hospitalId, patientId: id });
    return row;
  }

  /** An account for a patient who was enrolled without one. */
  issueAccount(actor: Actor, patientId: string): Promise<IssuedCodeResponse> {
    return this.access.change(actor, 'patient.update', { patientId }, async (tx, grant) => {
      const row = await this.find(tx, patientId);
      if ((await this.accounts.people(tx, [patientId])).has(patientId))
        throw new ApiError('conflict', 'This patient has an account; ask for a new code there');
      const vault = await this.vault(tx, row);
      return this.accounts.issue(tx, actor, {
        id: patientId,
        role: 'PATIENT',
        hospitalId: grant.hospitalId,
        name: vault.open('patient.name', row.id, row.name),
      });
    });
  }

  read(actor: Actor, patientId: string): Promise<PatientResponse> {
    return this.access.read(actor, 'patient.read', { patientId }, async (manager) => {
      const response = await this.toResponse(manager, await this.find(manager, patientId));
      return actor.role === 'ADMIN' ? masked(response) : response;
    });
  }

  /** Changes administrative data against the version that the caller saw. */
  update(actor: Actor, patientId: string, version: number, dto: UpdatePatientDto): Promise<PatientResponse> {
    if (dto.birthDate !== undefined) assertDay(dto.birthDate);
    return this.access.change(actor, 'patient.update', { patientId }, async (tx) => {
      const row = await this.find(tx, patientId);
      if (row.version !== version) throw new ApiError('version_stale');
      const vault = await this.vault(tx, row);
      const contact = { ...(JSON.parse(vault.open('patient.contact', row.id, row.contact)) as PatientContact), ...pickContact(dto) };
      const changes: Partial<PatientEntity> = {
        version: version + 1,
        contact: vault.seal('patient.contact', row.id, JSON.stringify(contact)),
      };
      if (dto.name !== undefined) changes.name = vault.seal('patient.name', row.id, dto.name);
      if (dto.birthDate !== undefined) changes.birthDate = vault.seal('patient.birth_date', row.id, dto.birthDate);
      if (dto.gender !== undefined) changes.gender = vault.seal('patient.gender', row.id, dto.gender);
      await tx.getRepository(PatientEntity).update({ id: patientId }, changes);
      if (dto.name !== undefined) await this.accounts.rename(tx, patientId, row.hospitalId, dto.name);
      return this.toResponse(tx, { ...row, ...changes });
    });
  }

  /** The hospital's patients; with `q` the one with that identifier; with `shared` the charts elsewhere that are open to the caller. One row on the trail. */
  async list(actor: Actor, query: PatientQuery): Promise<Page<PatientResponse>> {
    const { reader } = this.database;
    const { ids, nextCursor } = await this.idsOf(actor, query);
    const rows =
      ids.length === 0
        ? []
        : await reader.createQueryBuilder(PatientEntity, 'p').where('p.id IN (:...ids)', { ids }).orderBy('p.id').getMany();
    await this.audit.record({
      action: 'patient.list',
      outcome: 'ok',
      actor,
      requestId: actor.requestId,
      hospitalId: actor.hospitalId,
      ids: rows.map((row) => row.id),
    });
    const vaults = await this.keyRing.existingVaults(
      reader,
      rows.map((row) => ({ subjectId: row.id, tenantId: row.hospitalId })),
    );
    const items = rows.flatMap((row) => {
      const vault = vaults.get(vaultKey({ subjectId: row.id, tenantId: row.hospitalId }));
      return vault ? [opened(vault, row)] : [];
    });
    return { items: actor.role === 'ADMIN' ? items.map(masked) : items, nextCursor };
  }

  /** Name and birth date for a print or a question list; needs a grant for this very chart. */
  async summary(manager: EntityManager, grant: Grant): Promise<PatientResponse> {
    return this.toResponse(manager, await this.find(manager, grant.patientId));
  }

  private async idsOf(actor: Actor, query: PatientQuery): Promise<{ ids: string[]; nextCursor: string | null }> {
    const { reader } = this.database;
    if (query.shared === true) {
      const candidates = await this.consents.sharedWith(reader, actor);
      return { ids: await this.access.permitted(reader, actor, 'patient.read', candidates), nextCursor: null };
    }
    if (query.q !== undefined) {
      if (actor.hospitalId === null) return { ids: [], nextCursor: null };
      const id = await this.findByNationalId(reader, actor.hospitalId, query.q);
      const isEnrolled = id !== null && (await this.enrolments.hospitalOf(reader, id)) === actor.hospitalId;
      return { ids: isEnrolled ? [id] : [], nextCursor: null };
    }
    const found = await this.enrolments.page(reader, actor.hospitalId, query.limit + 1, cursorId(query));
    const page = toPage(
      found,
      query.limit,
      (id) => id,
      (id) => id,
    );
    return { ids: page.items, nextCursor: page.nextCursor };
  }

  private async findByNationalId(manager: EntityManager, hospitalId: string, nationalId: string): Promise<string | null> {
    const nationalIdIndex = this.blindIndex.unique(hospitalId, 'patient.national_id', nationalId);
    return (
      (await manager.getRepository(PatientEntity).findOne({ where: { hospitalId, nationalIdIndex }, select: { id: true } }))?.id ?? null
    );
  }

  private async find(manager: EntityManager, id: string): Promise<PatientEntity> {
    const row = await manager.getRepository(PatientEntity).findOneBy({ id });
    if (!row) throw notFound();
    return row;
  }

  private async store(
    tx: EntityManager,
    id: string,
    hospitalId: string,
    profile: PatientProfileDto,
    nationalId: string | null,
  ): Promise<PatientEntity> {
    const vault = await this.keyRing.vault(tx, { subjectId: id, tenantId: hospitalId });
    const contact: PatientContact = { phone: profile.phone ?? null, email: profile.email ?? null, address: profile.address ?? null };
    const row: PatientEntity = {
      id,
      hospitalId,
      name: vault.seal('patient.name', id, profile.name),
      birthDate: vault.seal('patient.birth_date', id, profile.birthDate),
      gender: vault.seal('patient.gender', id, profile.gender),
      nationalId: nationalId === null ? null : vault.seal('patient.national_id', id, nationalId),
      nationalIdIndex: nationalId === null ? null : this.blindIndex.unique(hospitalId, 'patient.national_id', nationalId),
      contact: vault.seal('patient.contact', id, JSON.stringify(contact)),
      version: 1,
      createdAt: this.clock.now(),
    };
    await tx.getRepository(PatientEntity).insert(row);
    return row;
  }

  private vault(manager: EntityManager, row: PatientEntity): Promise<Vault> {
    return this.keyRing.vault(manager, { subjectId: row.id, tenantId: row.hospitalId });
  }

  private async toResponse(manager: EntityManager, row: PatientEntity): Promise<PatientResponse> {
    return opened(await this.vault(manager, row), row);
  }
}

function opened(vault: Vault, row: PatientEntity): PatientResponse {
  const contact = JSON.parse(vault.open('patient.contact', row.id, row.contact)) as PatientContact;
  return {
    id: row.id,
    hospitalId: row.hospitalId,
    name: vault.open('patient.name', row.id, row.name),
    birthDate: vault.open('patient.birth_date', row.id, row.birthDate),
    gender: vault.open('patient.gender', row.id, row.gender),
    nationalId: row.nationalId && vault.open('patient.national_id', row.id, row.nationalId),
    ...contact,
    version: row.version,
    createdAt: isoTime(row.createdAt),
  };
}

/** The founder counts patients and does not need to know them (R21). */
function masked(patient: PatientResponse): PatientResponse {
  return { ...patient, name: MASK, birthDate: MASK, gender: MASK, nationalId: MASK, phone: MASK, email: MASK, address: MASK };
}

function pickContact(dto: UpdatePatientDto): Partial<PatientContact> {
  const { phone, email, address } = dto;
  return {
    ...(phone === undefined ? {} : { phone }),
    ...(email === undefined ? {} : { email }),
    ...(address === undefined ? {} : { address }),
  };
}

function assertDay(day: string): void {
  const date = new Date(`${day}T00:00:00.000Z`);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== day) throw invalid('birthDate', 'must be a day of the calendar');
}
