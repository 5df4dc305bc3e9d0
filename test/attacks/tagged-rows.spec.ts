import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { keyEventBody, keyEventHash } from '../../src/ledger/core/key-event';
import { approve, ask, erase } from '../support/erasures';
import { testAuthor } from '../reference/chain-maker';
import { columnNames, openRaw, type RawDatabase, rows, tableNames, tamper } from '../support/raw-database';
import { startTestApp } from '../support/test-app';
import { audited } from '../support/damage';
import { addDoctor, addPatient, createWorld, draftDiagnosis, PASSWORD, type Person, sealedDiagnosis, type World } from '../support/world';

let world: World;
let doctor: Person;
beforeAll(async () => {
  world = await createWorld();
  doctor = await addDoctor(world, world.hospitalA, 'Dr. Bought');
}, 60_000);
afterAll(() => world.close());

const REFUSED = [500, 'integrity_error'];
const login = async ({ username }: Person, password = PASSWORD) => {
  const answer = await world.anonymous.post<{ code?: string }>('/auth/login', { username, password });
  return [answer.status, answer.body.code];
};
const query = <T = Record<string, unknown>>(sql: string, ...values: unknown[]): T[] => {
  const db = openRaw(world);
  const found = rows<T>(db, sql, ...values);
  db.close();
  return found;
};

describe('who can write the database makes more of an account than it is', () => {
  it.each([
    ['a founder', `UPDATE account SET role = 'ADMIN', hospitalId = NULL WHERE id = ?`],
    ['a hospital', `UPDATE account SET role = 'HOSPITAL' WHERE id = ?`],
    ['a doctor elsewhere', `UPDATE account SET hospitalId = (SELECT id FROM hospital ORDER BY id DESC LIMIT 1) WHERE id = ?`],
    ['one that may sign in again', `UPDATE account SET status = 'ACTIVE', lockedBy = 'guesses' WHERE id = ?`],
    ['another’s', `UPDATE account SET usernameIndex = x'00' || substr(usernameIndex, 2) WHERE id = ?`],
  ])('ATTACK %s: nobody signs in with it', async (_what, sql) => {
    await tamper(
      world,
      ['account', 'row_set'],
      (db) => db.prepare(sql).run(doctor.id),
      async () => {
        const answer = await login(doctor);
        expect([REFUSED, [401, 'invalid_credentials']]).toContainEqual(answer);
        expect((await world.anonymous.post('/auth/refresh', { refreshToken: doctor.refreshToken })).status).toBe(500);
      },
    );
  });

  it('ATTACK a one-time code of the own making in the row of the founder: it opens nothing', async () => {
    const hash = createHash('sha256').update('AAAAA-AAAAA-AAAAA-AAAAA').digest();
    await tamper(
      world,
      ['account'],
      (db) =>
        db
          .prepare(`UPDATE account SET status = 'ISSUED', codeHash = ?, codeExpiresAt = 9999999999999 WHERE id = ?`)
          .run(hash, world.founder.id),
      async () => {
        const body = { code: 'AAAAA-AAAAA-AAAAA-AAAAA', username: 'thief.of.codes', password: PASSWORD };
        expect((await world.anonymous.post('/auth/activate', body)).status).not.toBe(200);
        expect(await login(world.founder)).toEqual(REFUSED);
      },
    );
    expect((await login(world.founder))[0]).toBe(200);
  });

  it('the refusal is on the trail once, with table and row; the metric counts it', async () => {
    for (
      let tries = 0;
      query(`SELECT 1 FROM audit_event WHERE action = 'row.reject' AND subjectId = ?`, doctor.id).length === 0 && tries < 40;
      tries += 1
    )
      await sleep(25);
    expect(query(`SELECT kind, outcome FROM audit_event WHERE action = 'row.reject' AND subjectId = ?`, doctor.id)).toEqual([
      { kind: 'account', outcome: 'failed' },
    ]);
    const metrics = await fetch(`${world.url}/metrics`);
    expect(Number(/^ehr_rejected_rows_total (\d+)$/m.exec(await metrics.text())?.[1])).toBeGreaterThanOrEqual(2);
  });
});

