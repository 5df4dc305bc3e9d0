import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient, type Answer } from '../support/api-client';
import { Canaries, filesBelow } from '../support/canaries';
import { openRawFile } from '../support/raw-database';
import { TEST_SETTINGS } from '../support/test-app';
import { type MainServer, runProgram, startMain } from '../support/tools';

interface Activation {
  activation: { accountId: string; code: string };
}
interface Person {
  id: string;
  username: string;
  password: string;
  api: ApiClient;
}

/** The real program, with a temporary folder of its own and the most talkative log. */
const base = mkdtempSync(join(tmpdir(), 'bjwt-canary-'));
const [data, temp, bundles] = ['data', 'tmp', 'bundles'].map((name) => join(base, name)) as [string, string, string];
const env = { ...TEST_SETTINGS, DATA_DIR: data, TMPDIR: temp, LOG_LEVEL: 'debug', LOG_CONSOLE: 'true' };
const canaries = new Canaries();
/** What any program printed. */
const printed: string[] = [];
let server: MainServer;
let anonymous: ApiClient;
beforeAll(async () => {
  for (const dir of [temp, bundles]) mkdirSync(dir);
  server = await startMain(env);
  anonymous = new ApiClient(server.url, null);
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(base, { recursive: true, force: true });
});

const sources = () => new Map([...filesBelow(data, temp), ['printed', Buffer.from(printed.join('\n') + server.output())]]);
function must<T>(answer: Answer<T>, ...statuses: number[]): Answer<T> {
  if (!statuses.includes(answer.status)) throw new Error(`${answer.status} ${answer.text}`);
  return answer;
}
const newCredentials = (who: string) => ({ username: canaries.word(`user name of ${who}`), password: canaries.text(`password of ${who}`) });

async function signIn(id: string, who: string, credentials: { username: string; password: string }): Promise<Person> {
  const { body } = must(await anonymous.post<{ accessToken: string; refreshToken: string }>('/auth/login', credentials), 200);
  canaries.add(`access token of ${who}`, body.accessToken);
  const fresh = must(
    await anonymous.post<{ refreshToken: string }>('/auth/refresh', {
      refreshToken: canaries.add(`refresh token of ${who}`, body.refreshToken),
    }),
    200,
  );
  canaries.add(`next refresh token of ${who}`, fresh.body.refreshToken);
  return { id, ...credentials, api: anonymous.withToken(body.accessToken) };
}
async function activate({ activation }: Activation, who: string): Promise<Person> {
  const credentials = newCredentials(who);
  must(await anonymous.post('/auth/activate', { code: canaries.add(`one-time code of ${who}`, activation.code), ...credentials }), 200);
  return signIn(activation.accountId, who, credentials);
}
const profile = (who: string) => ({
  name: canaries.text(`name of ${who}`),
  birthDate: '1984-02-29',
  gender: 'female',
  nationalId: canaries.word(`national id of ${who}`),
  phone: canaries.text(`phone of ${who}`),
  email: canaries.text(`e-mail of ${who}`),
  address: canaries.text(`address of ${who}`),
});
const staff = (who: string) => ({
  name: canaries.text(`name of ${who}`),
  specialty: canaries.text(`specialty of ${who}`),
  licence: canaries.text(`licence of ${who}`),
});
const condition = (patientId: string, where: string) => ({
  resourceType: 'Condition',
  code: { text: canaries.text(`code text of ${where}`) },
  subject: { reference: `Patient/${patientId}`, display: canaries.text(`subject of ${where}`) },
  note: [{ text: canaries.text(`note of ${where}`) }],
});

