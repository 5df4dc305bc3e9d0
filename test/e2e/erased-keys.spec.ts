import { setTimeout as sleep } from 'node:timers/promises';
import { KeyRing } from '../../src/crypto/key-ring.service';
import { ErasedKeysService } from '../../src/erasure/erased-keys.service';
import { erase } from '../support/erasures';
import { onPostgres } from '../support/each-store';
import { startTestApp, type TestApp } from '../support/test-app';
import { addPatient, createWorld, sealedDiagnosis, type World } from '../support/world';

let world: World;
let other: TestApp;
beforeAll(async () => {
  world = await createWorld();
  const { postgres } = world.foundations.config;
  other = await startTestApp(postgres ? { DATABASE_URL: postgres.url } : {}, world.dir);
}, 60_000);
afterAll(async () => {
  await other.app.close();
  await world.close();
});

/** A patient whose key both processes have in memory. */
async function knownPatient() {
  const patient = await addPatient(world, world.doctorA, 'Ayşe Demir');
  await sealedDiagnosis(world.doctorA, patient.id);
  const subject = { subjectId: patient.id, tenantId: world.hospitalA.id };
  const key = (app: TestApp) => app.app.get(KeyRing).vault(app.foundations.sources.reader.manager, subject);
  await Promise.all([key(world), key(other)]);
  return { patient, key };
}

async function untilGone(key: () => Promise<unknown>): Promise<void> {
  for (;;) {
    const answer = await key().then(
      () => 'there',
      (error: unknown) => String(error),
    );
    if (answer !== 'there') return expect(answer).toMatch(/destroyed/);
    await sleep(20);
  }
}

test('SEC-85 a process that was told nothing forgets the key of an erased patient by itself', async () => {
  const { patient, key } = await knownPatient();
  await erase(world, patient.id);
  await untilGone(() => key(world));
  await untilGone(() => key(other));
}, 20_000);

onPostgres(
  'SEC-85 where processes hear of each other, one that does not look forgets it too',
  async () => {
    other.app.get(ErasedKeysService).onApplicationShutdown();
    const { patient, key } = await knownPatient();
    await erase(world, patient.id);
    await untilGone(() => key(other));
  },
  20_000,
);
