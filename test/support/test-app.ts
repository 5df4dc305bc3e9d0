import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp, openFoundations } from '../../src/app';
import type { Foundations } from '../../src/app.module';
import { SetupService } from '../../src/auth/setup.service';
import { Clock } from '../../src/common/clock';
import { readConfig } from '../../src/config/config';
import { VerificationService } from '../../src/ledger/verification.service';
import { ApiClient } from './api-client';
import { TestClock } from './test-clock';
import { dropStore, storeOf } from './test-store';

/** The production application on a scratch folder, listening on a free port of the loopback interface. */
export interface TestApp {
  readonly app: NestFastifyApplication;
  readonly clock: TestClock;
  readonly url: string;
  readonly dir: string;
  readonly foundations: Foundations;
  /** A client without a token. */
  readonly anonymous: ApiClient;
  readonly setupCode: string;
  /** Every chain verifies: called after mutations. A lawful erasure counts as intact. */
  expectChainsIntact(): Promise<void>;
  close(): Promise<void>;
}

/** Weaker password hashing and higher limits than in production; everything else is the same. */
export const TEST_SETTINGS = {
  ARGON2_MEMORY_KIB: '256',
  ARGON2_PASSES: '1',
  LOG_CONSOLE: 'false',
  REQUESTS_PER_MINUTE: '1000000',
  LOGINS_PER_MINUTE: '1000000',
  LOGINS_PER_MINUTE_ALL: '1000000',
  PORT: '0',
  LEDGER_CHECKPOINT_MS: '10',
  LEDGER_SCRUB_BLOCKS: '0', // its own tests turn it on
  LEDGER_TRAIL_SECONDS: '86400', // tests make batches of the trail when they want them
};

export async function startTestApp(
  settings: Record<string, string> = {},
  dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-')),
): Promise<TestApp> {
  const store = settings['DATABASE_URL'] === undefined ? await storeOf(dir) : {};
  const foundations = await openFoundations(readConfig({ ...TEST_SETTINGS, ...store, DATA_DIR: dir, ...settings }));
  const clock = new TestClock();
  const app = await createApp(foundations);
  // The clock is one object for all services; its `now` is what a test moves.
  const real = app.get(Clock);
  real.now = () => clock.now();
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const setupCode = (await app.get(SetupService).offerCode()) ?? '';
  return {
    app,
    clock,
    url,
    dir,
    foundations,
    setupCode,
    anonymous: new ApiClient(url, null),
    async expectChainsIntact() {
      const verdicts: unknown[] = [];
      for await (const report of app.get(VerificationService).verifyAll(foundations.sources.reader.manager)) {
        if (report.verdict !== 'VALID' && report.verdict !== 'ERASED') verdicts.push(report);
      }
      expect(verdicts).toEqual([]);
    },
    async close() {
      await app.close();
      await dropStore(dir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
