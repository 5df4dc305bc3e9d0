import { PATH_METADATA, METHOD_METADATA } from '@nestjs/common/constants';
import { ModulesContainer } from '@nestjs/core';
import { RequestMethod } from '@nestjs/common';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { PUBLIC_KEY, ROLES_KEY } from '../../src/common/actor';
import { Database } from '../../src/database/database';
import { PatientEntity } from '../../src/patient/patient.entity';
import type { Answer } from '../support/api-client';
import { openRaw, rows, tableNames, tamper } from '../support/raw-database';
import { allRoutes, openApi, type OpenApiDocument } from '../support/routes';
import { databaseFiles } from '../support/database-files';
import {
  activate,
  addPatient,
  createWorld,
  draftDiagnosis,
  login,
  PASSWORD,
  type Person,
  sealedDiagnosis,
  type World,
} from '../support/world';

interface Event {
  id: string;
  at: string;
  action: string;
  outcome: string;
  actorId: string | null;
  actorRole: string | null;
  hospitalId: string | null;
  patientId: string | null;
  subjectId: string | null;
  requestId: string;
  rules: string[];
}
interface Activity {
  date: string;
  added: number;
  counts: { hospitalId: string | null; action: string; kind: string | null; outcome: string; count: number }[];
}
interface Problem {
  status: number;
  code: string;
  requestId: string;
  errors?: { path: string; message: string }[];
}
const DAY = 86_400_000;

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const as = (person: Person) => login(world, person.id, person.username, person.password);
const logFile = (name: string) => join(world.foundations.config.logDir, name);
const lines = (name: string) =>
  readFileSync(logFile(name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Log files are written behind the answer. */
async function eventually(check: () => void): Promise<void> {
  for (let waited = 0; ; waited += 25) {
    try {
      return check();
    } catch (error) {
      if (waited > 4000) throw error;
      await new Promise((tick) => setTimeout(tick, 25));
    }
  }
}

/** How many rows each table has, without the trail and sessions. */
function counts(): Record<string, number> {
  const db = openRaw(world);
  const tables = tableNames(db).filter((name) => !['audit_event', 'session', 'refresh_token'].includes(name));
  const found = Object.fromEntries(
    tables.map((name) => [name, rows<{ n: number }>(db, `SELECT COUNT(*) AS n FROM "${name}"`)[0]?.n ?? -1]),
  );
  db.close();
  return found;
}

describe('R20 oversight', () => {
  test('R20 the founder sees what one day added: counts by hospital, act and kind, without a name or a content', async () => {
    world.clock.advance(DAY - (world.clock.now() % DAY) + 60_000); // a day of its own
    const date = new Date(world.clock.now()).toISOString().slice(0, 10);
    const [founder, hospitalA, doctorA, doctorB] = [
      await as(world.founder),
      await as(world.hospitalA),
      await as(world.doctorA),
      await as(world.doctorB),
    ];
    const patient = await addPatient(world, hospitalA, 'Counted Person');
    for (let i = 0; i < 2; i += 1) await sealedDiagnosis(doctorA, patient.id, 'counted note');
    await draftDiagnosis(doctorA, patient.id, 'counted draft');
    await sealedDiagnosis(doctorB, world.patientB.id);
    const asked = await doctorA.api.post<{ id: string }>(`/patients/${patient.id}/questions`, { text: 'counted question' });
    await patient.api.post(`/questions/${asked.body.id}/answer`, { text: 'counted answer' });
    const seen = (await founder.api.get<Activity>(`/activity?date=${date}`)).body;
    const of = (hospitalId: string, action: string, kind: string | null = null) =>
      seen.counts
        .filter((row) => row.hospitalId === hospitalId && row.action === action && row.kind === kind && row.outcome === 'ok')
        .map((row) => row.count);
    expect(of(hospitalA.id, 'record.create', 'Condition')).toEqual([3]);
    expect(of(hospitalA.id, 'record.seal', 'Condition')).toEqual([2]);
    expect(of(world.hospitalB.id, 'record.seal', 'Condition')).toEqual([1]);
    expect(of(hospitalA.id, 'patient.enrol')).toEqual([1]);
    expect(of(hospitalA.id, 'account.issue', 'PATIENT')).toEqual([1]);
    expect(of(hospitalA.id, 'question.ask')).toEqual([1]);
    expect(of(hospitalA.id, 'question.answer', 'QuestionnaireResponse')).toEqual([1]);
    expect(seen).toMatchObject({ date, added: 3 + 2 + 1 + 1 + 1 + 1 + 1 + 1 });
    expect(JSON.stringify(seen)).not.toMatch(/ounted|Ada|Type 2|E11/);
    const own = (await hospitalA.api.get<Activity>(`/activity?date=${date}`)).body;
    expect(new Set(own.counts.map((row) => row.hospitalId))).toEqual(new Set([hospitalA.id]));
    expect(own.added).toBe(seen.added - 2);
    const next = new Date(Date.parse(date) + DAY).toISOString().slice(0, 10);
    expect((await founder.api.get<Activity>(`/activity?date=${next}`)).body).toMatchObject({ added: 0, counts: [] });
    for (const wrong of ['2026-02-30', '2026-13-01', 'today', ''])
      expect((await founder.api.get(`/activity?date=${wrong}`)).status).toBe(400);
    for (const person of [doctorA, patient]) expect((await person.api.get(`/activity?date=${date}`)).status).toBe(403);
  });

  test('R20 the trail says who changed what and when, refusals too, and reading it is on it', async () => {
    const [founder, hospitalA, doctorA, doctorB] = [
      await as(world.founder),
      await as(world.hospitalA),
      await as(world.doctorA),
      await as(world.doctorB),
    ];
    const patient = await addPatient(world, hospitalA, 'Changed Person');
    const since = new Date(world.clock.now()).toISOString();
    const changed = await doctorA.api.patch(`/patients/${patient.id}`, { phone: '+90 555' }, { headers: { 'if-match': '"1"' } });
    const record = await sealedDiagnosis(doctorA, patient.id);
    const refused = await doctorB.api.get(`/records/${record}`);
    await hospitalA.api.post(`/accounts/${patient.id}/lock`);
    const trail = await founder.api.get<{ items: Event[] }>('/audit/events?limit=100');
    const find = (part: Partial<Event>) =>
      trail.body.items.filter((item) => Object.entries(part).every(([key, value]) => item[key as keyof Event] === value));
    const [update] = find({ action: 'patient.update', patientId: patient.id });
    expect(update).toMatchObject({
      actorId: doctorA.id,
      actorRole: 'DOCTOR',
      outcome: 'ok',
      requestId: changed.headers.get('x-request-id'),
    });
    expect(Date.parse(update?.at ?? '')).toBeGreaterThanOrEqual(Date.parse(since));
    expect(find({ action: 'record.seal', subjectId: record, actorId: doctorA.id, outcome: 'ok' })).toHaveLength(1);
    expect(find({ action: 'record.read', outcome: 'denied', actorId: doctorB.id, patientId: patient.id })).toMatchObject([
      { requestId: refused.headers.get('x-request-id'), rules: ['no-rule'] },
    ]);
    expect(find({ action: 'account.lock', subjectId: patient.id, actorId: hospitalA.id })).toHaveLength(1);
    const ids = trail.body.items.map((item) => item.id);
    expect(ids).toEqual([...ids].sort().reverse());
    const again = await founder.api.get<{ items: Event[] }>('/audit/events?limit=1');
    expect(again.body.items[0]).toMatchObject({ action: 'trail.read', actorId: founder.id, requestId: trail.headers.get('x-request-id') });
    expect(trail.text).not.toMatch(/Changed Person|\+90 555|first note/);
    const part = (await hospitalA.api.get<{ items: (Event & { actorHospitalId: string })[] }>('/audit/events?limit=100')).body.items;
    for (const item of part) expect([item.hospitalId, item.actorHospitalId]).toContain(hospitalA.id);
  });

  test('R20 the audit log file has the same events as the database, field by field', async () => {
    const db = openRaw(world);
    await eventually(() => {
      const stored = rows(db, 'SELECT * FROM audit_event ORDER BY id');
      const logged = new Map(lines('audit.log').map(({ level: _level, time: _time, msg: _msg, ...event }) => [event['id'], event]));
      expect(logged.size).toBe(stored.length);
      for (const row of stored) expect(logged.get(row['id'])).toEqual(row);
    });
    expect(rows<{ n: number }>(db, 'SELECT COUNT(*) AS n FROM audit_event')[0]?.n).toBeGreaterThan(50);
    db.close();
  });

  test('R20 an act whose event cannot be written does not happen', async () => {
    const doctor = await as(world.doctorA);
    const id = await draftDiagnosis(doctor, world.patientA.id);
    const db = openRaw(world);
    db.exec(`CREATE TRIGGER test_no_trail BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no room'); END`);
    const before = counts();
    try {
      expect((await doctor.api.post(`/records/${id}/seal`)).status).toBe(500);
      const read = await doctor.api.get(`/records/${id}`);
      expect([read.status, read.text.includes('first note')]).toEqual([500, false]);
      expect((await world.anonymous.post('/auth/login', { username: world.doctorA.username, password: PASSWORD })).status).toBe(500);
    } finally {
      db.exec('DROP TRIGGER test_no_trail');
    }
    db.close();
    expect(counts()).toEqual(before);
    expect((await doctor.api.get(`/records/${id}`)).body['status']).toBe('draft');
  });
});

describe('R21 personal data at rest', () => {
  /** Every form in which a text would show in a file. */
  function forms(text: string): Buffer[] {
    const plain = Buffer.from(text, 'utf8');
    const inBase64 = [0, 1, 2].flatMap((offset) => {
      const coded = Buffer.concat([Buffer.alloc(offset), plain]);
      return (['base64', 'base64url'] as const).map((encoding) =>
        coded
          .toString(encoding)
          .replaceAll('=', '')
          .slice(offset === 0 ? 0 : 4, -2),
      );
    });
    return [plain, Buffer.from(text, 'utf16le'), Buffer.from(plain.toString('hex')), ...inBase64.map((item) => Buffer.from(item))];
  }
  test('R21 none of the personal data that were entered stand in the database files or the logs, in any usual form', async () => {
    const [founder, hospitalA, doctorA] = [await as(world.founder), await as(world.hospitalA), await as(world.doctorA)];
    const secret = (what: string) => `canary-${what}-Ğüş`;
    const profile = { name: secret('name'), birthDate: '1933-05-17', gender: 'female', nationalId: 'canary-national-46' };
    const contact = { phone: 'canary-phone-77', email: 'canary-mail@example.org', address: secret('address') };
    const made = await hospitalA.api.post<{ activation: { accountId: string; code: string } }>('/patients', {
      ...profile,
      ...contact,
      issueAccount: true,
    });
    const patient = await activate(world, made.body.activation, 'canary-username');
    const staff = await hospitalA.api.post<{ staff: { id: string } }>('/hospitals/me/staff', {
      name: secret('doctor'),
      specialty: secret('specialty'),
      licence: secret('licence'),
    });
    await hospitalA.api.post(`/hospitals/me/staff/${staff.body.staff.id}/departure`, { lastDay: '2026-11-01', reason: secret('reason') });
    const record = await draftDiagnosis(doctorA, patient.id, secret('sealed'));
    await doctorA.api.post(`/records/${record}/attachments`, undefined, {
      raw: Buffer.from(secret('file')),
      headers: { 'content-type': 'text/plain', 'content-disposition': `attachment; filename="canary-filename.txt"` },
    });
    await doctorA.api.post(`/records/${record}/seal`);
    const draft = await doctorA.api.post<{ id: string }>(
      `/patients/${patient.id}/diagnoses`,
      { code: 'CANARY99', display: secret('display'), note: secret('draft') },
      { headers: { 'idempotency-key': 'canary-retry-1' } },
    );
    await doctorA.api.post(`/records/${record}/corrections`, { kind: 'retraction', reason: secret('retraction') });
    const asked = await doctorA.api.post<{ id: string }>(`/patients/${patient.id}/questions`, { text: secret('question') });
    await patient.api.post(`/questions/${asked.body.id}/answer`, { text: secret('answer') });
    await hospitalA.api.get(`/patients?q=canary-national-46`);
    await world.anonymous.post('/auth/login', { username: secret('guess'), password: secret('password') });
    await doctorA.api.post(`/patients/${patient.id}/diagnoses`, { [secret('property')]: 1 });
    await doctorA.api.get(`/records/${secret('path')}`);
    await founder.api.post('/hospitals', { name: 'public-control-name', city: 'X', country: 'TR' });
    expect((await doctorA.api.get(`/records/${draft.body.id}`)).text).toContain(secret('draft'));

    const planted = [
      'name',
      'address',
      'doctor',
      'specialty',
      'licence',
      'reason',
      'sealed',
      'file',
      'display',
      'draft',
      'retraction',
      'question',
      'answer',
      'guess',
      'password',
      'property',
      'path',
    ].map(secret);
    planted.push(
      'canary-national-46',
      'canary-phone-77',
      'canary-mail',
      'canary-filename',
      patient.username,
      '1933-05-17',
      'CANARY99',
      PASSWORD,
    );
    await eventually(() => expect(readFileSync(logFile('audit.log'), 'utf8')).toContain(asked.body.id));
    const database = databaseFiles(world);
    expect(database.length).toBeGreaterThan(1);
    const files = [...database, logFile('audit.log'), logFile('ehr.log')];
    const bytes = Buffer.concat(files.map((file) => readFileSync(file)));
    expect(bytes.includes('public-control-name')).toBe(true); // the search does find what is there
    for (const text of planted)
      for (const form of forms(text))
        expect([text, form.toString('latin1'), bytes.includes(form)]).toEqual([text, form.toString('latin1'), false]);
  });

  test('R21 the founder sees patients masked, the auditor none', async () => {
    const founder = await as(world.founder);
    const masked = { name: '***', birthDate: '***', gender: '***', nationalId: '***', phone: '***', email: '***', address: '***' };
    expect((await founder.api.get(`/patients/${world.patientA.id}`)).body).toMatchObject(masked);
    const list = await founder.api.get<{ items: object[] }>('/patients?limit=100');
    expect(list.body.items.length).toBeGreaterThan(3);
    for (const item of list.body.items) expect(item).toMatchObject(masked);
    expect((await founder.api.get(`/patients?q=10000000146`)).body['items']).toEqual([]);
    expect((await (await as(world.auditor)).api.get(`/patients/${world.patientA.id}`)).status).toBe(403);
  });

  test('R21 an encrypted value prints as *** however it is turned into text', async () => {
    const row = await world.foundations.sources.reader.manager.getRepository(PatientEntity).findOneByOrFail({ id: world.patientA.id });
    const texts = [
      String(row.name),
      `${row.name as unknown as string}`,
      JSON.stringify(row.name),
      inspect(row.name),
      inspect({ ...row.name }),
      `x${row.birthDate.toString()}`,
    ];
    expect(texts).toEqual(['***', '***', '"***"', '***', '{}', 'x***']);
    const rest = { ...row, nationalIdIndex: null, rowTag: null };
    expect(JSON.parse(JSON.stringify(rest))).toMatchObject({
      name: '***',
      birthDate: '***',
      gender: '***',
      nationalId: '***',
      contact: '***',
    });
    expect(inspect(rest, { showHidden: true, depth: 9 })).not.toMatch(/Buffer|<45 31/);
  });

  test('R21 a ciphertext that is moved to another row or column, or altered, does not open', async () => {
    const hospital = await as(world.hospitalA);
    const other = await addPatient(world, hospital, 'Moved Person');
    const { id } = world.patientA;
    const changes = [
      `UPDATE patient SET name = (SELECT name FROM patient WHERE id = '${other.id}') WHERE id = '${id}'`,
      `UPDATE patient SET name = nationalId WHERE id = '${id}'`,
      `UPDATE patient SET name = zeroblob(120) WHERE id = '${id}'`,
      `UPDATE patient SET name = 'plain text' WHERE id = '${id}'`,
    ];
    for (const sql of changes) {
      await tamper(
        world,
        ['patient'],
        (db) => db.exec(sql),
        async () => {
          const answer = await hospital.api.get(`/patients/${id}`);
          expect([answer.status, answer.body['code']]).toEqual([500, 'integrity_error']);
          expect(answer.text).not.toMatch(/Moved|plain/);
        },
      );
    }
    expect((await hospital.api.get(`/patients/${id}`)).body['name']).toBe('Ayşe Demir');
  });
});

describe('R23 errors in the log', () => {
  test('R23 every refusal and fault is in the log file under the request id of its answer, without personal data', async () => {
    const [hospital, doctor] = [await as(world.hospitalA), await as(world.doctorA)];
    const record = await sealedDiagnosis(doctor, world.patientA.id);
    const json = { 'content-type': 'application/json' };
    const answers: [number, Answer<unknown>][] = [
      [400, await doctor.api.post(`/patients/${world.patientA.id}/diagnoses`, { code: 'secret-in-body', colour: 'secret-in-body' })],
      [400, await doctor.api.post('/auth/password', undefined, { raw: '{"currentPassword":"secret-in-body"', headers: json })],
      [401, await world.anonymous.post('/auth/login', { username: 'secret-in-body', password: 'secret-in-body' })],
      [401, await world.anonymous.withToken('secret-in-token').get('/auth/me')],
      [403, await doctor.api.get('/accounts')],
      [404, await doctor.api.get('/records/secret-in-path')],
      [404, await doctor.api.get('/no/such/route?q=secret-in-query')],
      [404, await doctor.api.send('PATCH', '/auth/me', {})],
      [409, await doctor.api.delete(`/records/${record}`, { headers: { 'if-match': '"1"' } })],
      [412, await hospital.api.patch(`/patients/${world.patientA.id}`, { name: 'secret-in-body' }, { headers: { 'if-match': '"99"' } })],
      [413, await doctor.api.post('/auth/password', undefined, { raw: `"${'secret-in-body'.repeat(9000)}"`, headers: json })],
      [415, await doctor.api.post('/auth/password', undefined, { raw: 'secret-in-body', headers: { 'content-type': 'text/plain' } })],
      [422, await doctor.api.post(`/patients/${world.patientA.id}/records`, { resource: { resourceType: 'secret-in-body' } })],
      [428, await hospital.api.patch(`/patients/${world.patientA.id}`, { name: 'secret-in-body' })],
    ];
    for (const [status, answer] of answers)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([status, expect.stringContaining('application/problem+json')]);
    await eventually(() => {
      const logged = lines('ehr.log');
      for (const [status, { headers, body }] of answers) {
        const id = headers.get('x-request-id');
        expect((body as Problem).requestId).toBe(id);
        expect(logged).toContainEqual(
          expect.objectContaining({ requestId: id, status, code: (body as Problem).code, msg: 'request refused' }),
        );
      }
    });
    expect(readFileSync(logFile('ehr.log'), 'utf8')).not.toMatch(/secret-in/);
  });

  test('R23 an SQL error, whose driver error carries parameters, reaches the log with its stack and without them, and the caller without anything', async () => {
    const hospital = await as(world.hospitalA);
    const db = openRaw(world);
    db.exec(`CREATE TRIGGER test_sql BEFORE INSERT ON hospital BEGIN SELECT RAISE(ABORT, 'secret-in-driver-message'); END`);
    db.exec(`CREATE TRIGGER test_sql_2 BEFORE INSERT ON patient BEGIN SELECT RAISE(ABORT, 'secret-in-driver-message'); END`);
    const failed: Answer<unknown>[] = [];
    try {
      failed.push(
        await (await as(world.founder)).api.post('/hospitals', { name: 'secret-in-parameter', city: 'secret-in-parameter', country: 'TR' }),
      );
      failed.push(await hospital.api.post('/patients', { name: 'secret-in-parameter', birthDate: '2000-01-01', gender: 'other' }));
    } finally {
      db.exec('DROP TRIGGER test_sql');
      db.exec('DROP TRIGGER test_sql_2');
      db.close();
    }
    for (const answer of failed) expect([answer.status, answer.body]).toMatchObject([500, { code: 'internal_error' }]);
    await eventually(() => {
      for (const { headers } of failed) {
        const entry = lines('ehr.log').find(
          (line) => line['requestId'] === headers.get('x-request-id') && line['msg'] === 'request failed',
        );
        expect(entry).toMatchObject({
          level: 50,
          status: 500,
          err: { type: 'QueryFailedError', code: expect.stringMatching(/^(SQLITE_CONSTRAINT_TRIGGER|P0001)$/) },
        });
        expect((entry?.['err'] as { stack: string[] }).stack.length).toBeGreaterThan(2);
      }
    });
    expect(readFileSync(logFile('ehr.log'), 'utf8') + failed.map((answer) => answer.text).join()).not.toMatch(/secret-in|INSERT INTO/);
  });

  test('R23 log files are the server’s own to read', () => {
    for (const name of ['ehr.log', 'audit.log']) expect(statSync(logFile(name)).mode & 0o077).toBe(0);
  });
});

describe('R24 documents', () => {
  const served = async () => (await world.anonymous.get<OpenApiDocument>('//docs-json')).body;
  /** Methods and paths as the controllers declare them. */
  function declared(): { route: string; handler: (...list: unknown[]) => unknown; controller: object }[] {
    return [...world.app.get(ModulesContainer).values()].flatMap((module) =>
      [...module.controllers.values()].flatMap(({ metatype }) => {
        const controller = metatype as { prototype: Record<string, (...list: unknown[]) => unknown> };
        const prefix = String(Reflect.getMetadata(PATH_METADATA, controller) ?? '');
        return Object.getOwnPropertyNames(controller.prototype).flatMap((name) => {
          const handler = controller.prototype[name];
          const method = handler && (Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined);
          if (!handler || method === undefined) return [];
          const path = [prefix, String(Reflect.getMetadata(PATH_METADATA, handler))]
            .map((part) => part.replace(/^\/|\/$/g, ''))
            .filter((part) => part !== '')
            .join('/');
          const root = /^(health|metrics|witness|\.well-known)/.test(path) ? '' : '/api/v1';
          return [
            { route: `${RequestMethod[method]} ${root}/${path.replace(/:(\w+)/g, '{$1}').replace('*', '{path}')}`, handler, controller },
          ];
        });
      }),
    );
  }

  test('R24 the served document and openapi.json have every route of the controllers, and no other', async () => {
    const routes = declared()
      .map((item) => item.route)
      .sort();
    expect(routes.length).toBeGreaterThan(60);
    for (const document of [openApi, await served()])
      expect(
        allRoutes(document)
          .map((item) => `${item.method} ${item.path}`)
          .sort(),
      ).toEqual(routes);
  });

  test('R24 each route has a summary, one tag, one success answer, its problems, and its security', () => {
    const open = ['/.well-known/jwks.json', '/health/live', '/health/ready', '/metrics', '/api/v1/hospitals', '/api/v1/setup'];
    open.push(
      ...['login', 'login/second-factor', 'activate', 'refresh', 'register/doctor', 'register/patient'].map(
        (name) => `/api/v1/auth/${name}`,
      ),
    );
    for (const { method, path, operation } of allRoutes()) {
      const route = `${method} ${path}`;
      // Hashes and keys, for the whole world; and what other logs ask us as their witness (C2SP).
      const isLog = /^(\/api\/v1\/ledger\/(logs|checkpoint|tile)|\/witness)(\/|$)/.test(path);
      const isOpen = (open.includes(path) && route !== 'POST /api/v1/hospitals') || isLog;
      const statuses = Object.keys(operation.responses);
      expect([route, operation.summary]).toEqual([route, expect.stringMatching(/^.{8,}$/)]);
      expect([route, operation.tags?.length]).toEqual([route, 1]);
      expect([route, statuses.filter((status) => status < '300').length]).toEqual([route, 1]);
      expect([route, statuses]).toEqual([
        route,
        expect.arrayContaining(isOpen ? ['400', '429', '500'] : ['400', '401', '403', '429', '500']),
      ]);
      expect([route, operation.security]).toEqual([route, isOpen ? undefined : [{ bearer: [] }]]);
      for (const status of statuses.filter((item) => item >= '400'))
        expect([route, status, Object.keys(operation.responses[status]?.content ?? {})]).toEqual([
          route,
          status,
          // C2SP tlog-witness names the type of this one answer.
          [route === 'POST /witness/add-checkpoint' && status === '409' ? 'text/x.tlog.size' : 'application/problem+json'],
        ]);
      if (path.includes('{') && !isOpen) expect([route, statuses]).toEqual([route, expect.arrayContaining(['404'])]);
    }
  });

  test('R24 every body has examples, and every answer a described schema', () => {
    for (const { method, path, operation } of allRoutes()) {
      for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
        if (schema.$ref === undefined) continue; // a file, or a bundle with an example of its own
        expect(type).toBe('application/json');
        const properties = Object.values(openApi.components.schemas[schema.$ref.split('/').at(-1) ?? '']?.properties ?? {});
        expect([method, path, properties.some((property) => property['example'] !== undefined)]).toEqual([method, path, true]);
      }
      for (const [status, response] of Object.entries(operation.responses))
        if (status < '300' && status !== '204')
          expect([method, path, Object.keys(response.content ?? {}).length]).toEqual([method, path, 1]);
    }
    for (const [name, schema] of Object.entries(openApi.components.schemas))
      expect([name, Object.keys(schema.properties ?? {}).length > 0]).toEqual([name, true]);
  });

  test('R24 Swagger UI is served with its own scripts only', async () => {
    const page = await world.anonymous.get('//docs');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
    expect(page.text).toContain('swagger-ui');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.text).not.toMatch(/(src|href)="(https?:)?\/\//);
    const script = /src="([^"]*swagger-ui-bundle\.js)"/.exec(page.text)?.[1] ?? '';
    expect((await fetch(new URL(script, `${world.url}/docs`))).status).toBe(200);
  });

  test('R29 every route of every controller names its roles or is marked public; public ones are few and known', () => {
    const open: string[] = [];
    for (const { route, handler, controller } of declared()) {
      const roles = (Reflect.getMetadata(ROLES_KEY, handler) ?? Reflect.getMetadata(ROLES_KEY, controller)) as string[] | undefined;
      const isPublic = (Reflect.getMetadata(PUBLIC_KEY, handler) ?? Reflect.getMetadata(PUBLIC_KEY, controller)) === true;
      expect([route, isPublic || (roles?.length ?? 0) > 0]).toEqual([route, true]);
      if (isPublic) open.push(route);
    }
    expect(open.sort()).toEqual(
      allRoutes()
        .filter((item) => !item.operation.security)
        .map((item) => `${item.method} ${item.path}`)
        .sort(),
    );
  });
});