/** Founder, hospital, two doctors, patients, an auditor, and people who wait for approval. */
async function people() {
  const credentials = newCredentials('the founder');
  const setup = { code: server.setupCode, name: canaries.text('name of the founder'), ...credentials };
  const founder = await signIn(must(await anonymous.post<{ id: string }>('/setup', setup), 201).body.id, 'the founder', credentials);
  const hospital = await activate(
    must(await founder.api.post<Activation>('/hospitals', { name: 'H', city: 'C', country: 'TR' }), 201).body,
    'the hospital',
  );
  const auditor = { role: 'AUDITOR', name: canaries.text('name of the auditor') };
  const issued = must(await founder.api.post<{ accountId: string; code: string }>('/accounts', auditor), 201);
  await activate({ activation: issued.body }, 'the auditor');
  const hospitalId = must(await hospital.api.get<{ hospitalId: string }>('/auth/me'), 200).body.hospitalId;
  const doctors: Person[] = [];
  for (const who of ['doctor 1', 'doctor 2'])
    doctors.push(await activate(must(await hospital.api.post<Activation>(`/hospitals/${hospitalId}/staff`, staff(who)), 201).body, who));
  const patients: Person[] = [];
  for (let count = 1; count <= 8; count++) {
    const who = `patient ${count}`;
    const options = { headers: { 'idempotency-key': canaries.word(`idempotency key of ${who}`) } };
    const enrolled = await doctors[0]?.api.post<Activation>('/patients', { ...profile(who), issueAccount: true }, options);
    if (!enrolled) throw new Error('no doctor');
    const { accountId } = must(enrolled, 201).body.activation; // the code is for the hospital
    const { code } = must(await hospital.api.post<{ code: string }>(`/accounts/${accountId}/code`), 201).body;
    patients.push(await activate({ activation: { accountId, code } }, who));
  }
  for (const who of ['registered doctor', 'registered patient']) {
    const more = who === 'registered doctor' ? staff(who) : profile(who);
    const kind = who.split(' ')[1] ?? '';
    must(await anonymous.post(`/auth/register/${kind}`, { ...more, ...newCredentials(who), hospitalId }), 202, 201, 200);
  }
  return { founder, hospital, hospitalId, doctors: doctors as [Person, Person], patients: patients as [Person, ...Person[]] };
}

/** Everything clinical that can be written about one patient, sealed and not. */
async function chart(doctor: Person, patient: Person, who: string): Promise<string> {
  const path = `/patients/${patient.id}`;
  const texts = { display: canaries.text(`diagnosis of ${who}`), note: canaries.text(`note on ${who}`) };
  const draft = must(await doctor.api.post<{ id: string }>(`${path}/diagnoses`, { code: 'I10', ...texts }), 201).body.id;
  const changed = { resource: condition(patient.id, `the change for ${who}`) };
  must(await doctor.api.put(`/records/${draft}`, changed, { headers: { 'if-match': '"1"' } }), 200);
  const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(canaries.text(`file name of ${who}`))}`;
  const bytes = Buffer.from(`${'x'.repeat(100_000)}${canaries.text(`file of ${who}`)}`);
  const file = { raw: bytes, headers: { 'content-type': 'text/plain', 'content-disposition': disposition } };
  must(await doctor.api.post(`/records/${draft}/attachments`, undefined, file), 201);
  must(await doctor.api.post(`/records/${draft}/seal`), 201);
  must(await doctor.api.post(`${path}/records`, { resource: condition(patient.id, `the draft for ${who}`) }), 201);
  const gone = must(
    await doctor.api.post<{ id: string }>(`${path}/records`, { resource: condition(patient.id, `the deleted draft for ${who}`) }),
    201,
  );
  must(await doctor.api.delete(`/records/${gone.body.id}`, { headers: { 'if-match': '"1"' } }), 204, 200);
  const correction = {
    kind: 'correction',
    reason: canaries.text(`reason for ${who}`),
    resource: condition(patient.id, `the correction for ${who}`),
  };
  must(await doctor.api.post(`/records/${draft}/corrections`, correction), 201);
  const question = must(await doctor.api.post<{ id: string }>(`${path}/questions`, { text: canaries.text(`question to ${who}`) }), 201);
  must(await patient.api.post(`/questions/${question.body.id}/answer`, { text: canaries.text(`answer of ${who}`) }), 200, 201);
  const change = { phone: canaries.text(`new phone of ${who}`) };
  must(await doctor.api.patch(path, change, { headers: { 'if-match': '"1"' } }), 200);
  return draft;
}

/** Requests that are refused, with what should not be kept in every part of them. */
async function mistakes(doctor: Person, patient: Person): Promise<void> {
  const secret = (where: string) => canaries.text(`${where} of a mistake`);
  const send = (body: unknown) => doctor.api.post(`/patients/${patient.id}/diagnoses`, body);
  const broken = { raw: `{"code":"I10","display":"${secret('broken JSON')}`, headers: { 'content-type': 'application/json' } };
  const answers = [
    await send({ code: 'I10', display: { inner: secret('wrong type') } }),
    await send({ code: 'I10', display: 'x', [secret('unknown name')]: 1 }),
    await doctor.api.post(`/patients/${patient.id}/diagnoses`, undefined, broken),
    await doctor.api.post(`/patients/${patient.id}/records`, {
      resource: { resourceType: 'Condition', [secret('FHIR element')]: secret('FHIR value') },
    }),
    await doctor.api.get(`/records/${encodeURIComponent(secret('path'))}`),
    await doctor.api.get(`/patients?cursor=${encodeURIComponent(secret('cursor'))}`),
    await anonymous.post('/auth/login', { username: secret('user name'), password: secret('password') }),
    await anonymous.post('/auth/login', { username: doctor.username, password: secret('wrong password') }),
    await anonymous.post('/auth/refresh', { refreshToken: `rt_${canaries.word('refresh token of a mistake').padEnd(43, 'x')}` }),
    await anonymous.post('/auth/activate', { code: canaries.word('code of a mistake'), ...newCredentials('a mistake') }),
    await anonymous.withToken(canaries.word('bearer of a mistake')).get('/auth/me'),
    await doctor.api.get('/auth/me', { headers: { 'user-agent': canaries.word('user agent'), cookie: `a=${canaries.word('cookie')}` } }),
  ];
  expect(answers.slice(0, -1).filter(({ status }) => status < 400)).toEqual([]);
  must(await doctor.api.get(`/patients?q=${encodeURIComponent(canaries.text('search'))}`), 200);
}

