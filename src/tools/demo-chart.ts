import { createHash } from 'node:crypto';
import type { Activation } from './demo-accounts';
import type { Person, Stage } from './demo-stage';

interface Draft {
  readonly id: string;
  readonly resource: Readonly<Record<string, unknown>>;
}
interface Sealed {
  readonly height: number;
  readonly blockHash: string;
}

const PATIENT_PASSWORD = 'green umbrella near the sea';
/** A PNG of one grey pixel stands for an X-ray. */
const PICTURE = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGPqAAAAXQBcgH7vrAAAAABJRU5ErkJggg==', 'base64');

const sealShown = ({ height, blockHash }: Sealed): string => `block ${height}, hash ${blockHash.slice(0, 16)}…`;

export async function enrolment(stage: Stage, hospital: Person, doctor: Person): Promise<Person> {
  stage.console.step('The doctor enrols a patient, who chooses a login with a one-time code that only the hospital gets');
  const profile = { name: 'Ayşe Demir', birthDate: '1984-02-29', gender: 'female', nationalId: '10000000146', phone: '+90 412 111 11 11' };
  const enrolled = await stage.act<{ patient: { id: string } }>({
    who: doctor,
    call: 'POST /patients',
    status: 201,
    does: `enrols ${profile.name}`,
    request: { json: { ...profile, issueAccount: true } },
    shows: () => 'personal data is encrypted in every column',
  });
  const issued = await stage.act<Activation['activation']>({
    who: hospital,
    call: `POST /accounts/${enrolled.body.patient.id}/code`,
    status: 201,
    does: 'prints the code for the patient',
  });
  return stage.activate(profile.name, 'ayse.demir', PATIENT_PASSWORD, issued.body);
}

/** Gives the id of the sealed diagnosis. */
export async function diagnosis(stage: Stage, doctor: Person, patient: Person): Promise<string> {
  stage.console.step('The doctor drafts a diagnosis, changes it, attaches a picture and seals it');
  const { body: draft } = await stage.act<Draft>({
    who: doctor,
    call: `POST /patients/${patient.id}/diagnoses`,
    status: 201,
    does: 'drafts a diagnosis (a FHIR R4 Condition)',
    request: {
      json: { code: 'E11.9', display: 'Type 2 diabetes mellitus without complications', note: 'First fasting glucose 131 mg/dL' },
    },
  });
  const json = { resource: { ...draft.resource, note: [{ text: 'Two fasting glucose values above 126 mg/dL' }] } };
  const put = { who: doctor, call: `PUT /records/${draft.id}` } as const;
  await stage.act({ ...put, status: 428, does: 'a change must say which version it saw', request: { json } });
  await stage.act({ ...put, status: 200, does: 'changes the draft', request: { json, headers: { 'if-match': '"1"' } } });
  const file = await stage.act<{ id: string; sha256: string }>({
    who: doctor,
    call: `POST /records/${draft.id}/attachments`,
    status: 201,
    does: 'attaches x-ray.png',
    request: { raw: PICTURE, headers: { 'content-type': 'image/png', 'content-disposition': 'attachment; filename="x-ray.png"' } },
    shows: ({ sha256 }) => `SHA-256 ${sha256.slice(0, 16)}…`,
  });
  const digest = createHash('sha256').update(PICTURE).digest('base64');
  stage.expect('the hash of the stored file is the hash of the file that was sent', digest, file.body.sha256);
  const seal = { who: doctor, call: `POST /records/${draft.id}/seal`, status: 201 } as const;
  await stage.act<Sealed>({ ...seal, does: 'seals it: an explicit act;', shows: sealShown });
  stage.console.step('What is sealed is never changed; something can be added');
  const refused = { status: 409, code: 'record_sealed', does: 'tries to change the sealed record' };
  await stage.act({ ...put, ...refused, request: { json, headers: { 'if-match': '"2"' } } });
  const addendum = { kind: 'addendum', reason: 'Laboratory result arrived later', resource: draft.resource };
  await stage.act<Sealed>({
    who: doctor,
    call: `POST /records/${draft.id}/corrections`,
    status: 201,
    does: 'adds an addendum, itself sealed;',
    request: { json: addendum },
    shows: sealShown,
  });
  return draft.id;
}

export async function question(stage: Stage, doctor: Person, patient: Person): Promise<void> {
  stage.console.step('The doctor asks, the patient answers, and the answer is sealed');
  const asked = await stage.act<{ id: string }>({
    who: doctor,
    call: `POST /patients/${patient.id}/questions`,
    status: 201,
    does: 'asks: since when are you thirsty?',
    request: { json: { text: 'Since when are you so thirsty?' } },
  });
  await stage.act<{ sealed: Sealed }>({
    who: patient,
    call: `POST /questions/${asked.body.id}/answer`,
    status: 201,
    does: 'answers: pazartesiden beri;',
    request: { json: { text: 'Pazartesiden beri (since Monday)' } },
    shows: ({ sealed }) => sealShown(sealed),
  });
}

export async function ownView(stage: Stage, patient: Person, stranger: Person, recordId: string): Promise<void> {
  stage.console.step('The patient reads the own record, sees who read it, and changes nothing');
  await stage.act<{ items: { kind: string }[] }>({
    who: patient,
    call: 'GET /patients/me/records',
    status: 200,
    does: 'reads the own record:',
    shows: ({ items }) => items.map((item) => item.kind).join(', '),
  });
  const log = await stage.act<{ items: { who: string | null; action: string; outcome: string }[] }>({
    who: patient,
    call: 'GET /patients/me/access-log?limit=100',
    status: 200,
    does: 'reads the access log:',
    shows: ({ items }) => `${items.length} entries`,
  });
  for (const item of log.body.items.slice(0, 4)) stage.console.note(`${item.who ?? 'nobody'}: ${item.action} ${item.outcome}`);
  const put = { call: `PUT /records/${recordId}`, request: { json: { resource: {} }, headers: { 'if-match': '"2"' } } } as const;
  await stage.act({ who: patient, ...put, status: [403, 404], does: 'cannot change a record' });
  const patch = { call: `PATCH /patients/${patient.id}`, request: { json: { name: 'X' }, headers: { 'if-match': '"1"' } } } as const;
  await stage.act({ who: patient, ...patch, status: [403, 404], does: 'cannot change the own file' });
  await stage.act({ who: stranger, call: `GET /records/${recordId}`, status: 404, does: 'another patient finds no such record' });
}
