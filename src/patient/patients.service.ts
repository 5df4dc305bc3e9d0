import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import { AuditService } from '../audit/audit.service';
import { AccountsService } from '../auth/accounts.service';
import type { IssuedCodeResponse, PendingResponse } from '../auth/auth.dto';
import { DecisionsService } from '../auth/decisions.service';
import { IdempotencyService } from '../auth/idempotency.service';
import { RegistrationService } from '../auth/registration.service';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { ApiError, invalid, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing } from '../crypto/key-ring.service';
import { Sealed } from '../crypto/sealed';
import type { Vault } from '../crypto/vault';
import { Database } from '../database/database';
import { insertRow, selectRows, updateRow } from '../database/rows';
import { EnrolmentsService } from '../hospital/enrolments.service';
import { HospitalsService } from '../hospital/hospitals.service';
import type {
  EnrolledPatientResponse,
  EnrolPatientDto,
  PatientProfileDto,
  PatientResponse,
  RegisterPatientDto,
  UpdatePatientDto,
} from './patient.dto';
import { PatientEntity } from './patient.entity';
import { PatientSearchService } from './patient-search.service';
import { masked, opened, type PatientContact, patientByIdentifier } from './patient-view';

/** Patients' administrative data: registration, enrolment, finding and changing. */
@Injectable()
export class PatientsService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessService,
    private readonly accounts: AccountsService,
    private readonly decisions: DecisionsService,
    private readonly registrations: RegistrationService,
    private readonly enrolments: EnrolmentsService,
    private readonly hospitals: HospitalsService,
    private readonly idempotency: IdempotencyService,
    private readonly keyRing: KeyRing,
    private readonly blindIndex: BlindIndex,
    private readonly search: PatientSearchService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {
    // An identifier and a name count from the approval on: a stranger who registers with somebody's number must neither learn that it is in use nor
    // keep the hospital from enrolling its owner.
    this.decisions.onApproved(async (tx, { id, role }) => {
      if (role !== 'PATIENT') return;
      const row = await this.find(tx, id);
      const vault = await this.vault(tx, row);
      await this.search.put(tx, row, vault.open('patient.name', id, row.name));
      if (!row.nationalId) return;
      const nationalId = vault.open('patient.national_id', id, row.nationalId);
      if ((await patientByIdentifier(tx, this.blindIndex, row.hospitalId, nationalId)) !== null) throw alreadyEnrolled();
      const nationalIdIndex = this.blindIndex.unique(row.hospitalId, 'patient.national_id', nationalId);
      await updateRow(tx, PatientEntity, row, { nationalIdIndex });
    });
  }

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
        await this.store(tx, id, hospitalId, dto, false);
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
    const taken =
      profile.nationalId !== undefined && (await patientByIdentifier(tx, this.blindIndex, hospitalId, profile.nationalId)) !== null;
    if (taken) throw alreadyEnrolled();
    const id = newId(this.clock.now());
    const row = await this.store(tx, id, hospitalId, profile, true);
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
      const changed = await updateRow(tx, PatientEntity, row, changes);
      if (dto.name !== undefined) {
        await this.accounts.rename(tx, patientId, dto.name);
        await this.search.put(tx, row, dto.name);
      }
      return this.toResponse(tx, changed);
    });
  }

  /** Name and birth date for a print or a question list; needs a grant for this very chart. */
  async summary(manager: EntityManager, grant: Grant): Promise<PatientResponse> {
    return this.toResponse(manager, await this.find(manager, grant.patientId));
  }

  /** Erasure: leaves nothing of who the patient was. The row stays, for others name its id. */
  async erase(tx: EntityManager, { patientId }: Grant): Promise<void> {
    const nothing = Sealed.nothing;
    const nobody = { name: nothing, birthDate: nothing, gender: nothing, contact: nothing, nationalId: null, nationalIdIndex: null };
    await updateRow(tx, PatientEntity, await this.find(tx, patientId), nobody);
    await this.search.remove(tx, patientId);
  }

  private async find(manager: EntityManager, id: string): Promise<PatientEntity> {
    const [row] = await selectRows(manager, PatientEntity, 'id', [id]);
    if (!row) throw notFound();
    return row;
  }

  private async store(
    tx: EntityManager,
    id: string,
    hospitalId: string,
    profile: PatientProfileDto,
    approved: boolean,
  ): Promise<PatientEntity> {
    const nationalId = profile.nationalId ?? null;
    const vault = await this.keyRing.vault(tx, { subjectId: id, tenantId: hospitalId });
    const contact: PatientContact = { phone: profile.phone ?? null, email: profile.email ?? null, address: profile.address ?? null };
    const row: PatientEntity = {
      id,
      hospitalId,
      name: vault.seal('patient.name', id, profile.name),
      birthDate: vault.seal('patient.birth_date', id, profile.birthDate),
      gender: vault.seal('patient.gender', id, profile.gender),
      nationalId: nationalId === null ? null : vault.seal('patient.national_id', id, nationalId),
      nationalIdIndex: nationalId === null || !approved ? null : this.blindIndex.unique(hospitalId, 'patient.national_id', nationalId),
      contact: vault.seal('patient.contact', id, JSON.stringify(contact)),
      version: 1,
      createdAt: this.clock.now(),
    };
    await insertRow(tx, PatientEntity, row);
    if (approved) await this.search.put(tx, row, profile.name);
    return row;
  }

  private vault(manager: EntityManager, row: PatientEntity): Promise<Vault> {
    return this.keyRing.vault(manager, { subjectId: row.id, tenantId: row.hospitalId });
  }

  private async toResponse(manager: EntityManager, row: PatientEntity): Promise<PatientResponse> {
    return opened(await this.vault(manager, row), row);
  }
}

function pickContact(dto: UpdatePatientDto): Partial<PatientContact> {
  const { phone, email, address } = dto;
  return {
    ...(phone === undefined ? {} : { phone }),
    ...(email === undefined ? {} : { email }),
    ...(address === undefined ? {} : { address }),
  };
}

function alreadyEnrolled(): ApiError {
  const errors = [{ path: 'nationalId', message: 'is enrolled at this hospital' }];
  return new ApiError('already_exists', 'A patient with this identifier is enrolled', { errors });
}

function assertDay(day: string): void {
  const date = new Date(`${day}T00:00:00.000Z`);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== day) throw invalid('birthDate', 'must be a day of the calendar');
}