describe('R25 validation', () => {
  test('R25 unknown properties, wrong types and missing ones are refused by path, on every JSON route, and nothing is stored', async () => {
    const people = {
      founder: await as(world.founder),
      hospital: await as(world.hospitalA),
      doctor: await as(world.doctorA),
      patient: await as(world.patientA),
    };
    const id = world.patientA.id;
    const record = await sealedDiagnosis(people.doctor, id);
    const valid = { name: 'N', birthDate: '2000-01-01', gender: 'male' };
    const credentials = { username: 'somebody', password: PASSWORD };
    const table: [keyof typeof people | 'anonymous', string, string, object, Record<string, unknown>[]][] = [
      ['anonymous', 'POST', '/auth/login', credentials, [{ username: 5 }, { password: null }, { username: '' }, { password: { $ne: 1 } }]],
      [
        'anonymous',
        'POST',
        '/auth/register/doctor',
        { ...credentials, hospitalId: id, name: 'N', specialty: 'S' },
        [{ username: 'a b' }, { hospitalId: 'x' }, { name: [] }],
      ],
      [
        'anonymous',
        'POST',
        '/auth/register/patient',
        { ...credentials, hospitalId: id, ...valid },
        [{ gender: 'x' }, { birthDate: '1.1.2000' }],
      ],
      ['anonymous', 'POST', '/auth/activate', { ...credentials, code: 'ABCDE-FGHIJ' }, [{ code: 'short' }, { username: 'ab' }]],
      ['anonymous', 'POST', '/auth/refresh', { refreshToken: `rt_${'a'.repeat(43)}` }, [{ refreshToken: 'rt_' }, { refreshToken: 1 }]],
      [
        'founder',
        'POST',
        '/hospitals',
        { name: 'N', city: 'C', country: 'TR' },
        [{ name: '' }, { city: 1 }, { country: 'T' }, { name: 'x'.repeat(201) }],
      ],
      ['founder', 'POST', '/accounts', { role: 'AUDITOR', name: 'N' }, [{ role: 'DOCTOR' }, { role: ['ADMIN'] }]],
      ['hospital', 'POST', '/hospitals/me/staff', { name: 'N', specialty: 'S' }, [{ specialty: '' }, { licence: 7 }]],
      [
        'hospital',
        'POST',
        '/patients',
        valid,
        [{ name: {} }, { birthDate: '2000-13-01' }, { gender: 'M' }, { nationalId: '' }, { issueAccount: 'yes' }],
      ],
      [
        'doctor',
        'POST',
        `/patients/${id}/diagnoses`,
        { code: 'X', display: 'D' },
        [{ code: ' x' }, { display: '' }, { severity: 'bad' }, { onset: 'today' }, { note: 1 }],
      ],
      ['doctor', 'POST', `/patients/${id}/records`, { resource: {} }, [{ resource: 'text' }, { resource: [] }]],
      [
        'doctor',
        'POST',
        `/records/${record}/corrections`,
        { kind: 'addendum', reason: 'r' },
        [{ kind: 'edit' }, { reason: '' }, { resource: 5 }],
      ],
      ['doctor', 'POST', `/patients/${id}/questions`, { text: 't' }, [{ text: '' }, { text: ['a'] }, { text: 'x'.repeat(2001) }]],
      [
        'patient',
        'POST',
        '/patients/me/consent/grants',
        { validUntil: '2027-01-01T00:00:00Z', hospitalId: world.hospitalB.id },
        [{ validUntil: 'soon' }, { hospitalId: 1 }],
      ],
    ];
    const before = counts();
    for (const [who, method, path, good, wrongs] of table) {
      const api = who === 'anonymous' ? world.anonymous : people[who].api;
      const refuse = async (body: unknown, at: string) => {
        const answer = await api.send<Problem>(method, path, body);
        const paths = answer.body.errors?.map((item) => item.path) ?? [];
        expect([path, JSON.stringify(body).slice(0, 90), answer.status, answer.body.code, paths.includes(at)]).toEqual([
          path,
          JSON.stringify(body).slice(0, 90),
          400,
          'invalid_request',
          true,
        ]);
      };
      await refuse({ ...good, admin: true }, 'admin');
      await refuse({ ...good, id: '018f0000-0000-7000-8000-000000000000' }, 'id');
      await refuse({}, Object.keys(good)[0] ?? '');
      for (const wrong of wrongs) await refuse({ ...good, ...wrong }, Object.keys(wrong)[0] ?? '');
      for (const body of [[good], 'text', 5, null])
        expect([path, body, (await api.send(method, path, body)).status]).toEqual([path, body, 400]);
    }
    expect(counts()).toEqual(before);
  });
});

