import { testAuthor } from '../reference/chain-maker';
import { ForeignLog } from './foreign-log';
import type { Answer, RequestOptions } from './api-client';
import { AuthorClient, keyRegistration } from './author-client';
import type { Caller } from './role-table';
import { addTotp, askedFor, totpAt } from './second-factors';
import { SoftKey } from './soft-key';
import {
  activate,
  addDoctor,
  addHospital,
  addPatient,
  createWorld,
  draftDiagnosis,
  login,
  newUsername,
  PASSWORD,
  type Person,
  sealedDiagnosis,
  type World,
} from './world';

/** A valid request on a target of its own. */
export interface Plan {
  /** Without /api/v1; `//` in front for paths outside of it. */
  readonly path: string;
  readonly body?: unknown;
  readonly options?: RequestOptions;
  /** Sends in place of the caller, where the request would end the caller's session. */
  readonly as?: Person;
}

type Ids = Record<'id' | 'activation', string>;

/** The people of the role table and what they act on. */
export class RoleScene {
  private second: Person | undefined;

  private constructor(
    readonly world: World,
    readonly people: Readonly<Record<Exclude<Caller, 'nobody'>, Person>>,
    /** A hospital to which consent can be given without opening a chart to somebody in the table. */
    readonly hospitalC: Person,
  ) {}

  static async create(): Promise<RoleScene> {
    const world = await createWorld();
    const people = {
      ADMIN: world.founder,
      AUDITOR: world.auditor,
      HOSPITAL: world.hospitalA,
      'other HOSPITAL': world.hospitalB,
      author: world.doctorA,
      colleague: world.colleagueA,
      'DOCTOR elsewhere': world.doctorB,
      PATIENT: world.patientA,
      'another PATIENT': await addPatient(world, world.doctorA, 'Another Person'),
    };
    await sealedDiagnosis(world.doctorA, world.patientA.id); // so that there is a chain
    return new RoleScene(world, people, await addHospital(world, world.founder, 'Third Hospital'));
  }

  /** A valid request of a row of the role table, on a fresh target. */
  plan(route: string, about: string, caller: Caller): Promise<Plan> {
    const maker = PLANS[`${route} (${about})`] ?? PLANS[route];
    if (!maker) throw new Error(`no request for ${route}`);
    return Promise.resolve(maker(this, caller, about));
  }

  /** Sends a plan as the caller, or as whom it names. */
  send(method: string, plan: Plan, caller: Caller): Promise<Answer> {
    const client = plan.as?.api ?? (caller === 'nobody' ? this.world.anonymous : this.people[caller].api);
    return client.send(method, plan.path, plan.body, plan.options);
  }

  /** An event about the patient. */
  async event(): Promise<string> {
    const log = await this.world.patientA.api.get<{ items: { id: string; action: string }[] }>('/patients/me/access-log');
    // Of the hospital: what the founder or the auditor asked of the trail concerns none.
    return log.body.items.find(({ action }) => action !== 'trail.read')?.id ?? '';
  }

  get patient(): string {
    return this.world.patientA.id;
  }

  /** A new session of the same person; its end does not touch the others. */
  session(caller: Caller): Promise<Person> | undefined {
    return caller === 'nobody' ? undefined : login(this.world, this.people[caller].id, this.people[caller].username);
  }

  /** A double with a code app. */
  async withTotp(caller: Caller): Promise<Person & { seed: string }> {
    const person = (await this.double(caller)) ?? (await this.double('author'));
    if (!person) throw new Error('no double');
    return addTotp(this.world, person);
  }

