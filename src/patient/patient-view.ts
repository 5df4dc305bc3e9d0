import type { EntityManager } from 'typeorm';
import { isoTime } from '../common/clock';
import { BlindIndex } from '../crypto/blind-index';
import type { Vault } from '../crypto/vault';
import type { PatientResponse } from './patient.dto';
import { PatientEntity } from './patient.entity';

/** How a patient is reached; stored sealed, as JSON. */
export interface PatientContact {
  readonly phone: string | null;
  readonly email: string | null;
  readonly address: string | null;
}

const MASK = '***';

/** A patient's row with its values opened. */
export function opened(vault: Vault, row: PatientEntity): PatientResponse {
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
export function masked(patient: PatientResponse): PatientResponse {
  return { ...patient, name: MASK, birthDate: MASK, gender: MASK, nationalId: MASK, phone: MASK, email: MASK, address: MASK };
}

/** Who has this identifier at this hospital, by its blind index. Registrations count only after approval. */
export async function patientByIdentifier(
  manager: EntityManager,
  blindIndex: BlindIndex,
  hospitalId: string,
  nationalId: string,
): Promise<string | null> {
  const nationalIdIndex = blindIndex.unique(hospitalId, 'patient.national_id', nationalId);
  return (await manager.getRepository(PatientEntity).findOne({ where: { hospitalId, nationalIdIndex }, select: { id: true } }))?.id ?? null;
}