describe('R29 malicious input', () => {
  test('R29 bodies that readers could understand in two ways are refused before anything looks at them', async () => {
    const doctor = await as(world.doctorA);
    const path = `/patients/${world.patientA.id}/diagnoses`;
    const send = (raw: string | Uint8Array, type = 'application/json') =>
      doctor.api.post<Problem>(path, undefined, { raw, headers: { 'content-type': type } });
    const body = (more: string) => `{"code":"X","display":"D"${more}}`;
    const before = counts();
    const malformed = [
      body(',"__proto__":{"note":"x"}'),
      body(',"constructor":{"prototype":{"admin":true}}'),
      body(',"prototype":1'),
      body(',"code":"Y"'),
      body(',"\\u0063ode":"Y"'),
      body(`,"note":${'['.repeat(40)}${']'.repeat(40)}`),
      body(`,"note":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`),
      `{${Array.from({ length: 1500 }, (_, i) => `"k${i}":1`).join()}}`,
      body(',"note":"\\u0000"'),
      body(',"note":"\\ud800"'),
      `\ufeff${body('')}`,
      body(',"note":NaN'),
      body(',}'),
      '{"code":"X"',
      `${body('')}${body('')}`,
    ];
    for (const raw of malformed) {
      const answer = await send(raw);
      expect([raw.slice(0, 60), answer.status, answer.body.code]).toEqual([raw.slice(0, 60), 400, 'malformed_json']);
    }
    expect((await send(Buffer.from([...Buffer.from('{"code":"'), 0xff, 0xfe, ...Buffer.from('","display":"D"}')]))).status).toBe(400);
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=utf-16',
      'application/xml',
      'multipart/form-data',
    ])
      expect([type, (await send(body(''), type)).status]).toEqual([type, 415]);
    for (const note of ['{"$gt":""}', '{"$where":"1"}', '["a"]', '1', 'true'])
      expect((await send(body(`,"note":${note}`))).status).toBe(400);
    expect(counts()).toEqual(before);
    expect(Reflect.get({}, 'note')).toBeUndefined();
  });

  test('R29 SEC-67 SQL, markup and paths in a text are stored as the text that they are; in an address they find nothing', async () => {
    const [doctor, hospital] = [await as(world.doctorA), await as(world.hospitalA)];
    const texts = [
      `'; DROP TABLE record; --`,
      `" OR 1=1 --`,
      `1); DELETE FROM ledger_block; --`,
      '<script>alert(1)</script>',
      '../../etc/passwd',
      '${7*7} {{7*7}} %s %n',
      '=cmd|calc!A1',
    ];
    const tables = Object.keys(counts());
    for (const text of texts) {
      const id = await draftDiagnosis(doctor, world.patientA.id, text);
      expect((await doctor.api.get<{ resource: { note: { text: string }[] } }>(`/records/${id}`)).body.resource.note[0]?.text).toBe(text);
      const address = encodeURIComponent(text);
      expect((await hospital.api.get(`/patients?q=${address}`)).body).toEqual({ items: [], nextCursor: null });
      for (const path of [
        `/records/${address}`,
        `/patients/${address}`,
        `/patients/${address}/records`,
        `/ledger/patients/${address}/chain`,
      ])
        expect([path, (await doctor.api.get(path)).status]).toEqual([path, 404]);
      expect((await hospital.api.get(`/patients?cursor=${address}`)).status).toBe(400);
    }
    expect(Object.keys(counts())).toEqual(tables);
    for (const query of ['q[$ne]=1', 'q=a&q=b', 'limit=5&limit=6', 'status=ACTIVE%27--', '__proto__[x]=1', 'q='])
      expect([query, (await hospital.api.get(`/patients?${query}`)).status]).toEqual([query, 400]);
  });
});