  /** Another person in the same position, whose password may change. */
  async double(caller: Caller): Promise<Person | undefined> {
    const { founder, hospitalA, hospitalB, doctorA } = this.world;
    if (caller === 'nobody') return undefined;
    if (caller === 'ADMIN') return this.furtherFounder();
    if (caller === 'AUDITOR') {
      const issued = await founder.api.post<{ accountId: string; code: string }>('/accounts', { role: caller, name: 'Double' });
      return activate(this.world, issued.body, 'double');
    }
    if (caller === 'HOSPITAL' || caller === 'other HOSPITAL') return addHospital(this.world, founder, 'Double');
    if (caller === 'PATIENT' || caller === 'another PATIENT') return addPatient(this.world, doctorA, 'Double');
    return addDoctor(this.world, caller === 'DOCTOR elsewhere' ? hospitalB : hospitalA, 'Double');
  }

  /** The second founder is issued at once; the others wait for that one's approval. */
  private async furtherFounder(): Promise<Person> {
    const invite = async () =>
      (await this.world.founder.api.post<{ accountId: string; code: string }>('/accounts', { role: 'ADMIN', name: 'Double' })).body;
    this.second ??= await activate(this.world, await invite(), 'second');
    const { api } = await login(this.world, this.second.id, this.second.username);
    const { accountId } = await invite();
    const approved = await api.post<{ activation: { accountId: string; code: string } }>(`/accounts/${accountId}/approve`);
    return activate(this.world, approved.body.activation, 'double');
  }

  /** A doctor of hospital A whose account is in this state. */
  async account(state: 'PENDING' | 'ACTIVE' | 'LOCKED' | 'ISSUED'): Promise<string> {
    const { hospitalA, anonymous } = this.world;
    if (state === 'ISSUED') return (await this.staff()).id;
    if (state === 'PENDING') {
      await anonymous.post('/auth/register/doctor', registration(hospitalA.id, { specialty: 'Surgery' }));
      const queue = await hospitalA.api.get<{ items: { id: string }[] }>('/accounts?status=PENDING&limit=100');
      return queue.body.items.at(-1)?.id ?? '';
    }
    const { id } = await addDoctor(this.world, hospitalA, 'Dr. Target');
    if (state === 'LOCKED') await hospitalA.api.post(`/accounts/${id}/lock`);
    return id;
  }

  async staff(): Promise<Ids> {
    const body = { name: 'Dr. New', specialty: 'Surgery' };
    const added = await this.world.hospitalA.api.post<{ activation: { accountId: string; code: string } }>('/hospitals/me/staff', body);
    return { id: added.body.activation.accountId, activation: added.body.activation.code };
  }

  record(about: string): Promise<string> {
    return about === 'sealed' ? sealedDiagnosis(this.world.doctorA, this.patient) : draftDiagnosis(this.world.doctorA, this.patient);
  }

  /** A record with one file. */
  async recordWithFile(about: string): Promise<{ id: string; file: string }> {
    const { doctorA } = this.world;
    const id = await draftDiagnosis(doctorA, this.patient);
    const added = await doctorA.api.post<{ id: string }>(`/records/${id}/attachments`, undefined, upload());
    if (about === 'sealed') await doctorA.api.post(`/records/${id}/seal`);
    return { id, file: added.body.id };
  }

  async question(): Promise<string> {
    return (await this.world.doctorA.api.post<{ id: string }>(`/patients/${this.patient}/questions`, { text: 'Since when?' })).body.id;
  }

  /** What the patient asked to erase: a fresh sealed record. Whoever asks or approves comes with a fresh sign-in (SEC-45). */
  async erasure(): Promise<string> {
    const recordId = await this.record('sealed');
    const patient = await this.session('PATIENT');
    const asked = await patient?.api.post<{ id: string }>('/patients/me/erasures', { recordId, reason: 'objection' });
    return asked?.body.id ?? '';
  }

  async executedErasure(): Promise<string> {
    const id = await this.erasure();
    for (const caller of ['HOSPITAL', 'ADMIN'] as const) await (await this.session(caller))?.api.post(`/erasures/${id}/approval`);
    return id;
  }

  async consentRule(): Promise<string> {
    const answer = await this.world.patientA.api.post<{ rules: { id: string }[] }>(
      '/patients/me/consent/grants',
      grantTo(this.hospitalC.id),
    );
    return answer.body.rules.at(-1)?.id ?? '';
  }

