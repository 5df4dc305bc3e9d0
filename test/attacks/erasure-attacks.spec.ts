import { createHash } from 'node:crypto';
import { blockHash, BlockKind, decodeHeader, encodeHeader } from '../../src/ledger/core/header';
import { auditData } from '../../src/tools/audit-data';
import type { ChainVerdictResponse as Verdict } from '../../src/ledger/ledger.dto';
import { approve, ask, erase, type Erasure } from '../support/erasures';
import { columnNames, openRaw, type RawDatabase, rows, storedChain, type StoredRow, tamper } from '../support/raw-database';
import { addPatient, createWorld, type Person, sealedDiagnosis, type World } from '../support/world';

let world: World;
let patient: Person;
let kept: string;
let gone: string;
let erasure: Erasure;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
/** A chain: opened (0), a record that stays (1), one that is erased (2), the ERASE block (3). */
beforeEach(async () => {
  patient = await addPatient(world, world.doctorA, 'Attacked Person');
  kept = await sealedDiagnosis(world.doctorA, patient.id, 'stays');
  gone = await sealedDiagnosis(world.doctorA, patient.id, 'goes');
  erasure = await erase(world, patient.id, gone);
});
afterEach(() => world.expectChainsIntact());

/** As the audit says it, which reads rows that the server refuses. */
const offline = async () => {
  const verdicts: Pick<Verdict, 'verdict' | 'findings'>[] = [];
  await auditData(world.foundations.config, { patientId: patient.id, threads: 0 }, (item) => verdicts.push(item));
  return verdicts[0];
};
const verify = async () => (await world.auditor.api.post<Verdict>(`/ledger/patients/${patient.id}/verify`)).body;
const read = async (id: string) => {
  const answer = await patient.api.get<{ code?: string }>(`/records/${id}`);
  return [answer.status, answer.body.code];
};
const SHOWN = [200, undefined];
const NOT_SHOWN = [500, 'integrity_error'];
const ERASED = [410, 'erased'];
const sealed = ['ledger_block', 'ledger_chain', 'ledger_content', 'record', 'erasure'];