it('ATTACK a session and a refresh token are put there for the founder: they give no tokens', async () => {
  const token = `rt_${randomBytes(32).toString('base64url')}`;
  const hash = createHash('sha256').update(token).digest();
  const id = randomUUID();
  await tamper(
    world,
    ['session', 'refresh_token'],
    (db) => {
      db.prepare(
        `INSERT INTO session (id, accountId, createdAt, lastUsedAt, expiresAt, amr, rowTag) SELECT ?, ?, createdAt, lastUsedAt, expiresAt, amr, rowTag FROM session WHERE accountId = ? LIMIT 1`,
      ).run(id, world.founder.id, doctor.id);
      db.prepare(
        `INSERT INTO refresh_token (hash, sessionId, createdAt, expiresAt, rowTag) SELECT ?, ?, createdAt, expiresAt, rowTag FROM refresh_token LIMIT 1`,
      ).run(hash, id);
    },
    async () => expect((await world.anonymous.post('/auth/refresh', { refreshToken: token })).status).toBe(500),
  );
});

it('ATTACK a session that was ended is opened again', async () => {
  const answer = await world.anonymous.post<{ refreshToken: string }>('/auth/login', { username: doctor.username, password: PASSWORD });
  const again = await world.anonymous.post<{ accessToken: string; refreshToken: string }>('/auth/refresh', {
    refreshToken: answer.body.refreshToken,
  });
  expect((await world.anonymous.withToken(again.body.accessToken).post('/auth/logout')).status).toBeLessThan(300);
  await tamper(
    world,
    ['session'],
    (db) => db.exec('UPDATE session SET endedAt = NULL'),
    async () => expect((await world.anonymous.post('/auth/refresh', { refreshToken: again.body.refreshToken })).status).toBe(500),
  );
  expect((await world.anonymous.post('/auth/refresh', { refreshToken: again.body.refreshToken })).status).toBe(401);
});

it('ATTACK an altered session does not keep the account from being locked', async () => {
  const victim = await addDoctor(world, world.hospitalA, 'Dr. To Be Locked');
  const db = openRaw(world);
  db.prepare('UPDATE session SET lastUsedAt = lastUsedAt + 1 WHERE accountId = ?').run(victim.id);
  db.close();
  expect((await world.hospitalA.api.post(`/accounts/${victim.id}/lock`)).status).toBe(200);
  expect((await victim.api.get('/auth/me')).status).toBe(401);
});

it('ATTACK a patient is given to another hospital, or an enrolment that nobody approved is: no chart opens by it', async () => {
  await tamper(
    world,
    ['enrolment'],
    (db) => db.prepare('UPDATE enrolment SET hospitalId = ? WHERE patientId = ?').run(world.hospitalB.id, world.patientA.id),
    async () => {
      for (const person of [world.doctorB, world.hospitalB, world.doctorA])
        expect((await person.api.get(`/patients/${world.patientA.id}`)).status).toBe(500);
      expect((await world.hospitalB.api.get('/patients')).status).toBe(500);
    },
  );
  expect((await world.doctorA.api.get(`/patients/${world.patientA.id}`)).status).toBe(200);
});

it('ATTACK an answered question is opened again', async () => {
  const asked = await world.doctorA.api.post<{ id: string }>(`/patients/${world.patientA.id}/questions`, { text: 'Since when?' });
  expect((await world.patientA.api.post(`/questions/${asked.body.id}/answer`, { text: 'Monday' })).status).toBe(201);
  await tamper(
    world,
    ['question'],
    (db) =>
      db
        .prepare(`UPDATE question SET status = 'open', answer = NULL, answerRecordId = NULL, answeredAt = NULL WHERE id = ?`)
        .run(asked.body.id),
    async () => expect((await world.patientA.api.post(`/questions/${asked.body.id}/answer`, { text: 'Tuesday' })).status).toBe(500),
  );
});

