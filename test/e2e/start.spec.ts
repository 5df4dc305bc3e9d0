import { Controller, Get, Module } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { NestFactory } from '@nestjs/core';
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp, openFoundations } from '../../src/app';
import { AppModule } from '../../src/app.module';
import { SetupService } from '../../src/auth/setup.service';
import { TokensService } from '../../src/auth/tokens.service';
import { ROLES } from '../../src/common/actor';
import { newId } from '../../src/common/ids';
import { ConfigError, readConfig } from '../../src/config/config';
import { openRaw, rows } from '../support/raw-database';
import { startServer } from '../support/servers';
import { startTestApp } from '../support/test-app';
import { addDoctor, addHospital, addPatient, login, PASSWORD, type Person, sealedDiagnosis } from '../support/world';
import { databaseFiles } from '../support/database-files';
import { storeOf } from '../support/test-store';

const folders: string[] = [];
const newFolder = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-start-'));
  folders.push(dir);
  return dir;
};
afterAll(() => {
  for (const dir of folders) rmSync(dir, { recursive: true, force: true });
});

const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
/** Every file below a folder with its hash and mode. */
function snapshot(dir: string): string[] {
  return (readdirSync(dir, { recursive: true }) as string[])
    .filter((file) => statSync(join(dir, file)).isFile())
    .map((file) => `${file} ${digest(join(dir, file))} ${statSync(join(dir, file)).mode.toString(8)}`)
    .sort();
}

describe('R28 a fresh folder', () => {
  test('R28 the server needs nothing but a path: it makes database, keys and logs, and offers the set-up code', async () => {
    const dir = join(newFolder(), 'not', 'there', 'yet');
    const app = await createApp(await openFoundations(readConfig({ DATA_DIR: dir, LOG_CONSOLE: 'false', PORT: '0' })));
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect(await (await fetch(`${url}/api/v1/hospitals`)).json()).toEqual({ items: [], nextCursor: null });
    await app.close();
    const files = readdirSync(dir, { recursive: true }) as string[];
    expect(files).toEqual(
      expect.arrayContaining([
        'ehr.sqlite',
        'keys',
        'keys/index.key',
        'keys/ledger.key',
        'keys/pepper.key',
        'keys/root.key',
        'logs/ehr.log',
      ]),
    );
    expect(files.filter((file) => /^keys\/token-.{43}\.pem$/.test(file))).toHaveLength(1);
    for (const file of files.filter((name) => name.startsWith('keys') || name.endsWith('.log')))
      expect([file, statSync(join(dir, file)).mode & 0o077]).toEqual([file, 0]);
  });

  test('R28 after a restart everything is as it was, tokens included, and no second set-up is offered', async () => {
    const dir = newFolder();
    const first = await startTestApp({}, dir);
    await first.anonymous.post('/setup', { code: first.setupCode, name: 'F', username: 'founder', password: PASSWORD });
    const founder = await login(first, newId(), 'founder');
    const hospital = await addHospital(first, founder, 'H');
    const doctor = await addDoctor(first, hospital, 'Dr. D');
    const patient = await addPatient(first, hospital, 'Pa Tient');
    const record = await sealedDiagnosis(doctor, patient.id, 'kept');
    const content = (await doctor.api.get(`/records/${record}/content`)).text;
    await hospital.api.post(`/accounts/${patient.id}/lock`);
    await first.app.close();

    const second = await startTestApp({}, dir);
    try {
      expect(second.setupCode).toBe('');
      const token = second.anonymous.withToken(doctor.api.token);
      expect((await token.get(`/records/${record}/content`)).text).toBe(content);
      expect((await second.anonymous.withToken(patient.api.token).get('/patients/me')).status).toBe(401); // revocations outlive the process
      expect((await second.anonymous.post('/auth/refresh', { refreshToken: doctor.refreshToken })).status).toBe(200);
      expect((await token.post(`/patients/${patient.id}/diagnoses`, { code: 'I10', display: 'H' })).status).toBe(201);
      await sealedDiagnosis({ ...doctor, api: token } satisfies Person, patient.id);
      await second.expectChainsIntact();
      const again = await second.anonymous.post('/setup', { code: 'ABCDE-FGHIJ', name: 'F', username: 'other', password: PASSWORD });
      expect([again.status, again.body['code']]).toEqual([409, 'setup_done']);
    } finally {
      await second.close();
    }
  });

  test('R28 SEC-40 the set-up code is needed, works once, ends after a day, and there is no account before it', async () => {
    const app = await startTestApp();
    try {
      const body = { code: app.setupCode, name: 'F', username: 'founder', password: PASSWORD };
      const wrong = await app.anonymous.post('/setup', { ...body, code: 'AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A' });
      expect([wrong.status, wrong.body['code']]).toEqual([401, 'invalid_code']);
      expect((await app.anonymous.post('/setup', { ...body, password: 'short' })).status).toBe(422);
      for (const username of ['admin', 'root', 'founder'])
        expect((await app.anonymous.post('/auth/login', { username, password: PASSWORD })).status).toBe(401);
      const both = await Promise.all([body, { ...body, username: 'second' }].map((item) => app.anonymous.post('/setup', item)));
      expect(both.map((answer) => answer.status).sort()).toEqual([201, 409]);
      const db = openRaw(app);
      expect(rows(db, `SELECT COUNT(*) AS n FROM account`)).toEqual([{ n: 1 }]);
      db.close();
      const late = await startTestApp();
      late.clock.advance(25 * 3_600_000);
      expect((await late.anonymous.post('/setup', { ...body, code: late.setupCode })).status).toBe(401);
      await late.close();
    } finally {
      await app.close();
    }
  });
});