  async patientWithoutAccount(): Promise<string> {
    return (await this.world.doctorA.api.post<{ patient: { id: string } }>('/patients', profile())).body.patient.id;
  }

  /** A doctor of hospital A who has sealed something, and the thumbprint of the key that this made. */
  async signer(): Promise<{ doctor: Person; kid: string }> {
    const { hospitalA } = this.world;
    const doctor = await addDoctor(this.world, hospitalA, 'Dr. Signer');
    await sealedDiagnosis(doctor, this.patient);
    const keys = await hospitalA.api.get<{ items: { kid: string; accountId: string }[] }>('/ledger/keys?limit=100');
    return { doctor, kid: keys.body.items.find((key) => key.accountId === doctor.id)?.kid ?? '' };
  }

  /** A doctor of hospital A whose own client keeps the key. */
  async keyHolder(): Promise<Person> {
    const doctor = await addDoctor(this.world, this.world.hospitalA, 'Dr. Own Key');
    return (await AuthorClient.register(doctor, this.world.hospitalA, newUsername('key'))).doctor;
  }

  async versionOf(path: string): Promise<string> {
    return (await this.world.doctorA.api.get<{ version: number }>(path)).body.version.toString();
  }
}

export function condition(patientId: string): Record<string, unknown> {
  return {
    resourceType: 'Condition',
    code: { coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code: 'I10', display: 'Hypertension' }] },
    subject: { reference: `Patient/${patientId}` },
    note: [{ text: 'note' }],
  };
}

export function bundle(): Record<string, unknown> {
  const person = 'urn:uuid:6ba7b810-9dad-41d1-80b4-00c04fd430c8';
  const entry = (fullUrl: string, resource: object) => ({ fullUrl, resource, request: { method: 'POST', url: 'Patient' } });
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      entry(person, { resourceType: 'Patient', name: [{ family: newUsername('Imported') }], gender: 'female', birthDate: '1990-01-01' }),
    ],
  };
}

function upload(): RequestOptions {
  return { raw: Buffer.from('file'), headers: { 'content-type': 'image/png', 'content-disposition': 'attachment; filename="scan.png"' } };
}

const profile = () => ({ name: 'Enrolled Person', birthDate: '1984-02-29', gender: 'female' });
const registration = (hospitalId: string, more: object) => ({
  name: 'New Person',
  hospitalId,
  username: newUsername('new'),
  password: PASSWORD,
  ...more,
});
const grantTo = (hospitalId: string) => ({ hospitalId, validUntil: new Date(Date.now() + 3_600_000).toISOString() });

type Maker = (scene: RoleScene, caller: Caller, about: string) => Plan | Promise<Plan>;

/** With a fresh sign-in of the caller. */
async function freshly(scene: RoleScene, caller: Caller, plan: Plan): Promise<Plan> {
  const as = await scene.session(caller);
  return { ...plan, ...(as ? { as } : {}) };
}

/** An own session or an own double in place of the caller. */
function own(path: string, body?: unknown): Maker {
  return async (scene, caller) => {
    const as = body === undefined ? await scene.session(caller) : await scene.double(caller);
    return { path, body, ...(as ? { as } : {}) };
  };
}

/** What a double in the caller's place has begun. */
function begun(path: string, begin: (person: Person, scene: RoleScene) => Promise<unknown>): Maker {
  return async (scene, caller) => {
    const person = (await scene.double(caller)) ?? (await scene.double('author'));
    return { path, body: person && (await begin(person, scene)), ...(caller !== 'nobody' && person && { as: person }) };
  };
}

