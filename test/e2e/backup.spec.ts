import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isEmpty } from '../../src/database/postgres-schema';
import { dataSourceOptions } from '../../ormconfig';
import { BACKUP_HEAD_BYTES } from '../../src/crypto/backup-key';
import { CHUNK_BYTES } from '../../src/crypto/chunk-stream';
import { TAG_BYTES } from '../../src/crypto/xaes';
import { parseIncarnation } from '../../src/ledger/core/incarnation';
import type { LogsResponse } from '../../src/tlog/tlog.dto';
import { auditData } from '../../src/tools/audit-data';
import { isWhole } from '../../src/tools/audit-verdict';
import { makeBackup, makeBackupKey, type MadeBackup } from '../../src/tools/backup-operator';
import { listErasures } from '../../src/tools/erasure-list';
import { checkBackup } from '../../src/tools/restore-operator';
import { backUp, emptyPlace, makeVault, type Place, type Vault } from '../support/backups';
import { Canaries } from '../support/canaries';
import { erase } from '../support/erasures';
import { startLoad } from '../support/load';
import { openRaw, rows } from '../support/raw-database';
import { type Server, startServer } from '../support/servers';
import { ApiClient } from '../support/api-client';
import { addPatient, createWorld, draftDiagnosis, login, type Person, sealedDiagnosis, type World } from '../support/world';

let world: World;
let vault: Vault;
const places: Place[] = [];
const servers: Server[] = [];
beforeAll(async () => {
  world = await createWorld();
  vault = makeVault(world.foundations.config);
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  for (const place of places) await place.remove();
  rmSync(vault.dir, { recursive: true, force: true });
  await world.close();
});

async function newPlace(): Promise<Place> {
  const place = await emptyPlace(world.foundations.config.keysDir);
  places.push(place);
  return place;
}
/** In a process of its own: a process has one strategy for tokens, whichever server it is of. */
async function serve(place: Place): Promise<ApiClient> {
  const server = await startServer(place.dir, place.settings);
  servers.push(server);
  return new ApiClient(server.url, null);
}
/** Nothing that a server would open, and nothing left aside. */
async function expectEmpty({ config, dir }: Place): Promise<void> {
  const options = dataSourceOptions(config);
  if (options.type === 'postgres') expect(await isEmpty(options)).toBe(true);
  expect(readdirSync(dir).filter((name) => name.includes('sqlite'))).toEqual([]);
}
async function expectIntact({ config }: Place): Promise<void> {
  expect(isWhole(await auditData(config, {}, () => undefined))).toBe(true);
}
const as = (anonymous: ApiClient, { id, username }: Person) => login({ anonymous }, id, username);

