import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatVkey } from '../../src/ledger/core/vkey';
import { parsePolicy, verifyCheckpoint } from '../../src/ledger/core/policy';
import { parseReceipt } from '../../src/ledger/core/receipt';
import { LogKeys } from '../../src/tlog/log-keys';
import { ApiClient } from '../support/api-client';
import { policyFile } from '../support/foreign-log';
import { type Acknowledged, expectLogsSound } from '../support/log-check';
import { armFault, type Point, type Way } from '../support/log-faults';
import { openRaw, rows } from '../support/raw-database';
import { prepareSite, type Server, type Site, startServer } from '../support/servers';
import { startTestApp, type TestApp } from '../support/test-app';
import { draftDiagnosis } from '../support/world';

interface Seal extends Acknowledged, Record<string, unknown> {
  state: string;
}

let site: Site;
let witness: TestApp;
let settings: Record<string, string>;
let witnessPolicy: string;
const acknowledged: Seal[] = [];
const realFetch = globalThis.fetch;

beforeAll(async () => {
  site = await prepareSite('a');
  witness = await startTestApp({
    LEDGER_ORIGIN_BASE: 'ledger.witness.example',
    LEDGER_POLICY: policyFile(`log ${site.logVkey}`, 'quorum none'),
  });
  witnessPolicy = `witness w ${formatVkey(witness.app.get(LogKeys).witness.key)} ${witness.url}/witness\nquorum w`;
  settings = { LEDGER_ORIGIN_BASE: 'ledger.hospital-a.example', LEDGER_POLICY: policyFile(witnessPolicy), LEDGER_WAIT_SECONDS: '10' };
}, 240_000);
let dying: Server | undefined;
afterEach(async () => {
  globalThis.fetch = realFetch;
  await dying?.stop('SIGKILL'); // also when its death never came
});
afterAll(async () => {
  await witness.close();
  rmSync(site.dir, { recursive: true, force: true });
});

/** Seals one record as a client does who is told nothing or an error: it asks again. */
async function sealStubbornly(url: string, wait: string): Promise<Seal> {
  const doctor = site.as(site.doctor, url);
  const draft = await draftDiagnosis(doctor, site.patient.id);
  for (let tries = 0; tries < 5; tries += 1) {
    const answer = await doctor.api.post<Seal>(`/records/${draft}/seal?wait=${wait}`);
    if (answer.status === 201) return answer.body;
    expect([500, 503]).toContain(answer.status);
  }
  throw new Error('never sealed');
}

async function settled(app: TestApp): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const db = openRaw(app);
    const waiting = rows(db, 'SELECT 1 FROM log_pending');
    db.close();
    if (waiting.length === 0) return;
    await sleep(50);
  }
}

async function withApp(work: (app: TestApp) => Promise<void>): Promise<void> {
  const app = await startTestApp(settings, site.dir);
  try {
    await work(app);
  } finally {
    await app.app.close();
  }
}

const FAULTS: readonly (readonly [Point, Way])[] = [
  ['queue', 'lost'],
  ['queue', 'stored'],
  ['sequence', 'lost'],
  ['sequence', 'stored'],
  ['sign', 'lost'],
  ['store', 'lost'],
  ['store', 'stored'],
  ['publish', 'stored'],
  ['ask', 'lost'],
  ['ask', 'stored'],
  ['store cosignature', 'lost'],
  ['store cosignature', 'stored'],
];

describe('one step fails once; the server goes on, and after a restart everything fits', () => {
  test.each(FAULTS)(
    '%s, %s',
    async (point, way) => {
      await withApp(async (app) => {
        let struck = 0;
        armFault(app.app, point, way, () => (struck += 1));
        for (const wait of ['logged', 'witnessed']) acknowledged.push(await sealStubbornly(app.url, wait));
        expect(struck).toBe(1);
        const last = acknowledged.at(-1);
        expect(last?.state).toBe('witnessed');
        const policy = parsePolicy(`log ${site.logVkey}\n${witnessPolicy}\n`);
        expect(verifyCheckpoint(parseReceipt(last?.receipt ?? '').checkpoint, policy)).toMatchObject({ witnessed: true });
      });
      await withApp(async (app) => {
        await settled(app);
        expectLogsSound(app, acknowledged);
        await app.expectChainsIntact();
      });
    },
    120_000,
  );
});

describe('SEC-92 kill -9 at a named point while clients seal: nothing acknowledged is lost', () => {
  const deaths = FAULTS.filter(
    ([point]) => point === 'queue' || point === 'sequence' || point === 'store' || point === 'store cosignature',
  );
  test.each(deaths)(
    '%s, %s',
    async (point, way) => {
      // The third time: some are through already, others are under way.
      const server = (dying = await startServer(site.dir, settings, JSON.stringify({ point, way, after: 3 })));
      const client = async (): Promise<void> => {
        const doctor = { ...site.doctor, api: new ApiClient(server.url, site.doctor.api.token) };
        try {
          for (;;) {
            const answer = await doctor.api.post<Seal>(`/records/${await draftDiagnosis(doctor, site.patient.id)}/seal`);
            if (answer.status === 201) acknowledged.push(answer.body);
          }
        } catch {
          // it died: what was not acknowledged may or may not be there
        }
      };
      await Promise.all([...Array.from({ length: 4 }, client), server.gone]);
      await withApp(async (app) => {
        await settled(app);
        expectLogsSound(app, acknowledged);
        await app.expectChainsIntact();
        acknowledged.push(await sealStubbornly(app.url, 'witnessed'));
        expect(acknowledged.at(-1)?.state).toBe('witnessed');
      });
    },
    120_000,
  );
});