test('SEC-40 every process and every start offers the same set-up code for a day; it is stored nowhere, and another one comes after that day', async () => {
  const dir = newFolder();
  const first = await startTestApp({}, dir);
  const second = await startTestApp(first.foundations.config.postgres ? { DATABASE_URL: first.foundations.config.postgres.url } : {}, dir);
  try {
    expect(first.setupCode).toMatch(/^([A-Z2-9]{5}-){5}[A-Z2-9]$/);
    expect(second.setupCode).toBe(first.setupCode);
    const db = openRaw(first);
    expect(JSON.stringify(rows(db, 'SELECT * FROM setup_offer'))).not.toContain(first.setupCode.slice(0, 5));
    first.clock.advance(25 * 3_600_000);
    const next = (await first.app.get(SetupService).offerCode()) ?? '';
    expect(next).not.toBe(first.setupCode);
    second.clock.advance(25 * 3_600_000);
    const body = { name: 'F', username: 'founder', password: PASSWORD };
    expect((await second.anonymous.post('/setup', { ...body, code: second.setupCode })).status).toBe(401);
    expect((await second.anonymous.post('/setup', { ...body, code: next })).status).toBe(201);
    expect(rows(db, 'SELECT * FROM setup_offer')).toEqual([]);
    expect((await first.anonymous.post('/setup', { ...body, username: 'other', code: next })).status).toBe(409);
    db.close();
  } finally {
    await second.app.close();
    await first.close();
  }
});

test('SEC-40 ATTACK who writes the database without the keys cannot make a set-up code valid again', async () => {
  const app = await startTestApp();
  try {
    app.clock.advance(25 * 3_600_000);
    const db = openRaw(app);
    db.exec(`UPDATE setup_offer SET offeredAt = offeredAt + ${25 * 3_600_000}`);
    db.close();
    const body = { name: 'F', username: 'founder', password: PASSWORD, code: app.setupCode };
    expect((await app.anonymous.post('/setup', body)).status).toBe(500);
  } finally {
    await app.close();
  }
});

