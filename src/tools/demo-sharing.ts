import type { Activation } from './demo-accounts';
import type { Person, Stage } from './demo-stage';

const DAY_MS = 86_400_000;

/** A hospital adds a doctor (R3, R9). */
export async function addDoctor(
  stage: Stage,
  hospital: Person,
  doctor: { name: string; specialty: string; username: string; password: string },
): Promise<Person> {
  const { name, specialty, username, password } = doctor;
  const added = await stage.act<Activation>({
    who: hospital,
    call: 'POST /hospitals/me/staff',
    status: 201,
    does: `adds ${name}, ${specialty}`,
    request: { json: { name, specialty, licence: 'TR-35-1907' } },
  });
  return stage.activate(name, username, password, added.body.activation);
}

export async function sharing(stage: Stage, patient: Person, otherHospital: Person, recordId: string): Promise<Person> {
  stage.console.step('The patient lets a doctor of the other hospital read for a week, and withdraws it');
  const profile = { name: 'Dr. Cem Arslan', specialty: 'Endocrinology', username: 'dr.cem', password: 'silver train crosses a bridge' };
  const outsider = await addDoctor(stage, otherHospital, profile);
  const read = { who: outsider, call: `GET /records/${recordId}` } as const;
  await stage.act({ ...read, status: 404, does: 'finds no such record: nothing permits it' });
  const granted = await stage.act<{ version: number; rules: { id: string }[] }>({
    who: patient,
    call: 'POST /patients/me/consent/grants',
    status: 201,
    does: `permits ${outsider.name} to read for seven days;`,
    request: { json: { doctorId: outsider.id, validUntil: new Date(Date.now() + 7 * DAY_MS).toISOString() } },
    shows: ({ version }) => `consent contract ${version}, sealed`,
  });
  await stage.act<{ kind: string }>({ ...read, status: 200, does: 'reads it now:', shows: ({ kind }) => kind });
  await stage.act({
    who: outsider,
    call: `POST /patients/${patient.id}/diagnoses`,
    status: 404,
    does: 'may read, not write',
    request: { json: { code: 'X', display: 'X' } },
  });
  await stage.act<{ version: number }>({
    who: patient,
    call: `DELETE /patients/me/consent/grants/${granted.body.rules[0]?.id ?? ''}`,
    status: 200,
    does: 'withdraws the permission;',
    shows: ({ version }) => `consent contract ${version}, sealed`,
  });
  await stage.act({ ...read, status: 404, does: 'is refused from the next request on' });
  return outsider;
}