describe('R27 health and metrics', () => {
  test('R27 live and ready answer without a token, and ready tells when the database does not', async () => {
    for (const path of ['//health/live', '//health/ready']) expect((await world.anonymous.get(path)).body).toEqual({ status: 'ok' });
    const broken = jest.spyOn(world.app.get(Database).reader, 'query').mockRejectedValue(new Error('gone'));
    const answer = await world.anonymous.get('//health/ready');
    expect([answer.status, answer.body['code']]).toEqual([503, 'unavailable']);
    broken.mockRestore();
    expect((await world.anonymous.get('//health/live')).status).toBe(200);
    expect((await world.anonymous.get('//health/ready')).status).toBe(200);
  });

  test('R27 metrics count requests by route pattern; no id and no name is a label', async () => {
    const doctor = await as(world.doctorA);
    for (let i = 0; i < 3; i += 1) await doctor.api.get(`/patients/${world.patientA.id}/questions`);
    await doctor.api.get('/nothing/here/secret-name');
    const metrics = await world.anonymous.get('//metrics');
    expect(metrics.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const count =
      /^http_request_duration_seconds_count\{method="GET",route="\/api\/v1\/patients\/:id\/questions",status="2xx"\} (\d+)$/m.exec(
        metrics.text,
      )?.[1];
    expect(Number(count)).toBeGreaterThanOrEqual(3);
    expect(metrics.text).toMatch(/^http_request_duration_seconds_bucket\{le="0\.1",.*\} \d+$/m);
    expect(metrics.text).toMatch(/^# TYPE http_request_duration_seconds histogram$/m);
    expect(metrics.text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(metrics.text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|secret-name|Ayşe|doctor\.\d/);
  });
});

describe('R26 entities and answers', () => {
  const src = join(__dirname, '../../src');
  const sources = (readdirSync(src, { recursive: true }) as string[]).filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'));
  const text = (file: string) => readFileSync(join(src, file), 'utf8');
  const entityNames = sources
    .filter((file) => file.endsWith('.entity.ts'))
    .flatMap((file) => [...text(file).matchAll(/export class (\w+)/g)].map((match) => match[1] ?? ''));

  test('R26 no class is both entity and DTO, controllers import no entity, and DTOs name none', () => {
    expect(entityNames.length).toBeGreaterThan(15);
    const named = new RegExp(`\\b(${entityNames.join('|')})\\b`);
    for (const file of sources) {
      const body = text(file);
      if (file.endsWith('.entity.ts'))
        expect([file, /@nestjs\/swagger|class-validator|class-transformer|\.dto'/.test(body)]).toEqual([file, false]);
      if (file.endsWith('.dto.ts')) expect([file, /from 'typeorm'|@Entity/.test(body) || named.test(body)]).toEqual([file, false]);
      if (file.endsWith('.controller.ts')) expect([file, /\.entity'|from 'typeorm'/.test(body) || named.test(body)]).toEqual([file, false]);
      if (/@Entity\(/.test(body)) expect([file, file.endsWith('.entity.ts')]).toEqual([file, true]);
    }
  });

  test('R26 answers have the documented names only: no column of an account or a patient leaves that is not there', async () => {
    const hospital = await as(world.hospitalA);
    const names = (schema: string) => Object.keys(openApi.components.schemas[schema]?.properties ?? {}).sort();
    const patient = await hospital.api.get(`/patients/${world.patientA.id}`);
    expect(Object.keys(patient.body).sort()).toEqual(names('PatientResponse'));
    const account = await hospital.api.get('/auth/me');
    expect(Object.keys(account.body).sort()).toEqual(names('AccountResponse'));
    const all = [patient, account, await hospital.api.get('/hospitals/me/entries'), await hospital.api.get('/accounts')]
      .map((answer) => answer.text)
      .join();
    expect(all).not.toMatch(/password|Index"|codeHash|failedAttempts|wrapped|ciphertext|recordKey/);
  });
});

const bench = join(__dirname, '../../bench/run.mjs');
(existsSync(bench) ? test : test.skip)('R33 the measurement is part of the project: npm run bench', () => {
  const { scripts } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { scripts: Record<string, string> };
  expect(scripts['bench']).toContain('bench/run.mjs');
  expect(statSync(bench).size).toBeGreaterThan(500);
});