const bundle = (who: string) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    {
      fullUrl: 'urn:uuid:11111111-1111-4111-8111-111111111111',
      request: { method: 'POST', url: 'Patient' },
      resource: {
        resourceType: 'Patient',
        name: [{ family: canaries.text(`family of ${who}`), given: [canaries.text(`given name of ${who}`)] }],
        gender: 'other',
        birthDate: '1990-05-01',
        identifier: [{ system: 'urn:example', value: canaries.word(`identifier of ${who}`) }],
      },
    },
  ],
});

it('SEC-77 SEC-96 of 200 planted values none is in the database, its journals, the logs, temporary files or what is printed', async () => {
  const { founder, hospital, hospitalId, doctors, patients } = await people();
  const [doctor, colleague] = doctors;
  const [patient] = patients;
  const records: string[] = [];
  for (const [index, one] of patients.entries()) records.push(await chart(doctor, one, `patient ${index + 1}`));
  const record = records[0] ?? '';
  await mistakes(doctor, patient);

  // Read, print, export, verify, import, change, leave, erase.
  const reads: [Person, string][] = [
    ...[
      `/records/${record}`,
      `/records/${record}/content`,
      `/records/${record}/bundle`,
      `/patients/${patient.id}/records`,
      '/patients',
    ].map((path): [Person, string] => [doctor, path]),
    [hospital, `/patients/${patient.id}/print`],
    [hospital, `/hospitals/${hospitalId}/staff/${doctor.id}/dossier`],
    [patient, `/ledger/patients/${patient.id}/export?contents=true`],
    [patient, '/patients/me/access-log'],
    [founder, '/audit/events'],
  ];
  for (const [person, path] of reads) must(await person.api.get(path), 200);
  must(
    await hospital.api.post('/imports', undefined, {
      raw: JSON.stringify(bundle('an import')),
      headers: { 'content-type': 'application/fhir+json' },
    }),
    201,
  );
  const newPassword = canaries.text('new password');
  must(await colleague.api.post('/auth/password', { currentPassword: colleague.password, newPassword }), 200, 204);
  const leaving = { lastDay: '2026-11-22', reason: canaries.text('reason of a departure') };
  must(await hospital.api.post(`/hospitals/${hospitalId}/staff/${colleague.id}/departure`, leaving), 200, 201);
  const asked = must(await patient.api.post<{ id: string }>('/patients/me/erasures', { recordId: record, reason: 'objection' }), 201);
  for (const approver of [hospital, founder]) must(await approver.api.post(`/erasures/${asked.body.id}/approval`), 200, 201);

  // The tools, beside the server.
  writeFileSync(join(bundles, 'one.json'), JSON.stringify(bundle('the import tool')));
  const password = { EHR_PASSWORD: hospital.password };
  const runs = [
    await runProgram('tools/import', [bundles, '--username', hospital.username, '--url', server.url], { ...env, ...password }),
    await runProgram('tools/audit', [], env),
    await runProgram('tools/keys', ['rotate', '--all'], env),
    await runProgram('tools/keys', ['token', 'rotate'], env),
    await runProgram('tools/ledger', ['keys'], env),
  ];
  for (const { code, stdout, stderr } of runs) {
    expect([code, stderr]).toEqual([0, '']);
    printed.push(stdout);
  }
  expect(canaries.planted.length).toBeGreaterThan(200);
  expect(new Set(canaries.planted.map(({ value }) => value)).size).toBe(canaries.planted.length);
  expect(canaries.found(sources())).toEqual([]);
}, 180_000);

