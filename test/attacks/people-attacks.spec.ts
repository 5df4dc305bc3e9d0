import { randomUUID } from 'node:crypto';
import { signAttestation } from '../../src/ledger/core/attestation';
import { b64u, sha256 } from '../../src/ledger/core/bytes';
import { contentCommit, encryptContent, opening } from '../../src/ledger/core/content';
import { erasureText } from '../../src/ledger/core/erasure';
import { blockHash, BlockKind, decodeHeader, encodeHeader, genesisHash } from '../../src/ledger/core/header';
import { keyEventBody, keyEventHash } from '../../src/ledger/core/key-event';
import { auditData } from '../../src/tools/audit-data';
import { type TestAuthor, testAuthor } from '../reference/chain-maker';
import type { ChainVerdictResponse as Verdict } from '../../src/ledger/ledger.dto';
import { AuthorClient, originOf } from '../support/author-client';
import { approve, ask, erase } from '../support/erasures';
import { dropUniqueIndexes, openRaw, type RawDatabase, rows, storedChain, tamper } from '../support/raw-database';
import { activate, addDoctor, addPatient, createWorld, draftDiagnosis, type Person, sealedDiagnosis, type World } from '../support/world';
import { openAsOwner } from '../support/database-copy';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const verify = async (patientId: string): Promise<string[]> => {
  const { body } = await world.auditor.api.post<Verdict>(`/ledger/patients/${patientId}/verify`);
  return [body.verdict, ...body.findings.map(({ code, field }) => `${code} ${field}`)];
};
const newDoctor = (): Promise<Person> => addDoctor(world, world.hospitalA, 'Dr. Deniz Ak');
const newPatient = async (): Promise<string> => (await addPatient(world, world.doctorA, 'Attacked Person')).id;
/** Waits until every event about a key has its leaf. */
async function logged(kid: string): Promise<void> {
  for (;;) {
    const { items } = (
      await world.founder.api.get<{ items: { kid: string; events: { leafIndex: number | null }[] }[] }>('/ledger/keys?limit=100')
    ).body;
    if (items.find((key) => key.kid === kid)?.events.every((event) => event.leafIndex !== null) === true) return;
    await new Promise((done) => setTimeout(done, 20));
  }
}

function rowsOf(sql: string): unknown[] {
  const db = openRaw(world);
  try {
    return rows(db, sql);
  } finally {
    db.close();
  }
}

describe('SEC-90 a correction that is sent again', () => {
  test.each(['sealed', 'logged'])('gets the first answer, sealed once (wait=%s)', async (wait) => {
    const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
    const send = () =>
      world.doctorA.api.post(
        `/records/${record}/corrections?wait=${wait}`,
        { kind: 'retraction', reason: 'wrong patient' },
        { headers: { 'idempotency-key': `again-${wait}-${record}` } },
      );
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect({ ...second.body, receipt: null, leafIndex: null, state: null }).toEqual({
      ...first.body,
      receipt: null,
      leafIndex: null,
      state: null,
    });
  });
});

describe('whoever owns the database file hides a revocation', () => {
  let client: AuthorClient;
  let patient = '';
  beforeAll(async () => {
    client = await AuthorClient.register(await newDoctor(), world.hospitalA, 'hidden by a column');
    patient = await newPatient();
    expect((await client.seal(await draftDiagnosis(client.doctor, patient))).status).toBe(201);
    const path = `/ledger/keys/${client.key.kid}/revocation`;
    expect((await client.doctor.api.post(path, { reason: 'compromised' })).status).toBe(201);
    await logged(client.key.kid);
  });

  test.each([
    ['kid', `UPDATE key_event SET kid = 'nobody' WHERE kid = ? AND event = 'revoke'`],
    ['event', `UPDATE key_event SET event = 'old' WHERE kid = ? AND event = 'revoke'`],
    ['kid and hash', `UPDATE key_event SET kid = 'nobody', hash = zeroblob(32) WHERE kid = ? AND event = 'revoke'`],
  ])('ATTACK hide a revocation: its body stands, its %s is another', async (_what, sql) => {
    expect(await verify(patient)).toEqual(['VALID']);
    await tamper(
      world,
      ['key_event'],
      (db) => expect(db.prepare(sql).run(client.key.kid).changes).toBe(1),
      async () => expect(await verify(patient)).toEqual(['TAMPERED', 'LEAF_MISMATCH key_event']),
    );
    expect(await verify(patient)).toEqual(['VALID']);
  });
});