describe('a backup made while people work', () => {
  let restored: ApiClient;
  let made: MadeBackup;
  const before: string[] = [];
  const since: string[] = [];
  let place: Place;
  beforeAll(async () => {
    const note = async (): Promise<{ status: number; text: string }> => {
      const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
      const sealed = await world.doctorA.api.post(`/records/${draft}/seal`);
      if (sealed.status === 201) since.push(draft);
      return sealed;
    };
    const load = startLoad([note, note, note]);
    while (load.done() < 12) await new Promise((resolve) => setTimeout(resolve, 5));
    before.push(...since.splice(0));
    made = await backUp(world, vault);
    const during = load.done();
    while (load.done() < during + 12) await new Promise((resolve) => setTimeout(resolve, 5));
    await load.stop();
    expect(load.failures).toEqual([]);
    place = await newPlace();
    const report = await place.restore(made.path, vault);
    expect(report.said.at(-1)).toMatch(/^Intact: /);
    expect(report.sha256).toBe(made.sha256);
    expect(report.closing).toEqual(made.closing);
    restored = await serve(place);
  }, 120_000);

  it('P-RESTORE every write that was acknowledged before it began is there, whole, and all verifies', async () => {
    const doctor = await as(restored, world.doctorA);
    for (const id of before)
      expect((await doctor.api.get(`/records/${id}/content`)).text).toBe((await world.doctorA.api.get(`/records/${id}/content`)).text);
    // What was sealed later is there whole or not at all.
    const { items } = (
      await doctor.api.get<{ items: { id: string; status: string }[] }>(`/patients/${world.patientA.id}/records?limit=100`)
    ).body;
    for (const { id, status } of items.filter((item) => item.status === 'sealed')) {
      expect([status, [...before, ...since].includes(id)]).toEqual(['sealed', true]);
      expect((await doctor.api.get(`/records/${id}/content`)).status).toBe(200);
    }
    await expectIntact(place);
    expect((await doctor.api.post<{ verdict: string }>(`/ledger/patients/${world.patientA.id}/verify`)).body.verdict).toBe('VALID');
  });

  it('everybody signs in again: no session, refresh token or access token of the time before the restore lives', async () => {
    const { token } = world.doctorA.api;
    expect((await restored.withToken(token ?? '').get('/auth/me')).status).toBe(401);
    expect((await restored.post('/auth/refresh', { refreshToken: world.doctorA.refreshToken })).status).toBe(401);
    for (const person of [world.founder, world.hospitalA, world.doctorB, world.patientB, world.auditor])
      expect((await (await as(restored, person)).api.get('/auth/me')).status).toBe(200);
  });

  it('each hospital begins a new log that names the newest known checkpoint of the former; sealing goes on in it', async () => {
    const { logs } = (await restored.get<LogsResponse>('/ledger/logs')).body;
    expect(logs.length).toBe(2);
    for (const { incarnation, statement, origin, former, hospitalId } of logs) {
      const before = made.closing.logs.find((log) => log.hospitalId === hospitalId);
      const said = parseIncarnation(statement ?? '');
      expect([incarnation, said.origin, said.formerOrigin]).toEqual([2, origin, former[0]?.origin]);
      if (before) expect([said.survivors, said.checkpoint]).toEqual([BigInt(before.size), before.checkpoint]);
      expect(origin).not.toBe(`${said.formerOrigin}/2`);
    }
    const doctor = await as(restored, world.doctorA);
    const id = await sealedDiagnosis(doctor, world.patientA.id);
    expect((await doctor.api.get<{ proof: unknown }>(`/records/${id}/bundle`)).status).toBe(200);
    expect((await doctor.api.post<{ verdict: string }>(`/ledger/patients/${world.patientA.id}/verify`)).body.verdict).toBe('VALID');
  });

  it('both acts are on the trail, under the id of the backup', async () => {
    const auditor = await as(restored, world.auditor);
    const { items } = (await auditor.api.get<{ items: Record<string, unknown>[] }>('/audit/events?limit=100')).body;
    const about = items.filter(({ subjectId }) => subjectId === made.manifest.id);
    expect(about).toMatchObject([
      { action: 'backup.restore', outcome: 'ok', reason: 'new-logs', actorId: null },
      { action: 'backup.make', outcome: 'ok', actorId: null },
    ]);
  });

  it('files are their owner’s alone, and nothing is overwritten or restored over', async () => {
    const mode = (path: string) => statSync(path).mode & 0o777;
    expect([mode(made.path), mode(vault.key)]).toEqual([0o600, 0o600]);
    await expect(makeBackup(world.foundations.config, made.path, vault.recipient)).rejects.toThrow('nothing is overwritten');
    expect(() => makeBackupKey(world.foundations.config, vault.key)).toThrow('nothing is overwritten');
    await expect(place.restore(made.path, vault)).rejects.toThrow('empty place');
    await expectIntact(place);
    expect(readdirSync(vault.dir).filter((name) => name.endsWith('.part'))).toEqual([]);
  });
});

