import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../support/api-client';
import { onEachStore } from '../support/each-store';
import { expectLogsSound } from '../support/log-check';
import { select } from '../support/raw-database';
import { startServer } from '../support/servers';
import { startTestApp, type TestApp } from '../support/test-app';
import { createWorld, type Person, type World } from '../support/world';

const ROUNDS = 20;
const WORKERS = 8;

interface Seal {
  readonly recordId: string;
  readonly chainId: string;
  readonly height: number;
  readonly blockHash: string;
  readonly leafIndex: number | null;
  readonly receipt: string | null;
}

/** Drafts and seals until the server is gone; notes what it was told. */
async function sealUntilKilled(url: string, doctor: Person, patientId: string, seals: Seal[], drafts: string[]): Promise<void> {
  const api = new ApiClient(url, doctor.api.token);
  try {
    for (;;) {
      const draft = await api.post<{ id: string }>(`/patients/${patientId}/diagnoses`, {
        code: 'I10',
        display: 'Hypertension',
        note: 'n'.repeat(500),
      });
      if (draft.status === 201) drafts.push(draft.body.id);
      const sealed = await api.post<Seal & Record<string, unknown>>(`/records/${draft.body.id}/seal`);
      if (sealed.status === 201) seals.push(sealed.body);
    }
  } catch {
    // the connection broke: what was not acknowledged may or may not be there
  }
}

async function expectAllThere(app: TestApp, seals: readonly Seal[], drafts: readonly string[]): Promise<void> {
  const blocks = await select<{ recordId: string; height: number; hash: string }>(
    app,
    'SELECT recordId, height, lower(hex(blockHash)) AS hash FROM ledger_block',
  );
  const stored = new Map(blocks.map((block) => [block.recordId, `${block.height} ${block.hash}`]));
  expect(seals.filter((seal) => stored.get(seal.recordId) !== `${seal.height} ${seal.blockHash}`)).toEqual([]);
  const records = await select<{ id: string; status: string }>(app, 'SELECT id, status FROM record');
  const status = new Map(records.map((record) => [record.id, record.status]));
  expect(seals.filter((seal) => status.get(seal.recordId) !== 'sealed')).toEqual([]);
  expect(drafts.filter((id) => !status.has(id))).toEqual([]);
  // Nothing half done: a record is sealed exactly when it has its block and its content.
  const halves = await select(
    app,
    `SELECT r.id FROM record r LEFT JOIN ledger_block b ON b.recordId = r.id LEFT JOIN ledger_content c ON c.recordId = r.id
     WHERE (r.status = 'sealed') <> (b.recordId IS NOT NULL) OR (r.status = 'sealed') <> (c.recordId IS NOT NULL)`,
  );
  expect(halves).toEqual([]);
  if (!app.foundations.config.postgres) expect(await select(app, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
}

onEachStore(() => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
    await world.app.close();
  }, 60_000);
  afterAll(() => world.close());

  test('SEC-92 ATTACK 20 times kill -9 while sealing: every acknowledged seal is there and every chain verifies', async () => {
    const seals: Seal[] = [];
    const drafts: string[] = [];
    const places = [
      [world.doctorA, world.patientA.id],
      [world.colleagueA, world.patientA.id],
      [world.doctorB, world.patientB.id],
    ] as const;
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = seals.length;
      const server = await startServer(world.dir);
      const workers = Array.from({ length: WORKERS }, (_, index) => {
        const [doctor, patientId] = places[index % places.length] ?? places[0];
        return sealUntilKilled(server.url, doctor, patientId, seals, drafts);
      });
      while (seals.length < before + 20) await sleep(5);
      await sleep(randomInt(0, 150)); // anywhere in a transaction
      await server.stop('SIGKILL');
      await Promise.all(workers);
      const app = await startTestApp({}, world.dir);
      try {
        await app.expectChainsIntact();
        await expectAllThere(app, seals, drafts);
        // What was queued when it died is placed now.
        const waiting = async () => (await select(app, 'SELECT 1 FROM log_pending')).length;
        for (let tries = 0; (await waiting()) > 0 && tries < 500; tries += 1) await sleep(20);
        expectLogsSound(app, seals);
      } finally {
        await app.app.close();
      }
    }
    expect(seals.length).toBeGreaterThanOrEqual(ROUNDS * 20);
    expect(new Set(seals.map((seal) => `${seal.chainId} ${seal.height}`)).size).toBe(seals.length);
  }, 900_000);
});