it('ATTACK the first approval of a waiting erasure in the name of somebody who may: it is not executed', async () => {
  const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
  const wish = await ask(world.hospitalA, world.patientA.id, record);
  await tamper(
    world,
    ['erasure'],
    (db) => db.prepare('UPDATE erasure SET firstApprovedBy = ? WHERE id = ?').run(world.founder.id, wish.body.id),
    async () => expect((await approve(world.hospitalA, wish.body.id)).status).toBe(500),
  );
  expect((await world.doctorA.api.get(`/records/${record}`)).status).toBe(200);
});

interface LogState {
  hospitalId: string;
  halted: string | null;
  signedSize: number;
}

describe('who can write the database lets the log sign', () => {
  const logged = (hash: Buffer) => query('SELECT 1 FROM log_leaf WHERE hash = ?', hash).length;
  const waiting = () => query('SELECT 1 FROM log_pending').length;

  it('ATTACK a waiting registration of a key in somebody’s name: it never gets a leaf', async () => {
    await sealedDiagnosis(world.doctorA, world.patientA.id);
    const { kid, jwk } = testAuthor('never logged');
    const [log] = query<{ id: number; origin: string }>('SELECT id, origin FROM log WHERE hospitalId = ?', world.hospitalA.id);
    const body = keyEventBody({
      event: 'register',
      iss: log?.origin ?? '',
      kid,
      x: jwk.x,
      custody: 'client',
      account: world.doctorA.id,
      at: 1,
    });
    const hash = keyEventHash(body);
    // Also with the tag of an entry that this server queued.
    const put = (db: RawDatabase, tag: Buffer | null) =>
      db.prepare('INSERT INTO log_pending (logId, kind, hash, rowTag) VALUES (?, 3, ?, ?)').run(log?.id, hash, tag);
    const db = openRaw(world);
    for (const tag of [null, randomBytes(32), query<{ rowTag: Buffer }>('SELECT rowTag FROM log WHERE id = ?', log?.id)[0]?.rowTag ?? null])
      put(db, tag);
    db.close();
    const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
    expect((await world.doctorA.api.post<{ state: string }>(`/records/${draft}/seal`)).body.state).toBe('logged');
    for (let tries = 0; waiting() > 0 && tries < 80; tries += 1) await sleep(25);
    expect([waiting(), logged(hash)]).toEqual([0, 0]);
  });

  it.each([
    ['another edge', 'UPDATE log SET edge = randomblob(length(edge)) WHERE hospitalId = ?'],
    ['another size', 'UPDATE log SET size = size + 1 WHERE hospitalId = ?'],
    ['another name', `UPDATE log SET origin = 'ledger.attacker.example' WHERE hospitalId = ?`],
  ])(
    'ATTACK %s in the row of a log: it is halted, and nothing is signed',
    async (_what, sql) => {
      const other = await createWorld();
      try {
        await sealedDiagnosis(other.doctorA, other.patientA.id);
        await tamper(
          other,
          ['log'],
          (db) => db.prepare(sql).run(other.hospitalA.id),
          async () => {
            const log = async () => {
              const { body } = await other.anonymous.get<{ logs: LogState[] }>('/ledger/logs');
              return body.logs.find((item) => item.hospitalId === other.hospitalA.id);
            };
            const before = await log();
            for (let tries = 0; !(await log())?.halted && tries < 80; tries += 1) await sleep(25);
            const draft = await draftDiagnosis(other.doctorA, other.patientA.id);
            expect((await other.doctorA.api.post<{ code: string }>(`/records/${draft}/seal`)).body.code).toBe('log_halted');
            expect(await log()).toMatchObject({ halted: 'LOG_ALTERED', signedSize: before?.signedSize });
          },
        );
      } finally {
        await other.close();
      }
    },
    60_000,
  );
});

