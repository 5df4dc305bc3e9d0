import { rmSync } from 'node:fs';
import { auditData } from '../../src/tools/audit-data';
import { isWhole } from '../../src/tools/audit-verdict';
import { backUp, emptyPlace, makeVault, type Place } from '../support/backups';
import { ApiClient } from '../support/api-client';
import { erase } from '../support/erasures';
import { startServer } from '../support/servers';
import { createWorld, login, sealedDiagnosis } from '../support/world';

/** The rows of every table but those that a backup leaves out, as both databases give them. */
const audit = ({ config }: Place) => auditData(config, {}, () => undefined);

it('a backup of SQLite is restored into PostgreSQL, and one of that into SQLite again: all verifies, people sign in and go on', async () => {
  const world = await createWorld({ DATABASE_URL: '' });
  const vault = makeVault(world.foundations.config);
  const records = [await sealedDiagnosis(world.doctorA, world.patientA.id), await sealedDiagnosis(world.doctorB, world.patientB.id)];
  await erase(world, world.patientA.id, await sealedDiagnosis(world.doctorA, world.patientA.id));
  const { keysDir } = world.foundations.config;
  const places = [await emptyPlace(keysDir), await emptyPlace(keysDir, { DATABASE_URL: '' })];
  let from = await backUp(world, vault);
  try {
    for (const place of places) {
      const kind = place.config.postgres ? 'postgres' : 'sqlite';
      const { summary, manifest } = await place.restore(from.path, vault, { moved: true });
      expect([manifest.store, isWhole(summary)]).toEqual([kind === 'postgres' ? 'sqlite' : 'postgres', true]);
      const server = await startServer(place.dir, place.settings);
      try {
        const anonymous = new ApiClient(server.url, null);
        const doctor = await login({ anonymous }, world.doctorA.id, world.doctorA.username);
        for (const [index, person] of [world.patientA, world.patientB].entries()) {
          const { api } = await login({ anonymous }, person.id, person.username);
          const content = await api.get(`/records/${records[index]}/content`);
          expect(content.text).toBe((await person.api.get(`/records/${records[index]}/content`)).text);
        }
        expect((await doctor.api.get<{ items: unknown[] }>('/patients?q=ayse')).body.items.length).toBe(1);
        await sealedDiagnosis(doctor, world.patientA.id);
      } finally {
        await server.stop();
      }
      const again = await audit(place);
      expect([isWhole(again), again.blocks]).toEqual([true, summary.blocks + 1]);
      from = await backUp({ foundations: { ...world.foundations, config: place.config } }, vault);
    }
  } finally {
    for (const place of places) await place.remove();
    rmSync(vault.dir, { recursive: true, force: true });
    await world.close();
  }
}, 120_000);