describe('whoever owns the database file lets the log say something of a key twice', () => {
  test('ATTACK a key is registered again, for another account: the first word counts', async () => {
    const client = await AuthorClient.register(await newDoctor(), world.hospitalA, 'registered twice');
    const patient = await newPatient();
    expect((await client.seal(await draftDiagnosis(client.doctor, patient))).status).toBe(201);
    await logged(client.key.kid);
    const iss = await originOf(world.hospitalA);
    const { kid, jwk } = client.key;
    const event = { event: 'register', iss, kid, x: jwk.x, custody: 'client', at: 1 } as const;
    const body = keyEventBody({ ...event, account: world.colleagueA.id });
    let indexes: string[] = [];
    for (const first of [true, false])
      await tamper(
        world,
        ['key_event', 'author_key', 'log_pending'],
        (db) => {
          indexes = dropUniqueIndexes(db, 'key_event');
          const insert = `INSERT INTO key_event (id, kid, hospitalId, event, body, hash) VALUES (?, ?, ?, 'register', ?, ?)`;
          db.prepare(insert).run(first ? '0' : 'z', kid, world.hospitalA.id, body, keyEventHash(body));
          db.prepare('INSERT INTO log_leaf (logId, leafIndex, kind, hash) SELECT id, 2000000, 3, ? FROM log WHERE origin = ?').run(
            keyEventHash(body),
            iss,
          );
          db.prepare('UPDATE author_key SET accountId = ? WHERE kid = ?').run(world.colleagueA.id, kid);
        },
        async () => {
          expect(await verify(patient)).toContain('CONTENT_MISMATCH author_key.accountId');
          const db = openAsOwner(world.foundations.config);
          db.prepare('DELETE FROM log_leaf WHERE leafIndex = 2000000').run();
          db.close();
        },
      );
    const db = openRaw(world);
    for (const index of indexes) db.exec(index);
    db.close();
  });
});