it('SEC-77 the search finds what is there: a row and a file in the clear, in each encoding', () => {
  const value = canaries.text('planted on purpose');
  const db = openRawFile(join(data, 'ehr.sqlite'));
  db.exec('CREATE TABLE leak (text text)');
  db.prepare('INSERT INTO leak VALUES (?)').run(value);
  const places = canaries.found(sources());
  db.exec('DROP TABLE leak');
  db.close();
  expect(places).toEqual([expect.stringContaining('planted on purpose as utf-8 in')]);

  const file = join(temp, 'leak');
  const forms: [string, string | Buffer][] = [
    ['utf-16le', Buffer.from(value, 'utf16le')],
    ['utf-16be', Buffer.from(value, 'utf16le').swap16()],
    ['hex', Buffer.from(value).toString('hex')],
    ['JSON', JSON.stringify({ value }).replaceAll('ş', '\\u015f').replaceAll('é', '\\u00e9')],
    ['URL', `?q=${encodeURIComponent(value)}`],
    ...[0, 1, 2].map((shift): [string, string] => [`base64+${shift}`, Buffer.from(`${'y'.repeat(shift)}${value}zz`).toString('base64')]),
    ...[0, 1, 2].map((shift): [string, string] => [
      `base64url+${shift}`,
      Buffer.from(`${'y'.repeat(shift)}${value}zz`).toString('base64url'),
    ]),
  ];
  for (const [form, content] of forms) {
    writeFileSync(file, content);
    const found = canaries.found(filesBelow(temp));
    expect([form, found.some((place) => place.includes(` as ${form} in `))]).toEqual([form, true]);
  }
  unlinkSync(file);
}, 60_000);

it('SEC-88 secrets are neither in the arguments nor in the environment of the process; every file it or a tool made is its own', () => {
  const secrets = ['root.key', 'index.key', 'pepper.key', 'ledger.key'].map((name) =>
    readFileSync(join(data, 'keys', name), 'latin1').trim(),
  );
  for (const name of ['cmdline', 'environ']) {
    const text = readFileSync(`/proc/${server.pid}/${name}`, 'latin1');
    for (const secret of [...secrets, server.setupCode, 'PRIVATE KEY']) expect(text).not.toContain(secret);
    expect(canaries.found(new Map([[name, Buffer.from(text)]]))).toEqual([]);
  }
  const everything = Buffer.concat([...filesBelow(join(data, 'logs')).values(), ...printed.map((text) => Buffer.from(text))]);
  for (const secret of secrets) expect(everything.includes(secret)).toBe(false);
  for (const file of filesBelow(data).keys()) expect([file, statSync(file).mode & 0o077]).toEqual([file, 0]);
});