/** Writes a block over the one at its height, or on top, and moves the head: everything that needs no key. */
function putBlock(db: RawDatabase, row: StoredRow, change: Parameters<typeof encodeHeader>[0]): Buffer {
  const header = encodeHeader(change);
  const hash = blockHash(header);
  db.prepare('DELETE FROM ledger_block WHERE chainId = ? AND height = ?').run(row.chainId, change.height);
  db.prepare(
    `INSERT INTO ledger_block (chainId, height, blockHash, prevHash, refHash, header, recordId, version, attestation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(row.chainId, change.height, hash, change.prevHash, change.refHash, header, row.recordId, row.version, row.attestation);
  db.prepare('UPDATE ledger_chain SET height = ?, headHash = ? WHERE chainId = ?').run(change.height, hash, row.chainId);
  return hash;
}

test('before any attack: the erased record is gone, the other is shown, the verdict is ERASED', async () => {
  expect([await read(gone), await read(kept), (await verify()).verdict]).toEqual([ERASED, SHOWN, 'ERASED']);
});

test('SEC-51 the database refuses to delete what no ERASE block speaks of, and to change what was decided', () => {
  const db = openRaw(world);
  try {
    const refused = (sql: string) => expect(() => db.exec(sql)).toThrow(/append-only|never changed|never deleted|check constraint/i);
    refused(`DELETE FROM ledger_content WHERE recordId = '${kept}'`);
    refused(`DELETE FROM ledger_content WHERE recordId = '${erasure.id}'`); // the ERASE block excuses what is below, not itself
    refused(`UPDATE record SET status = 'erased' WHERE id = '${kept}'`);
    refused(`UPDATE record SET status = 'sealed' WHERE id = '${gone}'`);
    refused(`UPDATE record SET authorId = '${world.colleagueA.id}' WHERE id = '${gone}'`);
    refused(`DELETE FROM record WHERE id = '${gone}'`);
    refused(`DELETE FROM erasure WHERE id = '${erasure.id}'`);
    refused(`UPDATE erasure SET certificate = 'x' WHERE id = '${erasure.id}'`);
    refused(`UPDATE erasure SET purgedAt = NULL WHERE id = '${erasure.id}'`);
    const names = columnNames(db, 'erasure')
      .map((name) => `"${name}"`)
      .join();
    const alone = names.replace('"id"', `'new'`).replace('"secondApprovedBy"', '"firstApprovedBy"');
    refused(`INSERT INTO erasure (${names}) SELECT ${alone} FROM erasure WHERE id = '${erasure.id}'`);
  } finally {
    db.close();
  }
});

test('SEC-51 an ERASE block of another chain opens no way', async () => {
  const other = await addPatient(world, world.doctorA, 'Other Person');
  const record = await sealedDiagnosis(world.doctorA, other.id);
  const db = openRaw(world);
  const [, block] = storedChain(db, other.id);
  const erasing = storedChain(db, patient.id)[3];
  if (!block || !erasing) throw new Error('no such block');
  const insert = db.prepare(
    `INSERT INTO ledger_block (chainId, height, blockHash, prevHash, refHash, header, recordId, version) VALUES (?, 9, ?, ?, ?, ?, ?, 1)`,
  );
  const forged = db.transaction(() => {
    insert.run(erasing.chainId, Buffer.alloc(32, 1), Buffer.alloc(32, 2), block.blockHash, erasing.header, erasing.recordId);
    db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(record);
  });
  expect(forged).toThrow('append-only');
  db.close();
});

test('ATTACK delete a content without an ERASE block', async () => {
  await tamper(
    world,
    ['ledger_content'],
    (db) => db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(kept),
    async () => {
      expect(await verify()).toMatchObject({
        verdict: 'INCOMPLETE',
        findings: [{ code: 'CIPHERTEXT_MISMATCH', height: 1, field: 'ciphertext', recordId: kept }],
      });
      expect(await read(kept)).toEqual(NOT_SHOWN);
    },
  );
});

test('ATTACK mark a record as erased: it is not taken for erased', async () => {
  for (const tables of [['record'], ['record', 'ledger_content']])
    await tamper(
      world,
      tables,
      (db) => {
        db.prepare(`UPDATE record SET status = 'erased' WHERE id = ?`).run(kept);
        if (tables.length === 2) db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(kept);
      },
      async () => {
        expect((await verify()).verdict).toBe('TAMPERED');
        expect(await read(kept)).toEqual(NOT_SHOWN);
        expect((await patient.api.get('/patients/me/records')).status).toBe(500);
      },
    );
});

test.each([
  ['unsigned', { attestation: null }],
  ['with a signature for another', { recordId: '00000000-0000-4000-8000-00000000abcd' }],
  ['that repeats the signed one and refers to another block', {}],
])('ATTACK a forged ERASE block (%s): the content is missed, not excused', async (_, change: Partial<StoredRow>) => {
  await tamper(
    world,
    sealed,
    (db) => {
      const [, target, , tip] = storedChain(db, patient.id);
      if (!target || !tip) throw new Error('no such block');
      const header = decodeHeader(tip.header);
      putBlock(db, { ...tip, ...change }, { ...header, height: 4, prevHash: tip.blockHash, refHash: target.blockHash });
      db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(kept);
      db.prepare(`UPDATE record SET status = 'erased' WHERE id = ?`).run(kept);
    },
    async () => {
      expect((await verify()).verdict).toBe('TAMPERED');
      expect(await read(kept)).toEqual(NOT_SHOWN);
    },
  );
});

test('ATTACK the erasure of one record is turned into that of the whole patient, with every row that follows from it', async () => {
  for (const forgeCertificate of [false, true])
    await tamper(
      world,
      [...sealed, 'enrolment', 'data_key'],
      (db) => {
        const [first, , , tip] = storedChain(db, patient.id);
        if (!first || !tip) throw new Error('no such block');
        const header = { ...decodeHeader(tip.header), refHash: first.prevHash };
        putBlock(db, tip, header);
        db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(kept);
        db.prepare(`UPDATE record SET status = 'erased' WHERE id = ?`).run(kept);
        db.prepare('UPDATE enrolment SET erasedAt = 1 WHERE patientId = ?').run(patient.id);
        if (!forgeCertificate) return;
        const [row] = rows<{ certificate: string }>(db, 'SELECT certificate FROM erasure WHERE id = ?', erasure.id);
        const certificate = { ...JSON.parse(row?.certificate ?? ''), header: encodeHeader(header).toString('base64url') };
        db.prepare('UPDATE erasure SET recordId = NULL, certificate = ? WHERE id = ?').run(JSON.stringify(certificate), erasure.id);
      },
      async () =>
        expect(await offline()).toMatchObject({
          verdict: 'TAMPERED',
          findings: [
            { code: 'CONTENT_MISMATCH', height: 3, field: 'erasure.certificate', recordId: erasure.id },
            { code: 'LEAF_MISSING', height: 3, field: 'header', recordId: erasure.id },
          ],
        }),
    );
});

test('ATTACK an erased content is put back from an old copy: it is not shown again', async () => {
  const next = await sealedDiagnosis(world.doctorA, patient.id, 'erased later');
  const db = openRaw(world);
  const [old] = rows<Record<string, unknown>>(db, 'SELECT * FROM ledger_content WHERE recordId = ?', next);
  db.close();
  await erase(world, patient.id, next);
  for (const status of ['erased', 'sealed'])
    await tamper(
      world,
      ['ledger_content', 'record'],
      (raw) => {
        raw
          .prepare(
            'INSERT INTO ledger_content (recordId, version, ciphertext, recordKey) VALUES (@recordId, @version, @ciphertext, @recordKey)',
          )
          .run(old);
        raw.prepare('UPDATE record SET status = ? WHERE id = ?').run(status, next);
      },
      async () => {
        expect(await read(next)).toEqual(NOT_SHOWN);
        const { verdict, findings } = await verify();
        expect(verdict).toBe('TAMPERED');
        expect(findings).toContainEqual({ code: 'CONTENT_MISMATCH', height: 4, field: 'an erased content', recordId: next });
      },
    );
  expect(await read(next)).toEqual(ERASED);
});

test('ATTACK the row of an erasure is deleted, altered, or made up', async () => {
  const alterations = [
    `DELETE FROM erasure WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET reason = 'objection' WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET recordId = '${kept}' WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET firstApprovedBy = '${world.doctorA.id}' WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET certificate = replace(certificate, 'record', 'rec0rd') WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET certificate = '{"' WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET patientId = '${world.patientA.id}' WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET state = 'refused' WHERE id = '${erasure.id}'`,
    `UPDATE erasure SET state = 'executed', secondApprovedBy = 'x', certificate = '{}' WHERE state = 'requested' AND patientId = '${patient.id}'`,
  ];
  await ask(world.hospitalA, patient.id, kept);
  for (const sql of alterations)
    await tamper(
      world,
      ['erasure'],
      (db) => db.exec(sql),
      async () => {
        expect([sql, (await verify()).verdict]).toEqual([sql, 'TAMPERED']);
        const answer = await world.hospitalA.api.get(`/erasures/${erasure.id}/certificate`);
        if (sql.startsWith('UPDATE erasure SET certificate')) expect(answer.status).toBe(500);
      },
    );
});

test('ATTACK a chart is marked as erased, or an erased one as not: nothing is shown, and the audit says so', async () => {
  await tamper(
    world,
    ['enrolment'],
    (db) => db.prepare('UPDATE enrolment SET erasedAt = 1 WHERE patientId = ?').run(patient.id),
    async () => {
      expect(await verify()).toMatchObject({ code: 'integrity_error' });
      expect(await offline()).toMatchObject({ verdict: 'TAMPERED', findings: [{ code: 'CONTENT_MISMATCH', field: 'enrolment.erasedAt' }] });
    },
  );
  await erase(world, patient.id);
  expect((await verify()).verdict).toBe('ERASED');
  await tamper(
    world,
    ['enrolment'],
    (db) => db.prepare('UPDATE enrolment SET erasedAt = NULL WHERE patientId = ?').run(patient.id),
    async () => {
      expect((await offline())?.verdict).toBe('TAMPERED');
      const answers = await Promise.all(
        ['', '/records', '/questions', '/print'].map((rest) => world.hospitalA.api.get(`/patients/${patient.id}${rest}`)),
      );
      expect(answers.map((answer) => answer.status)).toEqual([500, 500, 500, 500]);
    },
  );
});

test('ATTACK a patient’s key is destroyed or deleted without an ERASE block: no content opens, and the verdict says so', async () => {
  expect((await offline())?.verdict).toBe('ERASED');
  for (const sql of [`UPDATE data_key SET state = 'destroyed', wrapped = zeroblob(64)`, 'DELETE FROM data_key'])
    await tamper(
      world,
      ['data_key'],
      (db) => db.prepare(`${sql} WHERE subjectId = ?`).run(patient.id),
      async () => expect((await offline())?.verdict).toBe('TAMPERED'),
    );
  await erase(world, patient.id);
  expect((await offline())?.verdict).toBe('ERASED');
});

test('SEC-90 an erasure that fails half way leaves everything as it was', async () => {
  const asked = await ask(world.hospitalA, patient.id, kept);
  await tamper(
    world,
    ['ledger_content'],
    (db) => db.prepare('DELETE FROM ledger_content WHERE recordId = ?').run(kept),
    async () => {
      const answer = await approve(world.founder, asked.body.id);
      expect([answer.status, answer.text]).toEqual([500, expect.stringContaining('integrity_error')]);
      const list = await world.hospitalA.api.get<{ items: Erasure[] }>(`/patients/${patient.id}/erasures`);
      expect(list.body.items.at(-1)).toMatchObject({ id: asked.body.id, state: 'requested', approvedBy: [world.hospitalA.id] });
    },
  );
  expect([await read(kept), (await verify()).verdict]).toEqual([SHOWN, 'ERASED']);
  expect((await approve(world.founder, asked.body.id)).body.state).toBe('executed');
});

test('a chain from before an erasure and the same chain after it have the same blocks', async () => {
  const hashes = () => {
    const db = openRaw(world);
    const digest = storedChain(db, patient.id).map((row) => createHash('sha256').update(row.header).digest('hex'));
    db.close();
    return digest;
  };
  const before = hashes();
  await erase(world, patient.id);
  expect(hashes().slice(0, before.length)).toEqual(before);
  const db = openRaw(world);
  expect(storedChain(db, patient.id).map((row) => decodeHeader(row.header).kind)).toEqual([
    BlockKind['open-chain'],
    BlockKind.record,
    BlockKind.record,
    BlockKind.erase,
    BlockKind.erase,
  ]);
  db.close();
});
