import { generateKeyPairSync } from 'node:crypto';
import { type AttestationClaims, signAttestation } from '../../src/ledger/core/attestation';
import { b64u, sha256, ZERO_HASH } from '../../src/ledger/core/bytes';
import { contentCommit, encryptContent, opening } from '../../src/ledger/core/content';
import { blockHash, type BlockHeader, BlockKind, decodeHeader, encodeHeader } from '../../src/ledger/core/header';
import { parseKeyEvent } from '../../src/ledger/core/key-event';
import type { Actor } from '../../src/common/actor';
import { RegisterKeyDto } from '../../src/ledger/key.dto';
import { KeyRegistryService } from '../../src/ledger/key-registry.service';
import { testAuthor } from '../reference/chain-maker';
import { microCommit } from '../reference/micro-ledger';
import type { ChainVerdictResponse as Verdict } from '../../src/ledger/ledger.dto';
import { AuthorClient, keyRegistration, type KeyView, originOf, type Prepared, signed } from '../support/author-client';
import { type RawDatabase, rows, storedChain, tamper } from '../support/raw-database';
import { addDoctor, addPatient, createWorld, draftDiagnosis, login, type Person, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const verify = async (patientId: string): Promise<string[]> => {
  const { body } = await world.auditor.api.post<Verdict>(`/ledger/patients/${patientId}/verify`);
  return [body.verdict, ...body.findings.map(({ code, field, height }) => `${code} ${field}@${height}`)];
};
const keysFor = async (reader: Person): Promise<KeyView[]> =>
  (await reader.api.get<{ items: KeyView[] }>('/ledger/keys?limit=100')).body.items;
const keysOf = async (person: Person): Promise<KeyView[]> => (await keysFor(world.founder)).filter((key) => key.accountId === person.id);
/** Waits until the log has given all events of a person's keys their places. */
async function logged(person: Person): Promise<void> {
  while ((await keysOf(person)).some((key) => key.events.some((event) => event.leafIndex === null)))
    await new Promise((done) => setTimeout(done, 20));
}
const revoke = (actor: Person, kid: string, reason = 'lost') => actor.api.post<KeyView>(`/ledger/keys/${kid}/revocation`, { reason });
const newDoctor = (): Promise<Person> => addDoctor(world, world.hospitalA, 'Dr. Deniz Ak');
const newClient = async (name: string): Promise<AuthorClient> => AuthorClient.register(await newDoctor(), world.hospitalA, name);
const newPatient = async (): Promise<string> => (await addPatient(world, world.doctorA, 'Chart Of Keys')).id;

describe('keys in the server’s custody', () => {
  test('R16 a key is registered in the log before the first block that it signs', async () => {
    const doctor = await newDoctor();
    const draft = await draftDiagnosis(doctor, world.patientA.id);
    const sealed = await doctor.api.post<{ leafIndex: number }>(`/records/${draft}/seal`);
    const [key, ...more] = await keysOf(doctor);
    expect(more).toEqual([]);
    expect(key).toMatchObject({ custody: 'server', accountId: doctor.id, hospitalId: world.hospitalA.id, revokedAt: null });
    expect(key?.events).toHaveLength(1);
    expect(key?.events[0]?.leafIndex).toBeLessThan(sealed.body.leafIndex);
    const event = parseKeyEvent(key?.events[0]?.body ?? '');
    expect(event).toMatchObject({
      event: 'register',
      kid: key?.kid,
      custody: 'server',
      account: doctor.id,
      iss: await originOf(world.hospitalA),
    });
    await sealedDiagnosis(doctor, world.patientA.id);
    expect(await keysOf(doctor)).toHaveLength(1);
  });

  test('SEC-48 a hospital sees the keys of its own log only', async () => {
    await sealedDiagnosis(world.doctorA, world.patientA.id);
    await sealedDiagnosis(world.doctorB, world.patientB.id);
    const seenByB = await keysFor(world.hospitalB);
    expect(seenByB.map((key) => key.accountId)).toContain(world.doctorB.id);
    expect(seenByB.map((key) => key.hospitalId)).toEqual(seenByB.map(() => world.hospitalB.id));
    const all = await keysFor(world.auditor);
    expect(all.map((key) => key.accountId)).toEqual(expect.arrayContaining([world.doctorA.id, world.doctorB.id]));
  });

  test('a revoked key stays good for what it signed, and the next seal makes another', async () => {
    const doctor = await newDoctor();
    const patient = await newPatient();
    await sealedDiagnosis(doctor, patient);
    const [first] = await keysOf(doctor);
    const answer = await revoke(world.hospitalA, first?.kid ?? '', 'compromised');
    expect([answer.status, answer.body.events.map((event) => event.reason)]).toEqual([201, [null, 'compromised']]);
    await sealedDiagnosis(doctor, patient);
    const keys = await keysOf(doctor);
    expect(keys.map((key) => key.revokedAt === null)).toEqual([false, true]);
    expect(await verify(patient)).toEqual(['VALID']);
    expect((await revoke(doctor, first?.kid ?? '')).status).toBe(409);
    expect((await revoke(world.founder, keys[1]?.kid ?? '', 'retired')).status).toBe(201);
  });

  test('R11 who leaves signs nothing any more', async () => {
    const doctor = await newDoctor();
    await sealedDiagnosis(doctor, world.patientA.id);
    const left = await world.hospitalA.api.post(`/hospitals/me/staff/${doctor.id}/departure`, { lastDay: '2026-11-22', reason: 'moved' });
    expect(left.status).toBe(200);
    const [key] = await keysOf(doctor);
    expect(key?.events.map((event) => event.reason)).toEqual([null, 'departed']);
  });

  test('R11 the key of a login that is closed ends too, a doctor’s and a patient’s; what it signed stays valid', async () => {
    const [doctor, patient] = [await newDoctor(), await addPatient(world, world.hospitalA, 'Closed Person')];
    await sealedDiagnosis(doctor, patient.id);
    await patient.api.post('/patients/me/consent/grants', {
      hospitalId: world.hospitalB.id,
      validUntil: new Date(Date.now() + 3_600_000).toISOString(),
    });
    for (const { id } of [doctor, patient]) expect((await world.hospitalA.api.post(`/accounts/${id}/close`)).status).toBe(200);
    for (const person of [doctor, patient])
      expect((await keysOf(person)).map((key) => key.events.map((event) => event.reason))).toEqual([[null, 'retired']]);
    expect(await verify(patient.id)).toEqual(['VALID']);
  });

  test('ATTACK a token that was revoked while its request waited ends no key and registers none', async () => {
    const doctor = await newDoctor();
    await sealedDiagnosis(doctor, world.patientA.id);
    const [key] = await keysOf(doctor);
    const { id } = doctor;
    const stale: Actor = {
      id,
      role: 'DOCTOR',
      hospitalId: world.hospitalA.id,
      sessionId: id,
      epoch: world.clock.now(),
      authTime: 0,
      acr: 'pwd',
      requestId: id,
    };
    expect((await world.hospitalA.api.post(`/accounts/${id}/lock`)).status).toBe(200);
    const registry = world.app.get(KeyRegistryService);
    const body = await keyRegistration(world.hospitalA, id, testAuthor('stale'));
    const registration = Object.assign(new RegisterKeyDto(), body);
    await expect(registry.revoke(stale, key?.kid ?? '', 'lost')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(registry.register(stale, registration)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect((await keysOf(doctor)).map((item) => item.events.length)).toEqual([1]);
  });
});

describe('keys in the author’s own custody', () => {
  test('R16 the author’s client checks what it signs, signs, and nobody else can', async () => {
    const doctor = await newDoctor();
    const patient = await newPatient();
    await sealedDiagnosis(doctor, patient);
    const client = new AuthorClient(doctor, world.hospitalA, testAuthor('own custody'));
    const registered = await client.registered();
    expect([registered.status, registered.body.custody, registered.body.kid]).toEqual([201, 'client', client.key.kid]);
    expect((await keysOf(doctor)).map((key) => key.events.map((event) => event.reason))).toEqual([[null, 'retired'], [null]]);

    const draft = await draftDiagnosis(doctor, patient, 'signed elsewhere');
    const unsigned = await doctor.api.post(`/records/${draft}/seal`);
    expect([unsigned.status, unsigned.body['code']]).toEqual([409, 'client_signature_required']);
    const prepared = await client.prepare(draft);
    const payload = Buffer.from(prepared.payload, 'base64');
    const { body: shown } = await doctor.api.get<{ resource: object }>(`/records/${draft}`);
    expect(JSON.parse(payload.toString('utf8'))).toEqual(shown.resource);
    const commit = microCommit(Buffer.from(prepared.opening, 'base64url').toString('hex'), payload.toString('hex'));
    expect(Buffer.from(prepared.claims.cmt, 'base64url').toString('hex')).toBe(commit);
    expect(prepared.signingInput.split('.')[1]).toBe(Buffer.from(JSON.stringify(prepared.claims)).toString('base64url'));

    const sealed = await client.submit(draft, signed(prepared, client.key));
    expect([sealed.status, sealed.body.height]).toEqual([201, 2]);
    expect((await client.submit(draft, signed(prepared, client.key))).body.height).toBe(2); // asked again
    const { body: chain } = await doctor.api.get<{ items: { authorKeyId: string }[] }>(`/ledger/patients/${patient}/chain`);
    expect(chain.items[2]?.authorKeyId).toBe(client.key.kid);
    const read = await doctor.api.get<{ authorId: string; status: string }>(`/records/${draft}`);
    expect(read.body).toMatchObject({ authorId: doctor.id, status: 'sealed' });
    expect(await verify(patient)).toEqual(['VALID']);
  });

  test('a chain begins with a client’s signature', async () => {
    const client = await newClient('first block');
    const patient = await newPatient();
    expect((await client.seal(await draftDiagnosis(client.doctor, patient))).status).toBe(201);
    expect(await verify(patient)).toEqual(['VALID']);
  });

  test('others may seal between the preparation and the signature', async () => {
    const client = await newClient('between');
    const draft = await draftDiagnosis(client.doctor, world.patientA.id);
    const prepared = await client.prepare(draft);
    await sealedDiagnosis(world.doctorA, world.patientA.id);
    expect((await client.submit(draft, signed(prepared, client.key))).status).toBe(201);
    expect(await verify(world.patientA.id)).toEqual(['VALID']);
  });

  test('a draft that changed, a preparation that is void, and none at all', async () => {
    const client = await newClient('late');
    const { doctor } = client;
    const draft = await draftDiagnosis(doctor, world.patientA.id);
    const { body: shown } = await doctor.api.get<{ resource: object }>(`/records/${draft}`);
    const prepared = await client.prepare(draft);
    await doctor.api.put(`/records/${draft}`, { resource: shown.resource }, { headers: { 'if-match': '"1"' } });
    expect((await client.submit(draft, signed(prepared, client.key))).status).toBe(412);
    const second = await client.prepare(draft);
    const headers = { 'content-type': 'image/png', 'content-disposition': 'attachment; filename="x.png"' };
    expect((await doctor.api.post(`/records/${draft}/attachments`, undefined, { raw: Buffer.from('file'), headers })).status).toBe(201);
    expect((await client.submit(draft, signed(second, client.key))).status).toBe(412);
    const third = await client.prepare(draft);
    const fourth = await client.prepare(draft);
    expect((await client.submit(draft, signed(third, client.key))).status).toBe(422); // void: its opening is gone
    const other = await draftDiagnosis(doctor, world.patientA.id);
    expect((await client.submit(other, signed(fourth, client.key))).body.code).toBe('conflict');
    expect((await client.submit(draft, signed(fourth, client.key))).status).toBe(201);
  });

  test('a correction is signed the same way; what was shown and what is sent must be one', async () => {
    const client = await newClient('corrects');
    const { doctor } = client;
    const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
    const correction = { kind: 'retraction', reason: 'entered for another person' };
    const path = `/records/${record}/corrections`;
    expect((await doctor.api.post(path, correction)).body['code']).toBe('client_signature_required');
    const { body: prepared } = await doctor.api.post<Prepared>(`${path}/attestation`, correction);
    expect(JSON.parse(Buffer.from(prepared.payload, 'base64').toString())).toMatchObject({ amends: record, ...correction });
    const attestation = signed(prepared, client.key);
    expect((await doctor.api.post(path, { ...correction, reason: 'another', attestation })).status).toBe(412);
    const other = await sealedDiagnosis(world.doctorA, await newPatient());
    expect((await doctor.api.post(`/records/${other}/corrections`, { ...correction, attestation })).body['code']).toBe('conflict');
    expect((await doctor.api.post(path, { ...correction, attestation: 'a.b' })).body['code']).toBe('invalid_attestation');
    const done = await doctor.api.post(path, { ...correction, attestation });
    expect([done.status, done.body['recordId']]).toEqual([201, prepared.recordId]);
    expect((await doctor.api.post(path, { ...correction, attestation })).body['code']).toBe('conflict');
    const { body: read } = await doctor.api.get<{ amendedBy: unknown[] }>(`/records/${record}`);
    expect(read.amendedBy).toEqual([{ recordId: prepared.recordId, kind: 'retraction' }]);
    expect(await verify(world.patientA.id)).toEqual(['VALID']);
  });

  test('the body of a seal is nothing or one attestation', async () => {
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
    for (const body of [{ attestation: 7 }, { attestation: '' }, { attestation: 'x', more: 1 }, { other: 'x' }, [], null])
      expect((await world.doctorA.api.post(`/records/${draft}/seal`, body)).status).toBe(400);
    const server = await world.doctorA.api.post(`/records/${draft}/seal`, { attestation: 'a.b.c' });
    expect([server.status, server.body['code']]).toEqual([409, 'conflict']); // has no key of its own
    expect((await world.doctorA.api.post(`/records/${draft}/seal`, {})).status).toBe(201);
  });

  test('a lost key: nothing is sealed, not by the server either, until another is registered', async () => {
    const client = await newClient('lost');
    const draft = await draftDiagnosis(client.doctor, world.patientA.id);
    const prepared = await client.prepare(draft);
    expect((await client.registered()).body).toMatchObject({ code: 'already_exists' });
    const second = new AuthorClient(client.doctor, world.hospitalA, testAuthor('found'));
    expect((await second.registered()).body).toMatchObject({ code: 'conflict' });
    expect((await revoke(world.colleagueA, client.key.kid)).status).toBe(404);
    expect((await revoke(client.doctor, client.key.kid)).status).toBe(201);
    expect((await client.submit(draft, signed(prepared, client.key))).body.code).toBe('conflict');
    expect((await client.doctor.api.post(`/records/${draft}/seal`)).body['code']).toBe('client_signature_required');
    expect((await second.registered()).status).toBe(201);
    expect((await client.submit(draft, signed(prepared, client.key))).body.errors).toContainEqual(
      expect.objectContaining({ path: 'attestation.kid' }),
    );
    expect((await second.seal(draft)).status).toBe(201);
  });
});

describe('what a registration must be', () => {
  const refused = async (doctor: Person, body: object): Promise<unknown> => {
    const answer = await doctor.api.post<{ code: string; errors?: { path: string }[] }>('/ledger/keys', body);
    return [answer.status, answer.body.errors?.[0]?.path];
  };

  test('ATTACK weak Ed25519 key: of small order, not canonical, not on the curve, or private', async () => {
    const doctor = await newDoctor();
    const own = await keyRegistration(world.hospitalA, doctor.id, testAuthor('weak'));
    const hexKey = (hex: string) => ({ ...own, jwk: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') } });
    for (const hex of [
      `00${'00'.repeat(31)}`,
      `01${'00'.repeat(31)}`,
      `ec${'ff'.repeat(30)}7f`, // p - 1
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      `ee${'ff'.repeat(30)}7f`, // 1, written as p + 1
      `02${'00'.repeat(31)}`, // no point
    ])
      expect(await refused(doctor, hexKey(hex))).toEqual([422, 'jwk.x']);
    const { d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    expect(await refused(doctor, { ...own, jwk: { ...own.jwk, d } })).toEqual([422, 'jwk.d']);
    expect(await refused(doctor, { ...own, jwk: { ...own.jwk, kty: 'EC' } })).toEqual([422, 'jwk.kty']);
    expect(await refused(doctor, { proof: own.proof })).toEqual([400, 'jwk']);
  });

  test('ATTACK register a key that one does not hold, or somebody else’s proof', async () => {
    const doctor = await newDoctor();
    const key = testAuthor('not held');
    const now = Math.floor(world.clock.now() / 1000);
    const proofOf = async (account: string, more: { iss?: string; iat?: number }) =>
      keyRegistration(world.hospitalA, account, key, { iat: now, ...more });
    const stolen = { jwk: key.jwk, proof: (await keyRegistration(world.hospitalA, doctor.id, testAuthor('thief'), { iat: now })).proof };
    expect(await refused(doctor, stolen)).toEqual([422, 'proof.kid']);
    expect(await refused(doctor, await proofOf(world.doctorA.id, {}))).toEqual([422, 'proof.sub']);
    expect(await refused(doctor, await proofOf(doctor.id, { iss: await originOf(world.hospitalB) }))).toEqual([422, 'proof.iss']);
    expect(await refused(doctor, await proofOf(doctor.id, { iat: now - 660 }))).toEqual([422, 'proof.iat']);
    expect(await refused(doctor, await proofOf(doctor.id, { iat: now + 660 }))).toEqual([422, 'proof.iat']);
    expect((await doctor.api.post('/ledger/keys', await proofOf(doctor.id, {}))).status).toBe(201);
    const other = await newDoctor();
    expect((await other.api.post('/ledger/keys', await proofOf(other.id, {}))).body['code']).toBe('already_exists');
  });
});

describe('forged attestations are refused before anything is sealed', () => {
  let client: AuthorClient;
  beforeAll(async () => {
    client = await newClient('forger');
  });
  const forge = (claims: AttestationClaims, key = client.key): string => signAttestation(claims, key.privateKey, key.kid);
  const paths = async (record: string, jws: string): Promise<unknown> => {
    const answer = await client.submit(record, jws);
    expect([answer.status, answer.body.code]).toEqual([422, 'invalid_attestation']);
    return answer.body.errors?.map((error) => error.path);
  };
  const claimsOf = (prepared: Prepared): AttestationClaims => ({ ...prepared.claims, knd: BlockKind.record });

  test('ATTACK replay an attestation in another chain or version, or for another record', async () => {
    const [here, there] = [await draftDiagnosis(client.doctor, world.patientA.id), await draftDiagnosis(client.doctor, await newPatient())];
    const [mine, other] = [await client.prepare(here), await client.prepare(there)];
    expect(await paths(there, signed(mine, client.key))).toEqual(['sub', 'jti', 'cmt', 'seen'].map((claim) => `attestation.${claim}`));
    expect(await paths(here, forge({ ...claimsOf(mine), ver: 2 }))).toEqual(['attestation.ver']);
    expect(await paths(here, forge({ ...claimsOf(mine), iss: await originOf(world.hospitalB) }))).toEqual(['attestation.iss']);
    expect(await paths(here, forge({ ...claimsOf(mine), knd: BlockKind.amendment }))).toEqual(['attestation.knd']);
    expect(await paths(here, forge({ ...claimsOf(mine), cmt: other.claims.cmt }))).toEqual(['attestation.cmt']);
    expect((await client.submit(here, signed(mine, client.key))).status).toBe(201);
  });

  test('ATTACK insert before what the doctor saw, or claim to have seen what is not there', async () => {
    const draft = await draftDiagnosis(client.doctor, world.patientA.id);
    const prepared = await client.prepare(draft);
    const { h, b } = prepared.claims.seen;
    for (const seen of [
      { h: h + 1, b },
      { h: h - 1, b },
      { h, b: b64u(Buffer.alloc(32, 7)) },
      { h: -1, b },
    ])
      expect(await paths(draft, forge({ ...claimsOf(prepared), seen }))).toEqual(['attestation.seen']);
  });

  test('ATTACK backdate: a client’s clock may be ten minutes off', async () => {
    const draft = await draftDiagnosis(client.doctor, world.patientA.id);
    const prepared = await client.prepare(draft);
    for (const off of [-605, 605, -86_400])
      expect(await paths(draft, forge({ ...claimsOf(prepared), iat: prepared.claims.iat + off }))).toEqual(['attestation.iat']);
    expect((await client.submit(draft, forge({ ...claimsOf(prepared), iat: prepared.claims.iat - 590 }))).status).toBe(201);
  });

  test('ATTACK sign with a key that is not the own one, or not at all', async () => {
    const draft = await draftDiagnosis(client.doctor, world.patientA.id);
    const prepared = await client.prepare(draft);
    expect(await paths(draft, forge(claimsOf(prepared), testAuthor('stranger')))).toEqual(['attestation.kid']);
    expect(await paths(draft, `${prepared.signingInput}.${b64u(Buffer.alloc(64, 1))}`)).toEqual(['attestation.signature']);
    expect(await paths(draft, 'a.b')).toEqual(['attestation']);
    const colleague = await newClient('colleague');
    expect((await colleague.submit(draft, signed(prepared, colleague.key))).status).toBe(404);
    expect((await client.submit(draft, signed(prepared, client.key))).status).toBe(201);
  });
});

describe('whoever owns the database file forges keys and blocks', () => {
  const tables = ['ledger_block', 'ledger_content', 'ledger_chain', 'author_key', 'key_event', 'log_leaf'];
  let client: AuthorClient;
  let patient = '';
  beforeAll(async () => {
    client = await newClient('forged by the owner');
    patient = await newPatient();
    for (let n = 0; n < 2; n += 1) expect((await client.seal(await draftDiagnosis(client.doctor, patient))).status).toBe(201);
  });

  /** Puts a block on a chain that is right in every way but `header` and `claims`: as whoever has the key and the file can. */
  function forgeBlock(db: RawDatabase, change: { header?: Partial<BlockHeader>; iat?: number; leaf?: boolean } = {}): void {
    const head = storedChain(db, patient).at(-1)!;
    const below = decodeHeader(head.header);
    const [recordId, recordKey, height] = ['01980000-0000-7000-8000-00000000dead', Buffer.alloc(32, 3), head.height + 1];
    const payload = Buffer.from('{"resourceType":"Condition"}');
    const place = { recordKey, ledgerId: below.ledgerId, chainId: head.chainId, recordId, version: 1 };
    const ciphertext = encryptContent({ ...place, payload });
    const commit = contentCommit(opening(recordKey), payload);
    const sealedAt = change.header?.sealedAt ?? below.sealedAt;
    const iss = String(rows<{ o: string }>(db, 'SELECT ledgerOrigin AS o FROM hospital WHERE id = ?', world.hospitalA.id)[0]?.o);
    const seen = { h: head.height, b: b64u(head.blockHash) };
    const iat = change.iat ?? Math.floor(sealedAt / 1000);
    const claims = { iss, sub: b64u(head.chainId), jti: recordId, ver: 1, knd: BlockKind.record, iat, cmt: b64u(commit), seen };
    const attestation = signAttestation(claims, client.key.privateKey, client.key.kid);
    const header = encodeHeader({
      ...below,
      height,
      sealedAt,
      prevHash: head.blockHash,
      contentCommit: commit,
      ciphertextHash: sha256(ciphertext),
      attestationHash: sha256(attestation),
      refHash: ZERO_HASH,
    });
    const hash = blockHash(header);
    db.prepare('INSERT INTO ledger_block VALUES (@chainId, @height, @hash, @prev, NULL, @header, @recordId, 1, @attestation)').run({
      chainId: head.chainId,
      height,
      hash,
      prev: head.blockHash,
      header,
      recordId,
      attestation,
    });
    db.prepare('INSERT INTO ledger_content (recordId, version, ciphertext, recordKey) VALUES (?, 1, ?, zeroblob(1))').run(
      recordId,
      ciphertext,
    );
    db.prepare('UPDATE ledger_chain SET height = ?, headHash = ? WHERE patientId = ?').run(height, hash, patient);
    if (change.leaf !== false) {
      const [leaf] = rows<{ logId: number }>(db, 'SELECT logId FROM log_leaf WHERE hash = ?', head.blockHash);
      db.prepare('INSERT INTO log_leaf (logId, leafIndex, kind, hash) VALUES (?, 1000000, 1, ?)').run(leaf?.logId, hash);
    }
  }
  const forging = (change: Parameters<typeof forgeBlock>[1], check: (findings: string[]) => void): Promise<void> =>
    tamper(
      world,
      tables,
      (db) => forgeBlock(db, change),
      async () => check(await verify(patient)),
    );

  test('ATTACK backdate', async () => {
    const sealedAt = world.clock.now() - 3_600_000;
    await forging({ header: { sealedAt } }, (found) => expect(found).toContain('HEADER_MISMATCH header.sealedAt@3'));
    await forging({ iat: Math.floor(sealedAt / 1000) }, (found) => expect(found).toContain('ATTESTATION_INVALID attestation.iat@3'));
    await forging({}, (found) => expect(found.join()).not.toMatch(/header|attestation/));
  });

  test.each([
    [
      'given to another account',
      `UPDATE author_key SET accountId = 'COLLEAGUE' WHERE kid = 'KID'`,
      'CONTENT_MISMATCH author_key.accountId@1',
    ],
    [
      'declared as in the server’s custody',
      `UPDATE author_key SET custody = 'server' WHERE kid = 'KID'`,
      'CONTENT_MISMATCH author_key.custody@1',
    ],
    ['deleted', `DELETE FROM author_key WHERE kid = 'KID'`, 'KEY_UNKNOWN header.authorKeyId@1'],
    ['never registered', `DELETE FROM key_event WHERE kid = 'KID'`, 'KEY_UNKNOWN header.authorKeyId@1'],
    [
      'registered for another account',
      `UPDATE key_event SET body = replace(body, 'DOCTOR', 'COLLEAGUE') WHERE kid = 'KID'`,
      'KEY_UNKNOWN header.authorKeyId@1',
    ],
  ])('ATTACK the author’s key is %s', async (_how, sql, finding) => {
    const statement = sql.replace('COLLEAGUE', world.colleagueA.id).replace('DOCTOR', client.doctor.id).replace('KID', client.key.kid);
    await tamper(
      world,
      tables,
      (db) => expect(db.prepare(statement).run().changes).toBe(1),
      async () => expect((await verify(patient)).slice(0, 2)).toEqual(['TAMPERED', finding]),
    );
    expect(await verify(patient)).toEqual(['VALID']);
  });

  test('ATTACK sign with a revoked key', async () => {
    expect((await revoke(client.doctor, client.key.kid, 'compromised')).status).toBe(201);
    await logged(client.doctor);
    for (const leaf of [true, false])
      await forging({ leaf }, (found) => {
        expect(found).toContain('KEY_REVOKED header.authorKeyId@3');
        expect(found.filter((finding) => finding.startsWith('KEY_REVOKED'))).toHaveLength(1);
      });
    expect(await verify(patient)).toEqual(['VALID']);
  });

  test('ATTACK hide a revocation: its leaf stands without a body', async () => {
    await tamper(
      world,
      tables,
      (db) => {
        const settled = rows(
          db,
          `SELECT 1 FROM key_event e JOIN log_leaf l ON l.hash = e.hash WHERE e.kid = ? AND e.event = 'revoke'`,
          client.key.kid,
        );
        expect(settled).toHaveLength(1);
        db.prepare(`DELETE FROM key_event WHERE kid = ? AND event = 'revoke'`).run(client.key.kid);
      },
      async () => expect((await verify(patient))[0]).toBe('TAMPERED'),
    );
  });
});

test('what was prepared is void after ten minutes', async () => {
  const { doctor, hospital, key } = await newClient('too late');
  const draft = await draftDiagnosis(doctor, world.patientA.id);
  const prepared = await new AuthorClient(doctor, hospital, key).prepare(draft);
  expect(Date.parse(prepared.expiresAt)).toBeGreaterThan(world.clock.now());
  world.clock.advance(10 * 60_000);
  const later = new AuthorClient(await login(world, doctor.id, doctor.username), hospital, key);
  expect((await later.submit(draft, signed(prepared, key))).body.code).toBe('conflict');
  expect((await later.seal(draft)).status).toBe(201);
});

test('times of sealing only rise: a clock that steps back a little stands still, one that is far behind seals nothing', async () => {
  const patient = await addPatient(world, await login(world, world.hospitalA.id, world.hospitalA.username), 'Clocks');
  const early = await login(world, world.doctorA.id, world.doctorA.username);
  const place = async (doctor: Person): Promise<[number, unknown]> => {
    const answer = await doctor.api.post(`/records/${await draftDiagnosis(doctor, patient.id)}/seal`);
    return [answer.status, answer.body['sealedAt'] ?? answer.body['code']];
  };
  world.clock.advance(5 * 60_000);
  const [, latest] = await place(early);
  world.clock.advance(-4 * 60_000);
  expect(await place(early)).toEqual([201, latest]);
  world.clock.advance(11 * 60_000);
  expect((await place(await login(world, world.colleagueA.id, world.colleagueA.username)))[0]).toBe(201);
  world.clock.advance(-11 * 60_000);
  expect(await place(early)).toEqual([503, 'unavailable']);
  world.clock.advance(90_000);
  expect((await place(early))[0]).toBe(201);
});
