import type { ApiClient } from './api-client';
import { startTestApp, type TestApp } from './test-app';

export interface Person {
  readonly id: string;
  readonly username: string;
  readonly password: string;
  readonly api: ApiClient;
  readonly refreshToken: string;
  /** Proves that the client is known to the account. */
  readonly deviceToken: string;
  /** Of a doctor: who gives the codes of the patients that the doctor enrols. */
  readonly hospital?: Person;
  /** Seed of the code app, if there is one. */
  readonly seed?: string;
}

/** Founder, two hospitals, two doctors in A and one in B, an auditor, one patient in each hospital: all active and signed in. */
export interface World extends TestApp {
  readonly founder: Person;
  readonly auditor: Person;
  readonly hospitalA: Person;
  readonly hospitalB: Person;
  readonly doctorA: Person;
  readonly colleagueA: Person;
  readonly doctorB: Person;
  readonly patientA: Person;
  readonly patientB: Person;
}

let counter = 0;

/** A password that the policy accepts. */
export const PASSWORD = 'violet kettle walks north';

export function newUsername(prefix: string): string {
  counter += 1;
  return `${prefix}.${counter}`;
}

export async function login(app: Pick<TestApp, 'anonymous'>, id: string, username: string, password = PASSWORD): Promise<Person> {
  const answer = await app.anonymous.post<{ accessToken: string; refreshToken: string; deviceToken: string }>('/auth/login', {
    username,
    password,
  });
  if (answer.status !== 200 || !answer.body.accessToken) throw new Error(`login of ${username}: ${answer.status} ${answer.text}`);
  const { accessToken, refreshToken, deviceToken } = answer.body;
  return { id, username, password, api: app.anonymous.withToken(accessToken), refreshToken, deviceToken };
}

/** Uses a one-time code and signs in. */
export async function activate(app: TestApp, activation: { accountId: string; code: string }, prefix: string): Promise<Person> {
  const username = newUsername(prefix);
  const answer = await app.anonymous.post('/auth/activate', { code: activation.code, username, password: PASSWORD });
  if (answer.status !== 200) throw new Error(`activation: ${answer.status} ${answer.text}`);
  return login(app, activation.accountId, username);
}

interface Activation {
  activation: { accountId: string; code: string };
}

/** The code of an account that a doctor asked for: the doctor's hospital gets it. */
async function codeFor(app: TestApp, { hospital }: Person, accountId: string): Promise<string> {
  if (!hospital) throw new Error('enrol as a doctor who was made with addDoctor, or as a hospital');
  const { api } = await login(app, hospital.id, hospital.username);
  return (await api.post<{ code: string }>(`/accounts/${accountId}/code`)).body.code;
}

export async function addHospital(app: TestApp, founder: Person, name: string): Promise<Person> {
  const answer = await founder.api.post<Activation>('/hospitals', { name, city: 'Diyarbakır', country: 'TR' });
  return activate(app, answer.body.activation, 'hospital');
}

export async function addDoctor(app: TestApp, hospital: Person, name: string): Promise<Person> {
  const answer = await hospital.api.post<Activation>('/hospitals/me/staff', { name, specialty: 'Cardiology', licence: 'TR-114' });
  if (answer.status !== 201) throw new Error(`staff: ${answer.status} ${answer.text}`);
  return { ...(await activate(app, answer.body.activation, 'doctor')), hospital };
}

export async function addPatient(app: TestApp, enroller: Person, name: string, more: Record<string, unknown> = {}): Promise<Person> {
  const profile = { name, birthDate: '1984-02-29', gender: 'female', issueAccount: true, ...more };
  const answer = await enroller.api.post<{ activation: { accountId: string; code: string | null } }>('/patients', profile);
  if (answer.status !== 201) throw new Error(`enrolment: ${answer.status} ${answer.text}`);
  const { accountId, code } = answer.body.activation;
  return activate(app, { accountId, code: code ?? (await codeFor(app, enroller, accountId)) }, 'patient');
}

export async function createWorld(settings: Record<string, string> = {}): Promise<World> {
  const app = await startTestApp(settings);
  const setup = await app.anonymous.post<{ id: string }>('/setup', {
    code: app.setupCode,
    name: 'Founder',
    username: 'founder',
    password: PASSWORD,
  });
  const founder = await login(app, setup.body.id, 'founder');
  const hospitalA = await addHospital(app, founder, 'City Hospital');
  const hospitalB = await addHospital(app, founder, 'Coast Clinic');
  const doctorA = await addDoctor(app, hospitalA, 'Dr. Ada Yılmaz');
  const issued = await founder.api.post<{ accountId: string; code: string }>('/accounts', { role: 'AUDITOR', name: 'Data protection' });
  return {
    ...app,
    founder,
    hospitalA,
    hospitalB,
    doctorA,
    auditor: await activate(app, issued.body, 'auditor'),
    colleagueA: await addDoctor(app, hospitalA, 'Dr. Bo Li 李博'),
    doctorB: await addDoctor(app, hospitalB, 'Dr. Cem Kaya'),
    patientA: await addPatient(app, doctorA, 'Ayşe Demir', { nationalId: '10000000146' }),
    patientB: await addPatient(app, hospitalB, 'Pat Berg'),
  };
}

/** A sealed diagnosis; answers with the record's id. */
export async function sealedDiagnosis(doctor: Person, patientId: string, note = 'first note'): Promise<string> {
  const draft = await draftDiagnosis(doctor, patientId, note);
  const sealed = await doctor.api.post(`/records/${draft}/seal`);
  if (sealed.status !== 201) throw new Error(`seal: ${sealed.status} ${sealed.text}`);
  return draft;
}

export async function draftDiagnosis(doctor: Person, patientId: string, note = 'first note'): Promise<string> {
  const draft = await doctor.api.post<{ id: string }>(`/patients/${patientId}/diagnoses`, {
    code: 'E11.9',
    display: 'Type 2 diabetes mellitus',
    note,
  });
  if (draft.status !== 201) throw new Error(`draft: ${draft.status} ${draft.text}`);
  return draft.body.id;
}