it('SEC-80 whatever the server itself does, tags and sums fit afterwards', async () => {
  const own = await createWorld({ LEDGER_SCRUB_BLOCKS: '100000' });
  try {
    const leaver = await addDoctor(own, own.hospitalA, 'Dr. Leaver');
    const patient = await addPatient(own, own.doctorA, 'Comes And Goes');
    const record = await sealedDiagnosis(own.doctorA, patient.id);
    const asked = await own.doctorA.api.post<{ id: string }>(`/patients/${patient.id}/questions`, { text: 'Since when?' });
    const fine = async (answer: Promise<{ status: number; text: string }>) => {
      const { status, text } = await answer;
      expect([status < 300, text]).toEqual([true, text]);
    };
    await fine(patient.api.post(`/questions/${asked.body.id}/answer`, { text: 'Monday' }));
    await fine(own.doctorA.api.patch(`/patients/${patient.id}`, { name: 'Goes Again' }, { headers: { 'if-match': '"1"' } }));
    await fine(own.anonymous.post('/auth/refresh', { refreshToken: patient.refreshToken }));
    for (const act of ['lock', 'unlock']) await fine(own.hospitalA.api.post(`/accounts/${leaver.id}/${act}`));
    await fine(own.hospitalA.api.post(`/hospitals/me/staff/${leaver.id}/departure`, { lastDay: '2026-11-22', reason: 'left' }));
    await own.anonymous.post('/auth/login', { username: own.doctorA.username, password: 'wrong wrong wrong wrong' });
    await ask(own.hospitalA, patient.id, record);
    await erase(own, patient.id);
    await own.app.close();
    const { summary } = await audited(own);
    expect(summary.rows?.rows).toBeGreaterThan(40);
    expect(summary.rows?.findings).toEqual([]);
  } finally {
    rmSync(own.dir, { recursive: true, force: true });
  }
}, 60_000);

describe('tags are given once', () => {
  let own: World;
  beforeAll(async () => {
    own = await createWorld();
    await sealedDiagnosis(own.doctorA, own.patientA.id);
    await own.app.close();
  }, 60_000);
  afterAll(() => rmSync(own.dir, { recursive: true, force: true }));

  function untag(db: RawDatabase): void {
    for (const table of tableNames(db)) if (columnNames(db, table).includes('rowTag')) db.exec(`UPDATE "${table}" SET rowTag = NULL`);
    db.exec('DELETE FROM row_set');
  }
  const change = (work: (db: RawDatabase) => void) => {
    const db = openRaw(own);
    db.transaction(work)(db);
    db.close();
  };

  it('a database of before gets them in its first start, with a row on the trail; then everything works and fits', async () => {
    change((db) => {
      db.exec('DROP TRIGGER audit_event_no_delete; DROP TRIGGER erasure_decided_no_update');
      untag(db);
      db.exec(`DELETE FROM audit_event WHERE action = 'row.tag'; DELETE FROM patient_search`);
    });
    const app = await startTestApp({}, own.dir);
    const answer = await app.anonymous.post('/auth/login', { username: own.doctorA.username, password: PASSWORD });
    await app.app.close();
    expect(answer.status).toBe(200);
    const { summary } = await audited(own);
    expect(summary.rows).toMatchObject({ findings: [] });
    change((db) => expect(rows(db, `SELECT outcome FROM audit_event WHERE action = 'row.tag'`)).toEqual([{ outcome: 'ok' }]));
  });

  it('ATTACK the sums are taken away, or all tags with them: the server does not start', async () => {
    const start = () => startTestApp({}, own.dir);
    change((db) => db.exec('CREATE TABLE kept AS SELECT * FROM row_set; DELETE FROM row_set'));
    await expect(start()).rejects.toThrow('the sums over them are gone');
    change(untag);
    await expect(start()).rejects.toThrow('the sums over them are gone');
    change((db) => db.exec('INSERT INTO row_set SELECT * FROM kept; UPDATE row_set SET sums = randomblob(300)'));
    await expect(start()).rejects.toThrow('were altered');
  });
});