describe('whoever owns the database file erases a whole patient and lets the server’s own log say that it was lawful', () => {
  let origin = '';
  beforeAll(async () => {
    origin = await originOf(world.hospitalA);
    await erase(world, world.patientA.id, await sealedDiagnosis(world.doctorA, world.patientA.id)); // the founder has a key, whose sealed half is copied
  });

  function queue(db: RawDatabase, kind: number, hash: Buffer): void {
    const [log] = rows<{ id: number }>(db, 'SELECT id FROM log WHERE origin = ?', origin);
    db.prepare('INSERT INTO log_pending (logId, kind, hash) VALUES (?, ?, ?)').run(log?.id, kind, hash);
  }

  /** A key that the attacker made, as that of somebody who may approve. */
  function forgeKey(db: RawDatabase, { kid, jwk }: TestAuthor, account: string, custody: 'server' | 'client'): void {
    const body = keyEventBody({ event: 'register', iss: origin, kid, x: jwk.x, custody, account, at: world.clock.now() });
    db.prepare(`INSERT INTO key_event (id, kid, hospitalId, event, body, hash) VALUES (?, ?, ?, 'register', ?, ?)`).run(
      randomUUID(),
      kid,
      world.hospitalA.id,
      body,
      keyEventHash(body),
    );
    const stolen = `SELECT ?, ?, ?, ?, (SELECT privateKey FROM author_key WHERE accountId = ? AND custody = 'server' LIMIT 1), 1`;
    db.prepare(`INSERT INTO author_key (kid, accountId, x, custody, privateKey, createdAt) ${stolen}`).run(
      kid,
      account,
      jwk.x,
      custody,
      account,
    );
    queue(db, 3, keyEventHash(body));
  }

  function forgeErasure(db: RawDatabase, patient: string, key: TestAuthor, approvedBy: readonly [string, string]): string {
    const tip = storedChain(db, patient).at(-1);
    if (!tip) throw new Error('no chain');
    const below = decodeHeader(tip.header);
    const { ledgerId, chainId } = below;
    const [recordId, recordKey, height] = [randomUUID(), Buffer.alloc(32, 7), tip.height + 1];
    const statement = erasureText({ scope: 'patient', erases: null, blockHash: null, reason: 'objection', approvedBy });
    const payload = Buffer.from(statement, 'utf8');
    const ciphertext = encryptContent({ recordKey, ledgerId, chainId, recordId, version: 1, payload });
    const commit = contentCommit(opening(recordKey), payload);
    const iat = Math.floor(below.sealedAt / 1000);
    const seen = { h: tip.height, b: b64u(tip.blockHash) };
    const claims = { iss: origin, sub: b64u(chainId), jti: recordId, ver: 1, knd: BlockKind.erase, iat, cmt: b64u(commit), seen };
    const attestation = signAttestation(claims, key.privateKey, key.kid);
    const refHash = genesisHash(ledgerId, chainId);
    const header = encodeHeader({
      ...below,
      kind: BlockKind.erase,
      height,
      prevHash: tip.blockHash,
      contentCommit: commit,
      ciphertextHash: sha256(ciphertext),
      attestationHash: sha256(attestation),
      authorKeyId: Buffer.from(key.kid, 'base64url'),
      refHash,
    });
    const hash = blockHash(header);
    db.prepare(`DELETE FROM ledger_content WHERE recordId IN (SELECT recordId FROM ledger_block WHERE chainId = ?)`).run(chainId);
    db.prepare('INSERT INTO ledger_block VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)').run(
      chainId,
      height,
      hash,
      tip.blockHash,
      refHash,
      header,
      recordId,
      attestation,
    );
    db.prepare('INSERT INTO ledger_content (recordId, version, ciphertext, recordKey) VALUES (?, 1, ?, zeroblob(1))').run(
      recordId,
      ciphertext,
    );
    db.prepare('UPDATE ledger_chain SET height = ?, headHash = ? WHERE chainId = ?').run(height, hash, chainId);
    db.prepare(`UPDATE record SET status = 'erased' WHERE patientId = ?`).run(patient);
    db.prepare('UPDATE enrolment SET erasedAt = 1 WHERE patientId = ?').run(patient);
    db.prepare(`UPDATE data_key SET state = 'destroyed', wrapped = zeroblob(64) WHERE subjectId = ?`).run(patient);
    const certificate = JSON.stringify({
      schema: 'bjwt.erasure-certificate/1',
      origin,
      chainId: b64u(chainId),
      recordId,
      version: 1,
      statement,
      opening: b64u(opening(recordKey)),
      header: b64u(header),
      attestation,
      key: key.jwk,
    });
    db.prepare(
      `INSERT INTO erasure (id, hospitalId, patientId, reason, state, requestedBy, requestedAt, firstApprovedBy, secondApprovedBy, decidedAt, purgedAt, certificate)
       VALUES (?, ?, ?, 'objection', 'executed', ?, 1, ?, ?, 1, 1, ?)`,
    ).run(recordId, world.hospitalA.id, patient, approvedBy[0], approvedBy[0], approvedBy[1], certificate);
    queue(db, 1, hash);
    return recordId;
  }

  /** An audit with the keys: the server still remembers the patient's key for some minutes, and would miss the content by it. */
  async function audited(patientId: string): Promise<string[]> {
    while (rowsOf('SELECT 1 FROM log_pending').length > 0) await new Promise((done) => setTimeout(done, 20));
    const found: string[] = [];
    await auditData(world.foundations.config, { patientId, threads: 0 }, ({ verdict, findings }) =>
      found.push(verdict, ...findings.map(({ code, field }) => `${code} ${field}`)),
    );
    return found;
  }
  /** Neither the block nor the key that signed it gets into the log: their entries were queued by somebody else. */
  const UNSIGNED = ['TAMPERED', 'CONTENT_MISMATCH erasure.signer', 'LEAF_MISSING header'];
  const tables = ['ledger_block', 'ledger_content', 'ledger_chain', 'record', 'enrolment', 'data_key', 'erasure'];

  test.each([
    ['a made-up key in the name of the founder', 'server'],
    ['a made-up key of the founder’s own', 'client'],
  ] as const)('ATTACK with %s', async (_what, custody) => {
    const patient = await newPatient();
    await sealedDiagnosis(world.doctorA, patient);
    const key = testAuthor(`forged ${custody}`);
    await tamper(
      world,
      tables,
      (db) => {
        forgeKey(db, key, world.founder.id, custody);
        forgeErasure(db, patient, key, [world.hospitalA.id, world.founder.id]);
      },
      async () => {
        expect(await audited(patient)).toEqual(expect.arrayContaining(UNSIGNED));
      },
    );
  });

  test('ATTACK with the registered key of a doctor who keeps it', async () => {
    const patient = await newPatient();
    const client = await AuthorClient.register(await newDoctor(), world.hospitalA, 'erases alone');
    expect((await client.seal(await draftDiagnosis(client.doctor, patient))).status).toBe(201);
    for (const second of [client.doctor.id, world.founder.id])
      await tamper(
        world,
        tables,
        (db) => forgeErasure(db, patient, client.key, [world.hospitalA.id, second]),
        async () => expect(await audited(patient)).toEqual(expect.arrayContaining(UNSIGNED)),
      );
  });
});