describe('a backup in the wrong hands', () => {
  let made: MadeBackup;
  let bytes: Buffer;
  const SEALED = CHUNK_BYTES + TAG_BYTES;
  const borders = (): number[] => {
    const found: number[] = [BACKUP_HEAD_BYTES];
    for (let at = BACKUP_HEAD_BYTES + SEALED; at < bytes.length; at += SEALED) found.push(at);
    return found;
  };
  const check = (content: Buffer, key = vault.key, config = world.foundations.config) => {
    const from = join(vault.dir, 'altered');
    writeFileSync(from, content);
    return checkBackup(config, { from, keyFile: key });
  };
  beforeAll(async () => {
    // Some chunks, of a file that a doctor attached.
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
    const headers = { 'content-type': 'image/png', 'content-disposition': 'attachment; filename="a.png"' };
    await world.doctorA.api.post(`/records/${draft}/attachments`, undefined, { raw: randomBytes(300_000), headers });
    made = await backUp(world, vault);
    bytes = readFileSync(made.path);
    expect(borders().length).toBeGreaterThan(5);
  });

  it('ATTACK one changed byte, at every border of a chunk and between: refused', async () => {
    expect((await check(bytes)).sha256).toBe(made.sha256);
    const places = [0, 25, 60, 90, ...borders().flatMap((at) => [at, at + 777, at - 1, at - TAG_BYTES]), bytes.length - 1];
    for (const at of new Set(places)) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(check(changed)).rejects.toMatchObject({ name: 'CryptoError' });
    }
  });

  it('ATTACK cut at every border, continued, in another order, joined with another backup: refused', async () => {
    const [first = 0, second = 0, third = 0] = borders();
    const other = readFileSync((await backUp(world, vault)).path);
    const swapped = [bytes.subarray(0, first), bytes.subarray(second, third), bytes.subarray(first, second), bytes.subarray(third)];
    const joined = [bytes.subarray(0, second), other.subarray(second)];
    const contents = [
      ...borders().flatMap((at) => [bytes.subarray(0, at), bytes.subarray(0, at + 1)]),
      bytes.subarray(0, 0),
      bytes.subarray(0, 50),
      bytes.subarray(0, -1),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      Buffer.concat([bytes, bytes.subarray(first)]),
      Buffer.concat(swapped),
      Buffer.concat(joined),
    ];
    for (const content of contents) await expect(check(content)).rejects.toMatchObject({ name: 'CryptoError' });
  });

  it('ATTACK refused at its very last byte, with the wrong key or without the key files: the place is empty still', async () => {
    const place = await newPlace();
    const changed = Buffer.from(bytes);
    changed[bytes.length - 1] = (changed[bytes.length - 1] ?? 0) ^ 1;
    const from = join(vault.dir, 'spoiled');
    writeFileSync(from, changed);
    await expect(place.restore(from, vault)).rejects.toMatchObject({ code: 'backup_rejected' });
    await expectEmpty(place);
    const other = makeVault(world.foundations.config);
    await expect(place.restore(made.path, other)).rejects.toMatchObject({ code: 'backup_wrong_key' });
    chmodSync(vault.key, 0o640);
    await expect(place.restore(made.path, vault)).rejects.toMatchObject({ code: 'key_file_permissions' });
    chmodSync(vault.key, 0o600);
    writeFileSync(join(place.dir, 'keys', 'ledger.key'), `${randomBytes(32).toString('hex')}\n`);
    await expect(place.restore(made.path, vault)).rejects.toMatchObject({ code: 'backup_wrong_key' });
    rmSync(join(place.dir, 'keys'), { recursive: true });
    await expect(place.restore(made.path, vault)).rejects.toMatchObject({ code: 'key_file_missing' });
    await expectEmpty(place);
    cpSync(world.foundations.config.keysDir, join(place.dir, 'keys'), { recursive: true });
    const root = join(place.dir, 'keys', 'root.key');
    writeFileSync(root, `${randomBytes(32).toString('hex')}\n`);
    await expect(place.restore(made.path, vault)).rejects.toMatchObject({ code: 'wrong_root_key' });
    await expectEmpty(place);
    cpSync(join(world.foundations.config.keysDir, 'root.key'), root);
    await place.restore(made.path, vault, { moved: true }); // and what stopped it left nothing that keeps it from the next try
    rmSync(other.dir, { recursive: true });
  }, 60_000);

  it('a backup key is not made where the data or the key files are', () => {
    const { config } = world.foundations;
    for (const dir of [config.dataDir, config.keysDir]) expect(() => makeBackupKey(config, join(dir, 'b.key'))).toThrow('stays apart');
  });

  it('SEC-77 nothing personal and no key is in the file', async () => {
    const canaries = new Canaries();
    const name = canaries.text('name');
    const patient = await addPatient(world, world.doctorA, name, {
      nationalId: canaries.word('national id'),
      phone: canaries.text('phone'),
    });
    await sealedDiagnosis(world.doctorA, patient.id, canaries.text('note'));
    const { config } = world.foundations;
    for (const file of readdirSync(config.keysDir)) {
      const text = readFileSync(join(config.keysDir, file), 'latin1').trim();
      canaries.add(file, file.endsWith('.key') ? text : (text.split('\n')[1] ?? ''));
    }
    canaries.add('user name', world.doctorA.username.padEnd(8, '.'));
    const { path } = await backUp(world, vault);
    expect(canaries.found(new Map([[path, readFileSync(path)]]))).toEqual([]);
    // Not even what the database has in the clear.
    expect(readFileSync(path).includes('City Hospital')).toBe(false);
    expect(readFileSync(path).includes(patient.id)).toBe(false);
  });
});

it('ATTACK a database that was altered before its backup: refused, and live only when the operator says so; the trail keeps it', async () => {
  await sealedDiagnosis(world.doctorB, (await addPatient(world, world.doctorB, 'Altered One')).id);
  const db = openRaw(world);
  const sql = `UPDATE "hospital" SET "name" = ? WHERE "name" = ?`;
  db.prepare(sql).run('Cost Clinic', 'Coast Clinic');
  const made = await backUp(world, vault);
  db.prepare(sql).run('Coast Clinic', 'Cost Clinic');
  db.close();
  const place = await newPlace();
  await expect(place.restore(made.path, vault)).rejects.toThrow('not intact');
  await expectEmpty(place);
  const { said } = await place.restore(made.path, vault, { acceptFindings: true });
  expect(said).toContainEqual(expect.stringContaining(`TAMPERED table hospital row ${world.hospitalB.id}`));
}, 60_000);

