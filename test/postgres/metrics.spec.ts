import { Database } from '../../src/database/database';
import { metricsOf } from '../support/metrics';
import { createWorld, draftDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld({ DATABASE_POOL: '3' });
}, 60_000);
afterAll(() => world.close());

test('R27 connections of the pools, who waits for one, and when all are given back', async () => {
  const database = world.app.get(Database);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const units = Array.from({ length: 5 }, () => database.append(() => held));
  const seen = await metricsOf(world);
  release();
  await Promise.all(units);
  expect(seen.sum('ehr_database_connections', { pool: 'writer', state: 'busy' })).toBe(3);
  expect(seen.sum('ehr_database_connections', { pool: 'writer', state: 'limit' })).toBe(3);
  expect(seen.sum('ehr_database_connections_awaited', { pool: 'writer' })).toBeGreaterThanOrEqual(2);
  expect(seen.sum('ehr_units_pending')).toBeGreaterThanOrEqual(5);
  const after = await metricsOf(world);
  expect(after.sum('ehr_database_connections_awaited')).toBe(0);
  expect(after.sum('ehr_database_connections', { pool: 'writer', state: 'idle' })).toBeGreaterThan(0);
  expect(after.sum('ehr_database_connections', { pool: 'reader', state: 'limit' })).toBe(3);
});

test('R27 units that ran again, having met another one, are counted', async () => {
  const before = await metricsOf(world);
  const drafts = await Promise.all(Array.from({ length: 12 }, () => draftDiagnosis(world.doctorA, world.patientA.id)));
  await Promise.all(drafts.map((draft) => world.doctorA.api.post(`/records/${draft}/seal`)));
  const after = await metricsOf(world);
  expect(after.sum('ehr_unit_repeats_total')).toBeGreaterThan(before.sum('ehr_unit_repeats_total'));
  expect(after.sum('ehr_commit_units_sum') - before.sum('ehr_commit_units_sum')).toBeGreaterThanOrEqual(24);
  expect(after.sum('ehr_commit_duration_seconds_sum')).toBeGreaterThan(before.sum('ehr_commit_duration_seconds_sum'));
});