const decide = (act: string, state: Parameters<RoleScene['account']>[0]): Maker => {
  return async (scene) => ({ path: `/accounts/${await scene.account(state)}/${act}` });
};
const onPatient = (rest: string, body?: (patientId: string) => unknown): Maker => {
  return (scene) => ({ path: `/patients/${scene.patient}${rest}`, body: body?.(scene.patient) });
};
const onRecord = (rest: string, body?: (patientId: string) => unknown, options: RequestOptions = {}): Maker => {
  return async (scene, _caller, about) => ({
    path: `/records/${await scene.record(about)}${rest}`,
    body: body?.(scene.patient),
    options,
  });
};
const at = (path: string): Maker => {
  return (scene) => ({ path: path.replace('HOSPITAL', scene.world.hospitalA.id).replace('AUTHOR', scene.world.doctorA.id) });
};
const ofLog = (rest: string): Maker => {
  return async (scene) => {
    await scene.record('sealed');
    return { path: `/ledger/logs/${scene.world.hospitalA.id}/${rest}` };
  };
};
const IF_FIRST: RequestOptions = { headers: { 'if-match': '"1"' } };
const day = new Date().toISOString().slice(0, 10);

const PLANS: Readonly<Record<string, Maker>> = {
  'POST /api/v1/setup': () => ({
    path: '/setup',
    body: { code: 'AAAAA-AAAAA', name: 'X', username: newUsername('x'), password: PASSWORD },
  }),
  'POST /api/v1/auth/register/doctor': ({ world }) => ({
    path: '/auth/register/doctor',
    body: registration(world.hospitalA.id, { specialty: 'Surgery' }),
  }),
  'POST /api/v1/auth/register/patient': ({ world }) => ({
    path: '/auth/register/patient',
    body: registration(world.hospitalA.id, { birthDate: '1990-01-01', gender: 'male' }),
  }),
  'POST /api/v1/auth/login': ({ world }) => ({ path: '/auth/login', body: { username: world.doctorA.username, password: PASSWORD } }),
  'POST /api/v1/auth/activate': async (scene) => {
    const { activation } = await scene.staff();
    return { path: '/auth/activate', body: { code: activation, username: newUsername('activated'), password: PASSWORD } };
  },
  'POST /api/v1/auth/refresh': async (scene) => ({
    path: '/auth/refresh',
    body: { refreshToken: (await scene.session('author'))?.refreshToken },
  }),
  'GET /.well-known/jwks.json': at('//.well-known/jwks.json'),
  'GET /health/live': at('//health/live'),
  'GET /health/ready': at('//health/ready'),
  'GET /metrics': at('//metrics'),
  'GET /api/v1/ledger/logs': at('/ledger/logs'),
  'GET /api/v1/ledger/checkpoint': at('/ledger/checkpoint'),
  'GET /api/v1/ledger/tile/{path}': at('/ledger/tile/0/000.p/1'),
  'GET /api/v1/ledger/logs/{hospitalId}/checkpoint': ofLog('checkpoint'),
  'GET /api/v1/ledger/logs/{hospitalId}/consistency': ofLog('consistency?from=1'),
  'GET /api/v1/ledger/logs/{hospitalId}/policy': ofLog('policy'),
  'GET /api/v1/ledger/logs/{hospitalId}/tile/{path}': ofLog('tile/0/000.p/1'),
  'POST /witness/add-checkpoint': () => ({
    path: '//witness/add-checkpoint',
    options: { raw: new ForeignLog('log.stranger.example/1').request(1), headers: { 'content-type': 'text/plain' } },
  }),
  'GET /witness/{originHash}/checkpoint': at(`//witness/${'0'.repeat(64)}/checkpoint`),
  'POST /api/v1/auth/logout': own('/auth/logout'),
  'POST /api/v1/auth/password': own('/auth/password', { currentPassword: PASSWORD, newPassword: 'seven quiet lamps in snow' }),
  'GET /api/v1/auth/me': at('/auth/me'),
  'GET /api/v1/auth/sessions': at('/auth/sessions'),
  'GET /api/v1/auth/devices': at('/auth/devices'),
  'DELETE /api/v1/auth/devices/{id}': async (scene) => {
    const devices = await (await scene.session('author'))?.api.get<{ id: string }[]>('/auth/devices');
    return { path: `/auth/devices/${devices?.body[0]?.id}` };
  },
  'DELETE /api/v1/auth/sessions/{id}': async (scene) => {
    const session = await scene.session('author');
    const sessions = await session?.api.get<{ id: string; current: boolean }[]>('/auth/sessions');
    return { path: `/auth/sessions/${sessions?.body.find((item) => item.current)?.id}` };
  },
  'POST /api/v1/auth/login/second-factor': async (scene) => {
    const person = await scene.withTotp('author');
    const { mfaToken } = await askedFor(scene.world, person);
    return { path: '/auth/login/second-factor', body: { mfaToken, totp: totpAt(person.seed, scene.world.clock.now()) } };
  },
  'POST /api/v1/auth/step-up': own('/auth/step-up', { password: PASSWORD }),
  'DELETE /api/v1/auth/sessions': async (scene, caller) => {
    const as = await scene.double(caller);
    return { path: '/auth/sessions', ...(as && { as }) };
  },
  'GET /api/v1/auth/factors': at('/auth/factors'),
  'POST /api/v1/auth/factors/totp': begun('/auth/factors/totp', () => Promise.resolve(undefined)),
  'POST /api/v1/auth/factors/totp/confirmation': begun('/auth/factors/totp/confirmation', async ({ api }, { world }) => {
    const { body } = await api.post<{ secret: string }>('/auth/factors/totp');
    return { code: totpAt(body.secret, world.clock.now()) };
  }),
  'POST /api/v1/auth/factors/webauthn/options': begun('/auth/factors/webauthn/options', () => Promise.resolve(undefined)),
  'POST /api/v1/auth/factors/webauthn': begun('/auth/factors/webauthn', async ({ api }) => {
    const { body } = await api.post<{ challenge: string }>('/auth/factors/webauthn/options');
    return new SoftKey('localhost', 'http://localhost:0').create(body.challenge); // the default origin has the port of PORT
  }),
  'POST /api/v1/auth/factors/recovery-codes': async (scene, caller) => {
    const as = await scene.withTotp(caller);
    return { path: '/auth/factors/recovery-codes', ...(caller !== 'nobody' && { as }) };
  },
  'DELETE /api/v1/auth/factors/{id}': async (scene, caller) => {
    const person = await scene.withTotp('author');
    const { body } = await person.api.get<{ factors: { id: string }[] }>('/auth/factors');
    return { path: `/auth/factors/${body.factors[0]?.id}`, ...(caller === 'author' && { as: person }) };
  },
  'GET /api/v1/accounts/{id}/sessions': decide('sessions', 'ACTIVE'),
  'DELETE /api/v1/accounts/{id}/sessions': decide('sessions', 'ACTIVE'),
  'GET /api/v1/accounts': at('/accounts?limit=100'),
  'POST /api/v1/accounts': () => ({ path: '/accounts', body: { role: 'AUDITOR', name: 'Auditor' } }),
  'POST /api/v1/accounts/{id}/approve': decide('approve', 'PENDING'),
  'POST /api/v1/accounts/{id}/reject': decide('reject', 'PENDING'),
  'POST /api/v1/accounts/{id}/lock': decide('lock', 'ACTIVE'),
  'POST /api/v1/accounts/{id}/unlock': decide('unlock', 'LOCKED'),
  'POST /api/v1/accounts/{id}/close': decide('close', 'ACTIVE'),
  'POST /api/v1/accounts/{id}/code': decide('code', 'ISSUED'),
  "POST /api/v1/accounts/{id}/lock (HOSP2's login)": async ({ world }) => ({
    path: `/accounts/${(await addHospital(world, world.founder, 'To be locked')).id}/lock`,
  }),
  'POST /api/v1/hospitals': () => ({ path: '/hospitals', body: { name: 'New Hospital', city: 'İzmir', country: 'TR' } }),
  'GET /api/v1/hospitals': at('/hospitals'),
  'GET /api/v1/hospitals/{id}': at('/hospitals/HOSPITAL'),
  'GET /api/v1/hospitals/{id}/staff': at('/hospitals/HOSPITAL/staff'),
  'POST /api/v1/hospitals/{id}/staff': ({ world }) => ({
    path: `/hospitals/${world.hospitalA.id}/staff`,
    body: { name: 'Dr. New', specialty: 'Surgery' },
  }),
  'POST /api/v1/hospitals/{id}/staff/{doctorId}/departure': async (scene) => ({
    path: `/hospitals/${scene.world.hospitalA.id}/staff/${(await scene.staff()).id}/departure`,
    body: { lastDay: '2026-11-22', reason: 'moved' },
  }),
  'GET /api/v1/hospitals/{id}/staff/{doctorId}/dossier': at('/hospitals/HOSPITAL/staff/AUTHOR/dossier'),
  'GET /api/v1/hospitals/{id}/entries': at('/hospitals/HOSPITAL/entries'),
  'GET /api/v1/doctors/{id}': at('/doctors/AUTHOR'),
  'GET /api/v1/doctors/{id}/print': at('/doctors/AUTHOR/print'),
  'GET /api/v1/doctors/me/worklist': at('/doctors/me/worklist'),
  'POST /api/v1/patients': () => ({ path: '/patients', body: profile() }),
  'GET /api/v1/patients': at('/patients'),
  'GET /api/v1/patients/{id}': onPatient(''),
  'PATCH /api/v1/patients/{id}': async (scene) => ({
    path: `/patients/${scene.patient}`,
    body: { phone: '+90 412 000 00 00' },
    options: { headers: { 'if-match': `"${await scene.versionOf(`/patients/${scene.patient}`)}"` } },
  }),
  'POST /api/v1/patients/{id}/account': async (scene) => ({ path: `/patients/${await scene.patientWithoutAccount()}/account` }),
  'GET /api/v1/patients/{id}/print': onPatient('/print'),
  'GET /api/v1/patients/me/access-log': at('/patients/me/access-log'),
  'GET /api/v1/patients/me/consent': at('/patients/me/consent'),
  'POST /api/v1/patients/me/consent/grants': ({ hospitalC }) => ({ path: '/patients/me/consent/grants', body: grantTo(hospitalC.id) }),
  'DELETE /api/v1/patients/me/consent/grants/{ruleId}': async (scene) => ({
    path: `/patients/me/consent/grants/${await scene.consentRule()}`,
  }),
  'POST /api/v1/imports': () => ({
    path: '/imports',
    options: { raw: JSON.stringify(bundle()), headers: { 'content-type': 'application/fhir+json' } },
  }),
  'POST /api/v1/patients/{id}/diagnoses': onPatient('/diagnoses', () => ({ code: 'I10', display: 'Hypertension' })),
  'POST /api/v1/patients/{id}/records': onPatient('/records', (id) => ({ resource: condition(id) })),
  'GET /api/v1/patients/{id}/records': onPatient('/records'),
  'GET /api/v1/records/{id}': onRecord(''),
  'GET /api/v1/records/{id}/content': onRecord('/content'),
  'GET /api/v1/records/{id}/receipt': onRecord('/receipt'),
  'GET /api/v1/records/{id}/bundle': onRecord('/bundle'),
  'PUT /api/v1/records/{id}': onRecord('', (id) => ({ resource: condition(id) }), IF_FIRST),
  'DELETE /api/v1/records/{id}': onRecord('', undefined, IF_FIRST),
  'POST /api/v1/records/{id}/attestation': onRecord('/attestation'),
  'POST /api/v1/records/{id}/attestation (draft)': async (scene, caller) => {
    const holder = caller === 'author' ? await scene.keyHolder() : scene.world.doctorA;
    return { path: `/records/${await draftDiagnosis(holder, scene.patient)}/attestation`, ...(caller === 'author' && { as: holder }) };
  },
  'POST /api/v1/records/{id}/seal': onRecord('/seal'),
  'POST /api/v1/records/{id}/corrections/attestation': async (scene, caller) => ({
    path: `/records/${await scene.record('sealed')}/corrections/attestation`,
    body: { kind: 'retraction', reason: 'mine' },
    ...((caller === 'author' || caller === 'colleague') && { as: await scene.keyHolder() }),
  }),
  'POST /api/v1/records/{id}/corrections': onRecord('/corrections', (id) => ({
    kind: 'addendum',
    reason: 'new finding',
    resource: condition(id),
  })),
  'POST /api/v1/records/{id}/attachments': onRecord('/attachments', undefined, upload()),
  'GET /api/v1/records/{id}/attachments': onRecord('/attachments'),
  'GET /api/v1/records/{id}/attachments/{attachmentId}': async (scene, _caller, about) => {
    const { id, file } = await scene.recordWithFile(about);
    return { path: `/records/${id}/attachments/${file}` };
  },
  'POST /api/v1/patients/{id}/questions': onPatient('/questions', () => ({ text: 'Since when?' })),
  'GET /api/v1/patients/{id}/questions': onPatient('/questions'),
  'POST /api/v1/questions/{id}/answer': async (scene) => ({
    path: `/questions/${await scene.question()}/answer`,
    body: { text: 'Monday' },
  }),
  'POST /api/v1/patients/{id}/erasures': async (scene, caller) =>
    freshly(scene, caller, {
      path: `/patients/${scene.patient}/erasures`,
      body: { recordId: await scene.record('sealed'), reason: 'objection' },
    }),
  'GET /api/v1/patients/{id}/erasures': onPatient('/erasures'),
  'GET /api/v1/erasures': at('/erasures'),
  'POST /api/v1/erasures/{id}/approval': async (scene, caller) =>
    freshly(scene, caller, { path: `/erasures/${await scene.erasure()}/approval` }),
  'POST /api/v1/erasures/{id}/refusal': async (scene) => ({ path: `/erasures/${await scene.erasure()}/refusal` }),
  'GET /api/v1/erasures/{id}/certificate': async (scene) => ({ path: `/erasures/${await scene.executedErasure()}/certificate` }),
  'GET /api/v1/audit/events': at('/audit/events'),
  'GET /api/v1/audit/events/{id}/proof': async (scene) => ({ path: `/audit/events/${await scene.event()}/proof` }),
  'GET /api/v1/activity': at(`/activity?date=${day}`),
  'GET /api/v1/ledger/status': at('/ledger/status'),
  'GET /api/v1/ledger/keys': at('/ledger/keys'),
  'POST /api/v1/ledger/keys': async (scene, caller) => {
    const person = await scene.double(caller === 'nobody' ? 'author' : caller);
    const hospital = caller === 'DOCTOR elsewhere' ? scene.world.hospitalB : scene.world.hospitalA;
    const body = await keyRegistration(hospital, person?.id ?? '', testAuthor(newUsername('key')));
    return { path: '/ledger/keys', body, ...(caller !== 'nobody' && person && { as: person }) };
  },
  'POST /api/v1/ledger/keys/{kid}/revocation': async (scene, caller) => {
    const { doctor, kid } = await scene.signer();
    return { path: `/ledger/keys/${kid}/revocation`, body: { reason: 'lost' }, ...(caller === 'author' && { as: doctor }) };
  },
  'GET /api/v1/ledger/patients/{id}/chain': (scene) => ({ path: `/ledger/patients/${scene.patient}/chain` }),
  'GET /api/v1/ledger/patients/{id}/export': (scene) => ({ path: `/ledger/patients/${scene.patient}/export` }),
  'POST /api/v1/ledger/patients/{id}/verify': (scene) => ({ path: `/ledger/patients/${scene.patient}/verify` }),
};
