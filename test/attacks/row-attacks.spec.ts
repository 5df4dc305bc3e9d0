import type { ChainVerdictResponse as Verdict } from '../../src/ledger/ledger.dto';
import { openRaw, tamper } from '../support/raw-database';
import { createWorld, draftDiagnosis, login, newUsername, PASSWORD, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const verify = async () => (await world.auditor.api.post<Verdict>(`/ledger/patients/${world.patientA.id}/verify`)).body;

describe('whoever owns the database file edits rows beside the chain', () => {
  let record = '';
  let retraction = '';
  let height = 0;
  beforeAll(async () => {
    record = await sealedDiagnosis(world.doctorA, world.patientA.id);
    await sealedDiagnosis(world.doctorA, world.patientA.id, 'another');
    const done = await world.doctorA.api.post<{ recordId: string; height: number }>(`/records/${record}/corrections`, {
      kind: 'retraction',
      reason: 'entered for another person',
    });
    retraction = done.body.recordId;
    height = done.body.height;
  });

  test.each([
    ['authorId', () => world.colleagueA.id],
    ['sealedAt', () => 0],
    ['kind', () => 'Observation'],
    ['height', () => 77],
    ['blockHash', () => 'f'.repeat(64)],
    ['version', () => 9],
    ['amends', () => retraction],
    ['amendment', () => 'retraction'],
  ])('ATTACK the column %s of a sealed record is edited: the record is not shown', async (column, value) => {
    await tamper(
      world,
      ['record'],
      (db) => db.prepare(`UPDATE record SET "${column}" = ? WHERE id = ?`).run(value(), record),
      async () => {
        const answer = await world.doctorA.api.get<{ code: string }>(`/records/${record}`);
        expect([answer.status, answer.body.code]).toEqual([500, 'integrity_error']);
        expect((await world.patientA.api.get('/patients/me/records?limit=100')).status).toBe(500);
      },
    );
    expect((await world.doctorA.api.get(`/records/${record}`)).status).toBe(200);
  });

  test.each([
    ['deleted', 'DELETE FROM record WHERE id = ?'],
    ['cut off from its record', 'UPDATE record SET amends = NULL WHERE id = ?'],
    ['turned into a draft', `UPDATE record SET status = 'draft' WHERE id = ?`],
  ])('ATTACK a retraction is hidden (%s): the record that it retracts is not shown without it', async (_how, sql) => {
    await tamper(
      world,
      ['record'],
      (db) => db.prepare(sql).run(retraction),
      async () => expect((await world.patientA.api.get(`/records/${record}`)).status).toBe(500),
    );
    expect((await world.patientA.api.get<{ amendedBy: unknown }>(`/records/${record}`)).body.amendedBy).toEqual([
      { recordId: retraction, kind: 'retraction' },
    ]);
  });

  test('ATTACK a sealed record is hidden or given to another patient: the verdict names its block', async () => {
    for (const sql of ['DELETE FROM record WHERE id = ?', `UPDATE record SET patientId = '${world.patientB.id}' WHERE id = ?`]) {
      await tamper(
        world,
        ['record'],
        (db) => db.prepare(sql).run(retraction),
        async () =>
          expect(await verify()).toMatchObject({
            verdict: 'TAMPERED',
            findings: expect.arrayContaining([expect.objectContaining({ height })]),
          }),
      );
    }
  });

  test('ATTACK a row claims to be sealed and has no block', async () => {
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
    await tamper(
      world,
      ['record'],
      (db) => db.prepare(`UPDATE record SET status = 'sealed', content = NULL, height = 3, sealedAt = 1 WHERE id = ?`).run(draft),
      async () => {
        expect((await verify()).verdict).toBe('TAMPERED');
        expect((await world.doctorA.api.get(`/records/${draft}`)).status).toBe(500);
      },
    );
  });

  test('ATTACK delete a whole patient: no chain is not VALID where something was sealed, and none is begun anew', async () => {
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
    for (const tables of [['ledger_chain'], ['ledger_chain', 'ledger_block', 'ledger_content']]) {
      await tamper(
        world,
        tables,
        (db) => tables.forEach((table) => db.exec(`DELETE FROM ${table}`)),
        async () => {
          expect((await verify()).verdict).toBe('TAMPERED');
          if (tables.length === 1) expect((await world.doctorA.api.post(`/records/${draft}/seal`)).status).toBe(500);
        },
      );
    }
  });

  test.each(['blockHash', 'prevHash', 'refHash', 'header', 'recordId', 'version', 'attestation'])(
    'ATTACK a block’s %s is replaced by a number or a text: the verdict says so, and nothing stops',
    async (column) => {
      let tried = 0;
      for (const value of ['7', `'text'`, `x''`])
        await tamper(
          world,
          ['ledger_block'],
          (db) => (tried += Number(db.prepare(`UPDATE ledger_block SET "${column}" = ${value} WHERE recordId = ?`).run(record).changes)),
          async () => expect([value, (await verify()).verdict]).toEqual([value, 'TAMPERED']),
        ).catch((error: unknown) => {
          if (!world.foundations.config.postgres || !/is of type|invalid input syntax/.test(String(error))) throw error; // its columns take one type
        });
      expect(tried).toBeGreaterThan(0);
    },
  );

  test('ATTACK an older text is put back into a draft: it does not open', async () => {
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
    const db = openRaw(world);
    const old = db.prepare('SELECT content FROM record WHERE id = ?').get(draft) as { content: Buffer };
    const read = await world.doctorA.api.get<{ resource: object }>(`/records/${draft}`);
    const resource = { ...read.body.resource, note: [{ text: 'changed' }] };
    expect((await world.doctorA.api.put(`/records/${draft}`, { resource }, { headers: { 'if-match': '"1"' } })).status).toBe(200);
    db.prepare('UPDATE record SET content = ? WHERE id = ?').run(old.content, draft);
    db.close();
    expect((await world.doctorA.api.post(`/records/${draft}/seal`)).status).toBe(500);
    expect((await world.doctorA.api.get(`/records/${draft}`)).status).toBe(500);
  });

  test('ATTACK a file is moved to a sealed record: it is not one of its files', async () => {
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
    const headers = { 'content-type': 'image/png', 'content-disposition': 'attachment; filename="forged.png"' };
    const file = await world.doctorA.api.post<{ id: string }>(`/records/${draft}/attachments`, undefined, {
      raw: Buffer.from('forged'),
      headers,
    });
    const db = openRaw(world);
    db.prepare('UPDATE attachment SET recordId = ? WHERE id = ?').run(record, file.body.id);
    db.close();
    expect((await world.patientA.api.get(`/records/${record}/attachments`)).body).toEqual([]);
    expect((await world.patientA.api.get(`/records/${record}/attachments/${file.body.id}`)).status).toBe(404);
  });

  test('ATTACK an old consent comes back under a new number, or the withdrawal is deleted', async () => {
    const { patientA, doctorB } = world;
    const validUntil = new Date(Date.now() + 86_400_000).toISOString();
    const given = await patientA.api.post<{ rules: { id: string }[] }>('/patients/me/consent/grants', { doctorId: doctorB.id, validUntil });
    await patientA.api.delete(`/patients/me/consent/grants/${given.body.rules[0]?.id}`);
    await tamper(
      world,
      ['consent'],
      (db) => db.exec('UPDATE consent SET version = 99 WHERE version = 1'),
      async () => {
        expect((await doctorB.api.get(`/records/${record}`)).status).toBe(404);
        expect((await verify()).verdict).toBe('TAMPERED');
      },
    );
    await tamper(
      world,
      ['consent'],
      (db) => db.exec('DELETE FROM consent WHERE version = 2'),
      async () => expect((await verify()).verdict).toBe('TAMPERED'),
    );
  });
});

describe('people who misuse what they may', () => {
  test('ATTACK a stranger registers with somebody’s identifier: the hospital still enrols the owner, and approves only one of them', async () => {
    const profile = { name: 'Stranger', birthDate: '1990-01-01', gender: 'male', nationalId: 'TAKEN-1' };
    const username = newUsername('stranger');
    expect(
      (await world.anonymous.post('/auth/register/patient', { ...profile, hospitalId: world.hospitalA.id, username, password: PASSWORD }))
        .status,
    ).toBe(202);
    expect((await world.doctorA.api.post('/patients', { ...profile, name: 'Owner' })).status).toBe(201);
    const queue = await world.hospitalA.api.get<{ items: { id: string; name: string }[] }>('/accounts?status=PENDING');
    const id = queue.body.items.find((item) => item.name === 'Stranger')?.id ?? '';
    const approved = await world.hospitalA.api.post<{ code: string }>(`/accounts/${id}/approve`);
    expect([approved.status, approved.body.code]).toEqual([409, 'already_exists']);
    expect((await world.anonymous.post('/auth/login', { username, password: PASSWORD })).status).toBe(401);
  });

  test('SEC-95 looking a patient up by identifier is seen by the patient', async () => {
    expect((await world.colleagueA.api.get<{ items: unknown[] }>('/patients?q=10000000146')).body.items).toHaveLength(1);
    const log = await world.patientA.api.get<{ items: unknown[] }>('/patients/me/access-log?limit=20');
    expect(log.body.items).toContainEqual(expect.objectContaining({ who: 'Dr. Bo Li 李博', action: 'patient.list' }));
  });

  test('ATTACK a record about nobody or somebody else is refused', async () => {
    const observation = { resourceType: 'Observation', status: 'final', code: { text: 'x' } };
    for (const subject of [
      undefined,
      { display: 'Somebody else' },
      { identifier: { value: '7' } },
      { reference: `Patient/${world.patientB.id}` },
    ]) {
      const resource = { ...observation, ...(subject ? { subject } : {}) };
      expect((await world.doctorA.api.post(`/patients/${world.patientA.id}/records`, { resource })).status).toBe(422);
    }
  });

  test('ATTACK a doctor who left finishes an upload: the file is refused', async () => {
    const added = await world.hospitalA.api.post<{ activation: { accountId: string; code: string } }>('/hospitals/me/staff', {
      name: 'Leaver',
      specialty: 'X',
    });
    const { accountId, code } = added.body.activation;
    const username = newUsername('leaver');
    await world.anonymous.post('/auth/activate', { code, username, password: PASSWORD });
    const leaver = await login(world, accountId, username);
    const draft = await draftDiagnosis(leaver, world.patientA.id);
    let finish: () => void = () => undefined;
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.alloc(10_000, 1));
        finish = () => controller.close();
      },
    });
    const upload = fetch(`${world.url}/api/v1/records/${draft}/attachments`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${leaver.api.token}`,
        'content-type': 'image/png',
        'content-disposition': 'attachment; filename="x.png"',
      },
      body,
      duplex: 'half',
    });
    await new Promise((done) => setTimeout(done, 300));
    const left = await world.hospitalA.api.post(`/hospitals/me/staff/${accountId}/departure`, {
      lastDay: '2026-11-22',
      reason: 'left',
      handOverTo: world.doctorA.id,
    });
    expect(left.status).toBe(200);
    finish();
    expect((await upload).status).toBe(401);
    expect((await world.doctorA.api.get(`/records/${draft}/attachments`)).body).toEqual([]);
  });
});
