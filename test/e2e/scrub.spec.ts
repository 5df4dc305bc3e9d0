import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatVkey, noteKey } from '../../src/ledger/core/vkey';
import type { ChainVerdictResponse as Verdict } from '../../src/ledger/ledger.dto';
import { tamper } from '../support/raw-database';
import { createWorld, sealedDiagnosis, type World } from '../support/world';

interface Status {
  chains: number;
  logs: { origin: string; size: number; signedSize: number; pending: number; halted: string | null; witnesses: object[] }[];
  scrub: { cycle: number; chainsDone: number; chains: number; blocks: number; lastCompletedAt: string | null; findings: number };
}
const statusOf = async (world: World) => (await world.auditor.api.get<Status>('/ledger/status')).body;
const verdictOf = async (world: World) => (await world.auditor.api.post<Verdict>(`/ledger/patients/${world.patientA.id}/verify`)).body;

async function until(world: World, done: (status: Status) => boolean): Promise<Status> {
  for (let tries = 0; tries < 600; tries += 1) {
    const status = await statusOf(world);
    if (done(status)) return status;
    await sleep(25);
  }
  throw new Error('it did not come to this');
}

/** The cycle after the one that runs now has ended. */
async function wholeCycle(world: World): Promise<Status> {
  const { cycle } = (await statusOf(world)).scrub;
  return until(world, ({ scrub }) => scrub.cycle > cycle + 1);
}

describe('the scrub', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ LEDGER_SCRUB_BLOCKS: '100000' });
    for (let index = 0; index < 20; index += 1) await sealedDiagnosis(world.doctorA, world.patientA.id, `note ${index}`);
  });
  afterAll(() => world.close());

  const errors = () =>
    readFileSync(join(world.dir, 'logs', 'ehr.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('the scrub found'));

  test('R17 reads everything again and again while others seal, and finds nothing', async () => {
    const sealing = Promise.all(Array.from({ length: 10 }, (_none, i) => sealedDiagnosis(world.doctorA, world.patientA.id, `more ${i}`)));
    const { scrub } = await wholeCycle(world);
    await sealing;
    expect(scrub).toMatchObject({ findings: 0, lastCompletedAt: expect.any(String) });
    expect(scrub.blocks).toBeGreaterThan(20);
    expect(errors()).toEqual([]);
  });

  test('SEC-80 ATTACK rows that no block speaks about are altered or deleted: they are found by table and key', async () => {
    for (const [sql, id] of [
      [`UPDATE staff SET lastDay = '2026-01-01' WHERE id = ?`, world.colleagueA.id],
      ['DELETE FROM staff WHERE id = ?', undefined],
    ] as const)
      await tamper(
        world,
        ['staff'],
        (db) => db.prepare(sql).run(world.colleagueA.id),
        async () => {
          expect((await wholeCycle(world)).scrub.findings).toBeGreaterThan(0);
          expect(errors().map((line) => JSON.parse(line) as object)).toContainEqual(
            expect.objectContaining({ table: 'staff', ...(id !== undefined && { id }) }),
          );
        },
      );
    await until(world, ({ scrub }) => scrub.findings === 0);
    writeFileSync(join(world.dir, 'logs', 'ehr.log'), '');
  });

  test('ATTACK an old row is edited: it is found, logged once, counted, and forgotten when it is mended', async () => {
    await tamper(
      world,
      ['ledger_content'],
      (db) =>
        db.exec(
          `UPDATE ledger_content SET ciphertext = zeroblob(100) WHERE recordId = (SELECT recordId FROM ledger_block WHERE height = 5)`,
        ),
      async () => {
        expect((await wholeCycle(world)).scrub.findings).toBe(1);
        expect((await wholeCycle(world)).scrub.findings).toBe(1);
        expect(errors().map((line) => JSON.parse(line) as object)).toEqual([
          expect.objectContaining({ code: 'CIPHERTEXT_MISMATCH', height: 5, field: 'ciphertext' }),
        ]);
        expect((await world.anonymous.get('//metrics')).text).toContain('\nehr_scrub_findings 1\n');
      },
    );
    expect((await wholeCycle(world)).scrub.findings).toBe(0);
    expect(errors().join()).not.toContain(world.patientA.id);
  });

  test('ATTACK a checkpoint is edited: the scrub finds it in the log', async () => {
    await tamper(
      world,
      ['log_checkpoint'],
      (db) => db.exec(`UPDATE log_checkpoint SET note = 'x' WHERE size = (SELECT MAX(size) FROM log_checkpoint)`),
      async () => {
        expect((await wholeCycle(world)).scrub.findings).toBeGreaterThan(0);
        expect(errors().join()).toContain('CHECKPOINT_INVALID');
      },
    );
  });

  test('status and metrics say how far the logs are, without ids', async () => {
    const { logs } = await until(world, (status) => status.logs.every((log) => log.pending === 0 && log.signedSize === log.size));
    expect(logs).toMatchObject([{ halted: null, witnesses: [] }]);
    const metrics = (await world.anonymous.get('//metrics')).text;
    expect(metrics).toContain(`\nehr_log_size ${logs[0]?.size}\n`);
    expect(metrics).toContain(`\nehr_log_signed_size ${logs[0]?.size}\n`);
    expect(metrics).toContain('\nehr_log_pending 0\n');
    expect(metrics).toContain('\nehr_log_halted 0\n');
    expect(metrics).toContain('\nehr_log_lag_seconds 0\n');
    expect(metrics).toMatch(/\nehr_scrub_last_pass_timestamp_seconds 1\d{9}/);
    expect(Number(/\nehr_scrub_progress_ratio (\S+)\n/.exec(metrics)?.[1])).toBeGreaterThanOrEqual(0);
    expect(metrics).toMatch(/\nehr_scrub_blocks_total [1-9]\d*\n/);
    expect(metrics).not.toContain(logs[0]?.origin);
  });

  test('R17 a verification says under which checkpoint the chain is proven', async () => {
    const { logs } = await statusOf(world);
    const found = await verdictOf(world);
    expect(found).toMatchObject({ verdict: 'VALID', checkpoint: { origin: logs[0]?.origin, witnessed: false } });
    expect(found.checkpoint?.size).toBeGreaterThanOrEqual(found.blocks);
  });
});