it('a server that was stopped first moves: its logs go on; a witness that saw more stops that', async () => {
  await sealedDiagnosis(world.doctorA, world.patientA.id);
  const made = await backUp(world, vault);
  const { logs } = (await world.anonymous.get<LogsResponse>('/ledger/logs')).body;
  await sealedDiagnosis(world.doctorA, world.patientA.id);
  const later = (await backUp(world, vault)).closing.logs.map(({ checkpoint }, index) => {
    const file = join(vault.dir, `later-${index}`);
    writeFileSync(file, checkpoint ?? '');
    return file;
  });
  const place = await newPlace();
  await expect(place.restore(made.path, vault, { moved: true, witnessed: later })).rejects.toThrow('leave --moved out');
  await expectEmpty(place);
  const { begun } = await place.restore(made.path, vault, { moved: true });
  expect(begun).toEqual([]);
  const origins: string[] = [];
  const summary = await auditData(place.config, { tellLog: ({ origin }) => origins.push(origin) }, () => undefined);
  expect([isWhole(summary), origins]).toEqual([true, logs.map(({ origin }) => origin)]);
  // Without that word the newer checkpoint is named, and what it has beyond the backup counts as lost.
  const other = await newPlace();
  const again = await other.restore(made.path, vault, { witnessed: later });
  const grown = again.begun.find(({ former }) => former.hospitalId === world.hospitalA.id);
  expect(Number(grown?.witnessedSize)).toBeGreaterThan(grown?.former.size ?? Infinity);
}, 60_000);

it('SEC-85 what was erased after the backup is erased again, from the list that is kept outside; a list of somebody else is refused', async () => {
  const [doctor, gone] = [world.doctorA, await addPatient(world, world.doctorA, 'Erased Whole')];
  const [kept, record, whole] = [
    await sealedDiagnosis(doctor, world.patientA.id),
    await sealedDiagnosis(doctor, world.patientA.id, 'to be erased'),
    await sealedDiagnosis(doctor, gone.id, 'to be erased with all'),
  ];
  const early = await sealedDiagnosis(doctor, world.patientA.id);
  await erase(world, world.patientA.id, early);
  const made = await backUp(world, vault);
  const db = openRaw(world);
  const sealed = rows<{ ciphertext: Buffer }>(db, 'SELECT "ciphertext" FROM "ledger_content" WHERE "recordId" IN (?, ?)', record, whole);
  db.close();
  const late = await sealedDiagnosis(doctor, world.patientA.id);
  const done = [await erase(world, world.patientA.id, record), await erase(world, gone.id)];
  await erase(world, world.patientA.id, late);
  const { path, count } = await listErasures(world.foundations.config, vault.dir);
  expect(count).toBeGreaterThanOrEqual(4);

  const forged = join(vault.dir, 'forged');
  writeFileSync(forged, readFileSync(path, 'utf8').replace(record, kept));
  const place = await newPlace();
  await expect(place.restore(made.path, vault, { erasures: [forged] })).rejects.toThrow('no list of erasures');
  await expectEmpty(place);
  const { erased } = await place.restore(made.path, vault, { erasures: [path] });
  expect(erased.map(({ id }) => id)).toEqual(done.map(({ id }) => id));
  await expectIntact(place);
  expect(sealed.length).toBe(2);
  if (!place.config.postgres)
    for (const { ciphertext } of sealed) expect(readFileSync(place.config.sqlitePath).includes(ciphertext.subarray(0, 24))).toBe(false);
  const app = await serve(place);
  const reader = await as(app, doctor);
  const status = async (path: string) => (await reader.api.get(path)).status;
  expect([await status(`/records/${record}/content`), await status(`/records/${whole}/content`)]).toEqual([410, 410]);
  expect([await status(`/records/${early}/content`), await status(`/records/${kept}/content`)]).toEqual([410, 200]);
  expect((await app.post('/auth/login', { username: gone.username, password: gone.password })).status).toBe(401);
  const { body } = await (await as(app, world.founder)).api.get<Record<string, unknown>>(`/erasures/${done[0]?.id}/certificate`);
  expect(body['schema']).toBe('bjwt.erasure-certificate/1');
}, 60_000);