describe('R22 keys and connection come from configuration', () => {
  let origin: string;
  beforeAll(async () => {
    origin = newFolder();
    const app = await startTestApp({}, origin);
    await app.anonymous.post('/setup', { code: app.setupCode, name: 'F', username: 'founder', password: PASSWORD });
    const founder = await login(app, newId(), 'founder');
    await addPatient(app, await addHospital(app, founder, 'H'), 'Somebody');
    await app.app.close();
  });
  const copy = (): string => {
    const dir = join(newFolder(), 'copy');
    cpSync(origin, dir, { recursive: true, preserveTimestamps: true });
    return dir;
  };
  const tokenFile = (dir: string) => readdirSync(join(dir, 'keys')).find((file) => file.startsWith('token-')) ?? '';
  const otherKey = (dir: string, name: string) =>
    writeFileSync(join(dir, 'keys', name), `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });

  const wrongs: [string, (dir: string) => void, string][] = [
    ['no keys at all', (dir) => rmSync(join(dir, 'keys'), { recursive: true }), 'key_file_missing'],
    ['an empty key folder', (dir) => readdirSync(join(dir, 'keys')).forEach((file) => rmSync(join(dir, 'keys', file))), 'key_file_missing'],
    ['a missing root key', (dir) => rmSync(join(dir, 'keys/root.key')), 'key_file_missing'],
    ['a missing index key', (dir) => rmSync(join(dir, 'keys/index.key')), 'key_file_missing'],
    ['a missing pepper', (dir) => rmSync(join(dir, 'keys/pepper.key')), 'key_file_missing'],
    ['a missing token key', (dir) => rmSync(join(dir, 'keys', tokenFile(dir))), 'key_file_missing'],
    ['another root key', (dir) => otherKey(dir, 'root.key'), 'wrong_root_key'],
    ['another index key', (dir) => otherKey(dir, 'index.key'), 'wrong_index_key'],
    ['another pepper', (dir) => otherKey(dir, 'pepper.key'), 'wrong_pepper_key'],
    ['another ledger key', (dir) => otherKey(dir, 'ledger.key'), 'wrong_ledger_key'],
    ['index key and pepper swapped', (dir) => swap(join(dir, 'keys/index.key'), join(dir, 'keys/pepper.key')), 'wrong_index_key'],
    ['a key that is no key', (dir) => writeFileSync(join(dir, 'keys/root.key'), 'password'), 'key_file_malformed'],
    ['a key that others can read', (dir) => chmodSync(join(dir, 'keys/root.key'), 0o644), 'key_file_permissions'],
    [
      'the keys of another installation',
      (dir) => ['root.key', 'index.key', 'pepper.key', 'ledger.key'].forEach((name) => otherKey(dir, name)),
      'wrong_root_key',
    ],
  ];
  function swap(one: string, two: string): void {
    renameSync(one, `${one}.tmp`);
    renameSync(two, one);
    renameSync(`${one}.tmp`, two);
  }

  test.each(wrongs)('R22 with %s the server does not start, and writes nothing', async (_name, spoil, code) => {
    const dir = copy();
    spoil(dir);
    const before = snapshot(dir);
    await expect(openFoundations(readConfig({ DATA_DIR: dir, ...(await storeOf(origin)) }))).rejects.toMatchObject({ code });
    expect(snapshot(dir)).toEqual(before);
  });

  test('R22 the copy starts with its own keys, also from another folder, and the database holds no key that opens it', async () => {
    const dir = copy();
    const elsewhere = join(newFolder(), 'secrets');
    renameSync(join(dir, 'keys'), elsewhere);
    const store = await storeOf(origin);
    if (!store['DATABASE_URL']) renameSync(join(dir, 'ehr.sqlite'), join(dir, 'other.db'));
    const settings = { ...store, KEYS_DIR: elsewhere, SQLITE_PATH: join(dir, 'other.db'), LOG_DIR: join(dir, 'elsewhere') };
    const app = await startTestApp(settings, dir);
    try {
      const founder = await login(app, newId(), 'founder');
      expect((await founder.api.get<{ items: unknown[] }>('/patients')).body.items).toHaveLength(1);
      expect(existsSync(join(dir, 'keys'))).toBe(false);
      expect(existsSync(join(dir, 'elsewhere/ehr.log'))).toBe(true);
      const database = Buffer.concat(databaseFiles(app).map((file) => readFileSync(file)));
      for (const name of ['root.key', 'index.key', 'pepper.key', 'ledger.key']) {
        const hex = readFileSync(join(elsewhere, name), 'latin1').trim();
        for (const form of [Buffer.from(hex), Buffer.from(hex, 'hex'), Buffer.from(Buffer.from(hex, 'hex').toString('base64'))])
          expect(database.includes(form)).toBe(false);
      }
    } finally {
      await app.close();
    }
  });

  test('R22 a wrong setting is refused by name, without its value', () => {
    const wrong: Record<string, string> = {
      PORT: '99999',
      LOG_LEVEL: 'loud-secret',
      ACCESS_TOKEN_SECONDS: '601',
      LOGIN_MAX_ATTEMPTS: '0',
      BODY_LIMIT: '1e9',
      DOCS_ENABLED: 'yes-secret',
      TOKEN_ISSUER: ' ',
      SQLITE_PATH: '',
    };
    for (const [name, value] of Object.entries(wrong)) {
      const read = () => readConfig({ [name]: value });
      expect(read).toThrow(ConfigError);
      expect(read).toThrow(new RegExp(`^${name}: `));
      expect(read).not.toThrow(/secret/);
    }
  });

  test('SEC-89 in production plain HTTP leaves the machine only when somebody said so', () => {
    const read = (more: Record<string, string>) => readConfig({ NODE_ENV: 'production', ...more }).host;
    for (const HOST of ['127.0.0.1', '127.8.0.1', '::1', 'localhost']) expect(read({ HOST })).toBe(HOST);
    for (const HOST of ['0.0.0.0', '::', '10.0.0.7', '127.0.0.1.example', 'ehr.example', '1127.0.0.1'])
      for (const more of [{}, { TRUSTED_PROXIES: ' ' }, { ALLOW_PLAIN_HTTP: 'false' }])
        expect(() => read({ HOST, ...more })).toThrow(/^HOST: /);
    expect(read({ HOST: '0.0.0.0', TRUSTED_PROXIES: '10.0.0.1' })).toBe('0.0.0.0');
    expect(read({ HOST: '0.0.0.0', ALLOW_PLAIN_HTTP: 'true' })).toBe('0.0.0.0');
    expect(readConfig({ HOST: '0.0.0.0' }).host).toBe('0.0.0.0'); // not production: the start says so
    expect(readConfig({}).host).toBe('127.0.0.1');
  });
});

test('R24 in production there is neither page nor document', async () => {
  const app = await startTestApp({ NODE_ENV: 'production' });
  try {
    for (const path of ['//docs', '//docs-json', '//docs-yaml', '//docs/'])
      expect([path, (await app.anonymous.get(path)).status]).toEqual([path, 404]);
    expect((await app.anonymous.get('//health/live')).status).toBe(200);
  } finally {
    await app.close();
  }
});

@Controller('forgotten')
class ForgottenController {
  @Get()
  read(): string {
    return 'nobody said who may read this';
  }
}

test('SEC-9 a token key of another curve or kind, or half of one, stops the start, and nothing listens', async () => {
  const made = await startTestApp();
  await made.app.close();
  const keys = join(made.dir, 'keys');
  const file = join(keys, readdirSync(keys).find((name) => /^token-.*\.pem$/.test(name)) ?? '');
  const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }) as string;
  const wrong = [
    pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey),
    pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey),
    pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    pem(generateKeyPairSync('ed25519').privateKey),
    pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), // under a name that is not its own
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }) as string,
    '',
  ];
  for (const text of wrong) {
    writeFileSync(file, text);
    await expect(startServer(made.dir)).rejects.toThrow('the server did not start');
  }
  rmSync(made.dir, { recursive: true, force: true });
}, 120_000);

test('R29 a route whose author forgot to say who may call it is closed to everybody', async () => {
  const foundations = await openFoundations(readConfig({ DATA_DIR: newFolder(), LOG_CONSOLE: 'false' }));
  @Module({ imports: [AppModule.register(foundations)], controllers: [ForgottenController] })
  class WithForgottenRoute {}
  const app = await NestFactory.create<NestFastifyApplication>(WithForgottenRoute, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  try {
    const address = `${await app.getUrl()}/forgotten`;
    expect((await fetch(address)).status).toBe(401);
    for (const role of ROLES) {
      const session = { id: newId(), createdAt: Date.now(), amr: 'pwd' };
      const token = app.get(TokensService, { strict: false }).issue({ id: newId(), role, hospitalId: null }, session);
      const answer = await fetch(address, { headers: { authorization: `Bearer ${token}` } });
      expect([role, answer.status, await answer.json()]).toMatchObject([role, 403, { code: 'forbidden' }]);
    }
  } finally {
    await app.close();
  }
});