test('a slow scrub does not hold the shutdown up', async () => {
  const world = await createWorld({ LEDGER_SCRUB_BLOCKS: '1' });
  for (let index = 0; index < 20; index += 1) await sealedDiagnosis(world.doctorA, world.patientA.id);
  await until(world, ({ scrub }) => scrub.blocks > 0);
  const start = performance.now();
  await world.close();
  expect(performance.now() - start).toBeLessThan(5_000);
});

test('0 turns the scrub off', async () => {
  const world = await createWorld({ LEDGER_SCRUB_BLOCKS: '0' });
  expect((await statusOf(world)).scrub).toMatchObject({ cycle: 0, blocks: 0, lastCompletedAt: null });
  await world.close();
});

test('R17 with witnesses in the policy, a chain that none of them saw is VALID_UNWITNESSED', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-policy-'));
  const x = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x ?? '';
  const vkey = formatVkey(noteKey('witness.example/w1', 4, Buffer.from(x, 'base64url')));
  writeFileSync(join(dir, 'policy'), `witness w1 ${vkey}\nquorum w1\n`);
  const world = await createWorld({ LEDGER_POLICY: join(dir, 'policy') });
  await sealedDiagnosis(world.doctorA, world.patientA.id);
  expect(await verdictOf(world)).toMatchObject({ verdict: 'VALID_UNWITNESSED', checkpoint: { witnessed: false } });
  expect((await statusOf(world)).logs[0]?.witnesses).toEqual([{ name: 'witness.example/w1', cosignedSize: 0 }]);
  await world.close();
  rmSync(dir, { recursive: true });
});
