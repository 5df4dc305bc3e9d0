import { setTimeout as sleep } from 'node:timers/promises';
import { AuditEventEntity } from '../../src/audit/audit-event.entity';
import { Clock } from '../../src/common/clock';
import { newId } from '../../src/common/ids';
import { LOGS } from '../../src/common/logger';
import { CONFIG } from '../../src/config/config';
import { Database } from '../../src/database/database';
import { parsePolicy } from '../../src/ledger/core/policy';
import { TRAIL_COLUMNS, trailBody, trailHash, trailLeaf, trailRoot } from '../../src/ledger/core/trail';
import { parseTrailProof, verifyTrailProof } from '../../src/ledger/core/trail-proof';
import { MAX_BATCH_ROWS, TrailBatchesService } from '../../src/ledger/trail-batches.service';
import { auditTrail } from '../../src/ledger/verify-trail';
import { LogPublisher } from '../../src/tlog/log-publisher.service';
import { TlogService } from '../../src/tlog/tlog.service';
import { auditData } from '../../src/tools/audit-data';
import { cpuNow } from '../support/cpu-time';
import { openRaw, type RawDatabase, rows, tamper } from '../support/raw-database';
import { createWorld, login, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(async () => {
  await world.expectChainsIntact();
  expect(await found()).toEqual(['VALID']);
});

interface Batch {
  number: number;
  until: string;
  body: string;
}
interface Row {
  id: string;
  [column: string]: unknown;
}

const verify = () => auditTrail(world.foundations.sources.reader.manager);
/** The verdict, then the findings: code, batch, field. */
async function found(): Promise<string[]> {
  const { verdict, findings } = await verify();
  return [verdict, ...findings.map(({ code, height, field }) => `${code} ${height} ${field}`)];
}
const seal = () => world.app.get(TrailBatchesService).sealAll();
/** A batch that has at least one row of its own. */
async function sealAnother(): Promise<number> {
  await login(world, world.doctorA.id, world.doctorA.username);
  await seal();
  return batches().at(-1)?.number ?? 0;
}
function inRaw<T>(work: (db: RawDatabase) => T): T {
  const db = openRaw(world);
  try {
    return work(db);
  } finally {
    db.close();
  }
}
const batches = () => inRaw((db) => rows<Batch>(db, 'SELECT number, until, body FROM trail_batch ORDER BY number'));
const hospitalCount = () => inRaw((db) => rows<{ n: number }>(db, 'SELECT COUNT(*) AS n FROM hospital')[0]?.n ?? 0);
const eventOf = (action: string, column = 'patientId', id = world.patientA.id) =>
  inRaw((db) => rows<Row>(db, `SELECT * FROM audit_event WHERE action = ? AND "${column}" = ? ORDER BY id LIMIT 1`, action, id)[0]);

function insertEvent(db: RawDatabase, row: Partial<Row> & { id: string }): void {
  const whole: Row = { at: 1, action: 'record.read', outcome: 'ok', requestId: 'raw', ...row };
  const names = Object.keys(whole);
  db.prepare(`INSERT INTO audit_event ("${names.join('","')}") VALUES (${names.map(() => '?').join()})`).run(...Object.values(whole));
}

/** The service of another process on the same database: the same code, with something around its transactions. */
function otherProcess(around: <T>(run: () => Promise<T>) => Promise<T> = (run) => run()): TrailBatchesService {
  const { app } = world;
  const database = app.get(Database);
  const transaction = (work: Parameters<Database['transaction']>[0]) => around(() => database.transaction(work));
  const hooked = Object.create(database, { transaction: { value: transaction } }) as Database;
  return new TrailBatchesService(hooked, app.get(TlogService), app.get(Clock), app.get(CONFIG), app.get(LOGS));
}

describe('SEC-97 the trail is sealed in batches', () => {
  it('every column of the trail is hashed: none can be added and forgotten', () => {
    const metadata = world.foundations.sources.reader.getMetadata(AuditEventEntity);
    expect(metadata.columns.map(({ propertyName }) => propertyName)).toEqual([...TRAIL_COLUMNS]);
  });

  it('has every row, one after another, and each batch is in the log of every hospital', async () => {
    const before = batches().length;
    expect(await seal()).toBeGreaterThan(10);
    expect(await seal()).toBe(0); // no new rows: no empty batch
    await sealAnother();
    const all = batches();
    expect(all.length).toBe(before + 2);
    expect(all.map(({ number }) => number)).toEqual(all.map((_batch, index) => index + 1));
    const { rows: sealed, open, batches: walked } = await verify();
    const [count] = inRaw((db) => rows<{ n: number }>(db, 'SELECT COUNT(*) AS n FROM audit_event'));
    expect([sealed, open, walked]).toEqual([count?.n, 0, all.length]);
    const held = inRaw((db) =>
      rows<{ n: number }>(
        db,
        'SELECT (SELECT COUNT(*) FROM log_leaf WHERE kind = 4) + (SELECT COUNT(*) FROM log_pending WHERE kind = 4) AS n',
      ),
    );
    // What was sealed before there was a hospital is in no log: the next batch names it.
    expect(held).toEqual([{ n: (all.length - before) * hospitalCount() }]);
  });

  it('the status of the ledger says how far', async () => {
    const number = await sealAnother();
    await login(world, world.doctorA.id, world.doctorA.username);
    const { body } = await world.auditor.api.get<{ trail: unknown }>('/ledger/status');
    expect(body.trail).toEqual({ batch: number, at: expect.stringMatching(/Z$/), rows: 1, open: 1 });
  });

  it('the audit of a data folder includes it', async () => {
    await sealAnother();
    const { config } = world.foundations;
    expect((await auditData(config, {}, () => undefined)).trail).toMatchObject({ verdict: 'VALID', findings: [] });
    expect((await auditData(config, { withoutKeys: true }, () => undefined)).trail?.verdict).toBe('VALID');
  });

  it('two processes never make the same batch', async () => {
    await seal();
    await login(world, world.doctorA.id, world.doctorA.username);
    const before = batches().length;
    const made = await Promise.all([seal(), otherProcess().sealAll(), seal()]);
    expect(made.sort()).toEqual([0, 0, 1]);
    expect(batches().length).toBe(before + 1);
  });

  it('a row that another process writes below the last one, while a batch is made, is in the batch', async () => {
    await seal();
    const [low, high] = [newId(), newId()];
    inRaw((db) => insertEvent(db, { id: high }));
    let once = true;
    const service = otherProcess((run) => {
      if (once) inRaw((db) => insertEvent(db, { id: low }));
      once = false;
      return run();
    });
    expect(await service.sealAll()).toBe(2);
    expect(JSON.parse(batches().at(-1)?.body ?? '')).toMatchObject({ until: high, count: 2 });
  });

  it('a process whose clock is behind goes on above what is sealed, and the database refuses the rest', async () => {
    const future = `${(Date.now() + 60_000)
      .toString(16)
      .padStart(12, '0')
      .replace(/^(.{8})/, '$1-')}-7000-8000-000000000000`;
    inRaw((db) => insertEvent(db, { id: future }));
    expect(await seal()).toBeGreaterThan(0);
    expect(() => inRaw((db) => insertEvent(db, { id: newId() }))).toThrow('the trail is sealed above this id');
    const { id } = await login(world, world.doctorA.id, world.doctorA.username);
    const [last] = inRaw((db) => rows<Row>(db, 'SELECT * FROM audit_event ORDER BY id DESC LIMIT 1'));
    expect(last).toMatchObject({ action: 'login', actorId: id });
    expect(last?.id ?? '').toMatch(/^[0-9a-f-]{36}$/);
    expect((last?.id ?? '') > future).toBe(true);
    expect(Math.abs(Number(last?.['at']) - world.clock.now())).toBeLessThan(10_000);
  });

  it('a halted log is left out, and made up for by the next batch', async () => {
    const halts: unknown = Reflect.get(world.app.get(LogPublisher), 'halts');
    if (!(halts instanceof Map)) throw new Error('no halts');
    const [log] = inRaw((db) => rows<{ id: number }>(db, 'SELECT id FROM log WHERE hospitalId = ?', world.hospitalB.id));
    halts.set(log?.id, 'ROLLBACK');
    const number = await sealAnother();
    expect(await verify()).toMatchObject({
      verdict: 'INCOMPLETE',
      findings: [{ code: 'LEAF_MISSING', height: number, field: 'trail.entry', recordId: world.hospitalB.id }],
    });
    halts.clear();
    await sealAnother();
  });
});

describe('SEC-97 whoever owns the database file edits the trail', () => {
  let number = 0;
  let read: Row;
  beforeAll(async () => {
    const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
    await world.doctorA.api.get(`/records/${record}`);
    await world.doctorA.api.get(`/records/${record}/content`);
    await seal();
    number = batches().length;
    await sealAnother();
    while (inRaw((db) => rows(db, 'SELECT 1 FROM log_pending')).length > 0) await sleep(20);
    const row = eventOf('record.read', 'subjectId', record);
    if (!row) throw new Error('no read');
    read = row;
  });
  const attack = async (change: (db: RawDatabase) => void, findings: string[]): Promise<void> =>
    tamper(world, ['audit_event', 'trail_batch'], change, async () => expect(await found()).toEqual(findings));

  it('ATTACK remove a read from the trail', () =>
    attack(
      (db) => db.prepare('DELETE FROM audit_event WHERE id = ?').run(read.id),
      ['TAMPERED', `CONTENT_MISMATCH ${number} trail.count`],
    ));

  it.each(TRAIL_COLUMNS.filter((column) => column !== 'id'))('ATTACK edit the column %s of a row', async (column) => {
    const value = column === 'at' || column === 'count' || column === 'contractVersion' || column === 'headHeight' ? 77 : 'x';
    await tamper(
      world,
      ['audit_event'],
      (db) => db.prepare(`UPDATE audit_event SET "${column}" = ? WHERE id = ?`).run(value, read.id),
      async () =>
        expect(await verify()).toMatchObject({
          verdict: 'TAMPERED',
          findings: [{ code: 'CONTENT_MISMATCH', height: number, field: 'trail.row', recordId: read.id }],
        }),
    );
  });

  it('ATTACK put a value of another type into a row', () =>
    attack(
      (db) => db.prepare(`UPDATE audit_event SET action = x'00' WHERE id = ?`).run(read.id),
      // PostgreSQL makes a text of the bytes.
      ['TAMPERED', `${world.foundations.config.postgres ? 'CONTENT_MISMATCH' : 'MALFORMED'} ${number} trail.row`],
    ));

  it('ATTACK slip in a row', () =>
    attack(
      (db) => insertEvent(db, { id: read.id.replace(/.{4}$/, 'ffff') }),
      ['TAMPERED', `CONTENT_MISMATCH ${number} trail.row`, `CONTENT_MISMATCH ${number} trail.count`],
    ));

  it('ATTACK reorder two rows', () =>
    attack(
      (db) => {
        const [other] = rows<Row>(db, 'SELECT id FROM audit_event WHERE id > ? ORDER BY id LIMIT 1', read.id);
        const move = db.prepare('UPDATE audit_event SET id = ? WHERE id = ?');
        move.run('between', read.id);
        move.run(read.id, other?.id);
        move.run(other?.id, 'between');
      },
      ['TAMPERED', `CONTENT_MISMATCH ${number} trail.row`, `CONTENT_MISMATCH ${number} trail.row`],
    ));

  it('ATTACK a row of a type that sorts behind all others is found, and stops no walk', () =>
    attack(
      (db) => db.exec(`INSERT INTO audit_event (id, at, action, outcome, requestId) VALUES (x'ff', 1, 'login', 'ok', 'r')`),
      ['TAMPERED', `MALFORMED ${number + 2} trail.row`],
    ));

  it.each<[string, string, (n: number) => string[]]>([
    [
      'the body of a batch',
      `UPDATE trail_batch SET body = replace(body, '"count":', '"count":1') WHERE number = ?`,
      (n) => [`HEADER_MISMATCH ${n} trail.hash`],
    ],
    ['a body in no form', `UPDATE trail_batch SET body = '{}' WHERE number = ?`, (n) => [`MALFORMED ${n} trail.body`]],
    ['the hash of a batch', `UPDATE trail_batch SET hash = x'00' WHERE number = ?`, (n) => [`HEADER_MISMATCH ${n} trail.hash`]],
    [
      'the end of a batch',
      `UPDATE trail_batch SET until = substr(until, 2) || '0' WHERE number = ?`,
      (n) => [`HEADER_MISMATCH ${n} trail.until`],
    ],
    [
      'the leaves of a batch',
      `UPDATE trail_batch SET leaves = zeroblob(length(leaves)) WHERE number = ?`,
      (n) => [`CONTENT_MISMATCH ${n} trail.leaves`],
    ],
    ['the size of the leaves', `UPDATE trail_batch SET leaves = x'00' WHERE number = ?`, (n) => [`CONTENT_MISMATCH ${n} trail.leaves`]],
    ['a batch', 'DELETE FROM trail_batch WHERE number = ?', (n) => [`HEIGHT_GAP ${n + 1} trail.number`]],
    [
      'the number of a batch',
      'UPDATE trail_batch SET number = number + 1000 WHERE number = ?',
      (n) => [`HEADER_MISMATCH ${n + 1000} trail.number`],
    ],
  ])('ATTACK edit or delete %s', async (_what, sql, findings) => {
    await tamper(
      world,
      ['trail_batch'],
      (db) => db.prepare(sql).run(number),
      async () => {
        const [verdict, ...all] = await found();
        expect(verdict).toBe('TAMPERED');
        expect(all).toEqual(expect.arrayContaining(findings(number)));
      },
    );
  });

  it('ATTACK an edit of a row and of the leaf hashes is found by the root', () =>
    attack(
      (db) => {
        db.prepare(`UPDATE audit_event SET action = 'login' WHERE id = ?`).run(read.id);
        db.prepare(`UPDATE trail_batch SET leaves = x'00' WHERE number = ?`).run(number);
      },
      ['TAMPERED', `CONTENT_MISMATCH ${number} trail.leaves`, `CONTENT_MISMATCH ${number} trail.root`],
    ));

  it('ATTACK truncate the tail: the logs hold a batch that is not here', async () => {
    const last = batches().at(-1)?.number ?? 0;
    await attack(
      (db) => {
        const [before] = rows<Batch>(db, 'SELECT until FROM trail_batch WHERE number = ?', last - 1);
        db.prepare('DELETE FROM trail_batch WHERE number = ?').run(last);
        db.prepare('DELETE FROM audit_event WHERE id > ?').run(before?.until);
      },
      ['TAMPERED', ...Array.from({ length: hospitalCount() }, () => `LEAF_MISMATCH ${last} trail.entry`)],
    );
  });

  it('ATTACK recompute every batch after an edit: none of them is in a log', () =>
    tamper(
      world,
      ['audit_event', 'trail_batch'],
      (db) => recompute(db, read.id),
      async () => {
        const [verdict, ...all] = await found();
        expect(verdict).toBe('TAMPERED');
        expect(all).toContain(`LEAF_MISSING ${number} trail.entry`);
        expect(all).toContain(`LEAF_MISMATCH ${batches().length + 1} trail.entry`);
        expect(all.filter((line) => !line.endsWith('trail.entry'))).toEqual([]);
      },
    ));

  function recompute(db: RawDatabase, edited: string): void {
    db.prepare('DELETE FROM audit_event WHERE id = ?').run(edited);
    let [from, previous]: [string | null, Buffer | null] = [null, null];
    for (const { number: n, until } of rows<Batch>(db, 'SELECT number, until FROM trail_batch ORDER BY number')) {
      const leaves = rows<Row>(db, `SELECT * FROM audit_event WHERE id > ? AND id <= ? ORDER BY id`, from ?? '', until).map(trailLeaf);
      const body = trailBody({ number: n, from, until, count: leaves.length, root: trailRoot(leaves), previous });
      [from, previous] = [until, trailHash(body)];
      db.prepare('UPDATE trail_batch SET body = ?, hash = ?, leaves = ? WHERE number = ?').run(body, previous, Buffer.concat(leaves), n);
    }
  }
});

describe('the proof of one row', () => {
  const policyOf = async (hospitalId: string) => parsePolicy((await world.anonymous.get(`/ledger/logs/${hospitalId}/policy`)).text);
  /** Once it is under a checkpoint. */
  async function proofOf(id: string) {
    for (let tries = 0; tries < 100; tries += 1) {
      const answer = await world.patientA.api.get<{ receipt: string | null }>(`/audit/events/${id}/proof`);
      expect(answer.status).toBe(200);
      if (answer.body.receipt !== null) return answer.text;
      await sleep(50);
    }
    throw new Error('not logged');
  }

  it('R20 a patient keeps proof that a read of the own chart is on the trail, and checks it without the server', async () => {
    await world.doctorA.api.get(`/patients/${world.patientA.id}`);
    const log = await world.patientA.api.get<{ items: { id: string; action: string }[] }>('/patients/me/access-log');
    const event = log.body.items.find(({ action }) => action === 'patient.read');
    const policy = await policyOf(world.hospitalA.id);
    const open = await world.patientA.api.get(`/audit/events/${event?.id}/proof`);
    expect(verifyTrailProof(parseTrailProof(open.text), policy)).toMatchObject({ verdict: 'INCOMPLETE', row: { id: event?.id } });
    await seal();
    const text = await proofOf(event?.id ?? '');
    const report = verifyTrailProof(parseTrailProof(text), policy);
    expect(report).toMatchObject({
      verdict: 'VALID_UNWITNESSED',
      row: { id: event?.id, action: 'patient.read', actorId: world.doctorA.id, patientId: world.patientA.id },
    });
    expect(report.checkpoint?.checkpoint.origin).toContain(world.hospitalA.id);
    expect(verifyTrailProof(parseTrailProof(text), await policyOf(world.hospitalB.id)).verdict).toBe('TAMPERED');
  });

  it('is given for every row of a batch', async () => {
    await seal();
    const policy = await policyOf(world.hospitalA.id);
    const own = inRaw((db) =>
      rows<Row>(db, 'SELECT id FROM audit_event WHERE hospitalId = ? ORDER BY id DESC LIMIT 20', world.hospitalA.id),
    );
    for (const { id } of own) {
      const answer = await world.hospitalA.api.get<{ receipt: string | null }>(`/audit/events/${id}/proof`);
      const { verdict } = verifyTrailProof(parseTrailProof(answer.text), policy);
      expect(verdict).toBe(answer.body.receipt === null ? 'INCOMPLETE' : 'VALID_UNWITNESSED');
    }
  });

  it('is not given to those who may not read the row whole, and asking is on the trail', async () => {
    await world.doctorB.api.get(`/patients/${world.patientA.id}`); // refused: hospital B sees that it happened, but not on whose chart
    const refused = inRaw((db) =>
      rows<Row>(db, `SELECT id FROM audit_event WHERE outcome = 'denied' AND actorId = ? ORDER BY id DESC`, world.doctorB.id),
    )[0];
    const path = `/audit/events/${refused?.id}/proof`;
    expect((await world.hospitalB.api.get(path)).status).toBe(404);
    expect((await world.patientB.api.get(path)).status).toBe(404);
    expect((await world.hospitalA.api.get(path)).status).toBe(200);
    expect((await world.patientA.api.get(path)).status).toBe(200);
    expect((await world.auditor.api.get('/audit/events/018f0000-0000-7000-8000-000000000000/proof')).status).toBe(404);
    const asked = inRaw((db) => rows<Row>(db, 'SELECT actorId, outcome FROM audit_event WHERE subjectId = ? ORDER BY id', refused?.id));
    expect(asked).toEqual([
      { actorId: world.hospitalB.id, outcome: 'denied' },
      { actorId: world.hospitalA.id, outcome: 'ok' },
      { actorId: world.patientA.id, outcome: 'ok' },
    ]);
  });

  it('ATTACK of an edited row there is none', async () => {
    await seal();
    const row = eventOf('patient.read');
    await tamper(
      world,
      ['audit_event'],
      (db) => db.prepare(`UPDATE audit_event SET action = 'login' WHERE id = ?`).run(row?.id),
      async () => {
        const answer = await world.auditor.api.get<{ code: string }>(`/audit/events/${row?.id}/proof`);
        expect([answer.status, answer.body.code]).toEqual([500, 'integrity_error']);
      },
    );
  });
});

describe('in the background', () => {
  it('rows are sealed within LEDGER_TRAIL_SECONDS, an idle server makes no batches, and it stops when told', async () => {
    const busy = await createWorld({ LEDGER_TRAIL_SECONDS: '1' });
    const count = () => busy.foundations.sources.reader.query<[{ n: number }]>('SELECT COUNT(*) AS n FROM trail_batch');
    const openRows = async () => (await auditTrail(busy.foundations.sources.reader.manager)).open;
    try {
      for (let tries = 0; (await openRows()) > 0; tries += 1) {
        expect(tries).toBeLessThan(100);
        await sleep(100);
      }
      const [{ n }] = await count();
      expect(n).toBeGreaterThan(0);
      await sleep(1_500);
      expect(await count()).toEqual([{ n }]);
      expect((await auditTrail(busy.foundations.sources.reader.manager)).verdict).toBe('VALID');
    } finally {
      await busy.close();
    }
  });
});

describe('a long trail', () => {
  it(`more than ${MAX_BATCH_ROWS} rows become several batches, and no transaction takes long`, async () => {
    await seal();
    const before = batches().length;
    inRaw((db) =>
      db.transaction(() => {
        for (let n = 0; n < MAX_BATCH_ROWS + 5; n += 1) insertEvent(db, { id: newId(Date.now() + 61_000), patientId: world.patientB.id });
      })(),
    );
    const waits: number[] = [];
    const service = otherProcess(async (run) => {
      const begun = cpuNow();
      return run().finally(() => waits.push(cpuNow() - begun));
    });
    expect(await service.sealAll()).toBe(MAX_BATCH_ROWS + 5);
    expect(
      batches()
        .slice(before)
        .map(({ body }) => (JSON.parse(body) as { count: number }).count),
    ).toEqual([MAX_BATCH_ROWS, 5]);
    expect(Math.max(...waits)).toBeLessThan(1000);
  });
});