describe('who keeps the key of an author', () => {
  const custodies = async (reader: Person, record: string, patient: string): Promise<unknown[]> => {
    const bundle = await reader.api.get<{ author: { custody: string; x: string } }>(`/records/${record}/bundle`);
    const chain = await reader.api.get<{ keys: { custody: string; x: string }[] }>(`/ledger/patients/${patient}/export`);
    return [bundle.status, chain.status, ...[bundle.body.author, ...chain.body.keys].flatMap(({ custody, x }) => [custody, x])];
  };

  test.each([['custody'], ['x']])(
    'ATTACK the row says something else than the log (%s): what is handed out says what the log says',
    async (column) => {
      const doctor = await newDoctor();
      const patient = await newPatient();
      const record = await sealedDiagnosis(doctor, patient);
      const before = await custodies(doctor, record, patient);
      expect(before).toEqual([200, 200, 'server', before[3], 'server', before[3]]);
      await tamper(
        world,
        ['author_key'],
        (db) => {
          const sql = `UPDATE author_key SET ${column} = ? WHERE accountId = ?`;
          expect(db.prepare(sql).run(column === 'custody' ? 'client' : testAuthor('other').jwk.x, doctor.id).changes).toBe(1);
        },
        async () => expect(await custodies(doctor, record, patient)).toEqual(before),
      );
    },
  );
});

test('SEC-85 of an erased record there is neither receipt nor bundle, and that is said', async () => {
  const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
  await erase(world, world.patientA.id, record);
  for (const what of ['receipt', 'bundle'])
    for (const reader of [world.doctorA, world.patientA, world.hospitalA])
      expect((await reader.api.get<{ code: string }>(`/records/${record}/${what}`)).body.code).toBe('erased');
});

test('ATTACK the approval of an account that was closed meanwhile counts for nothing: two who may approve must', async () => {
  const issued = await world.founder.api.post<{ accountId: string; code: string }>('/accounts', { role: 'ADMIN', name: 'Second Founder' });
  const second = await activate(world, issued.body, 'founder');
  const patient = await newPatient();
  const record = await sealedDiagnosis(world.doctorA, patient);
  const asked = await ask(second, patient, record);
  expect(asked.body.approvedBy).toEqual([second.id]);
  expect((await world.founder.api.post(`/accounts/${second.id}/close`)).status).toBe(200);
  const alone = await approve(world.hospitalA, asked.body.id);
  expect([alone.status, alone.body.state, alone.body.approvedBy]).toEqual([200, 'requested', [world.hospitalA.id]]);
  expect((await world.doctorA.api.get(`/records/${record}`)).status).toBe(200);
  const both = await approve(world.founder, asked.body.id);
  expect([both.body.state, both.body.approvedBy]).toEqual(['executed', [world.hospitalA.id, world.founder.id]]);
});

test('ATTACK a first approval is written into the row in the name of the founder, or of somebody who never approves', async () => {
  const patient = await newPatient();
  const record = await sealedDiagnosis(world.doctorA, patient);
  for (const name of [world.doctorA.id, world.founder.id, world.auditor.id, randomUUID()]) {
    const asked = await ask(world.patientA, patient, record);
    expect(asked.status).toBe(404);
    const wish = await ask(world.hospitalA, patient, record);
    await tamper(
      world,
      ['erasure'],
      (db) => db.prepare('UPDATE erasure SET firstApprovedBy = ? WHERE id = ?').run(name, wish.body.id),
      async () => expect((await approve(world.hospitalA, wish.body.id)).body).toMatchObject({ code: 'integrity_error' }),
    );
    expect((await world.hospitalA.api.post(`/erasures/${wish.body.id}/refusal`)).status).toBe(200);
  }
});
