import { rmSync } from 'node:fs';
import { listErasures } from '../../src/tools/erasure-list';
import { backUp, emptyPlace, makeVault, type Place, type Vault } from '../support/backups';
import { erase } from '../support/erasures';
import { openRaw, rows } from '../support/raw-database';
import { addPatient, createWorld, newUsername, PASSWORD, sealedDiagnosis, type World } from '../support/world';

let world: World;
let vault: Vault;
let place: Place;
beforeEach(async () => {
  world = await createWorld();
  vault = makeVault(world.foundations.config);
  place = await emptyPlace(world.foundations.config.keysDir);
});
afterEach(async () => {
  await place.remove();
  rmSync(vault.dir, { recursive: true, force: true });
  await world.close();
});

function inPlace<T extends object>(sql: string, ...values: unknown[]): T[] {
  const db = openRaw({ ...world, foundations: { ...world.foundations, config: place.config } });
  const found = rows<T>(db, sql, ...values);
  db.close();
  return found;
}
/** What the key events of somebody say, in their order. */
const keyEvents = (found: readonly { event: string; body: string }[], id: string) =>
  found.filter(({ body }) => body.includes(id)).map(({ event }) => event);

test('SEC-85 ATTACK somebody who waited for approval when the backup was made, and was approved and erased since, is erased again', async () => {
  const person = { name: 'Zeynep Erased', birthDate: '1990-01-01', gender: 'female', nationalId: '20000000046' };
  const login = { hospitalId: world.hospitalA.id, username: newUsername('late'), password: PASSWORD };
  expect((await world.anonymous.post('/auth/register/patient', { ...person, ...login })).status).toBe(202);
  const waiting = await world.hospitalA.api.get<{ items: { id: string; name: string }[] }>('/accounts?status=PENDING');
  const id = waiting.body.items.find(({ name }) => name === person.name)?.id ?? '';
  const made = await backUp(world, vault);
  expect((await world.hospitalA.api.post(`/accounts/${id}/approve`)).status).toBe(200);
  const done = await erase(world, id);
  const { path } = await listErasures(world.foundations.config, vault.dir);
  const { erased } = await place.restore(made.path, vault, { erasures: [path] });
  expect(erased.map((erasure) => erasure.id)).toEqual([done.id]);
  expect(inPlace('SELECT "status", "usernameIndex" FROM "account" WHERE "id" = ?', id)).toEqual([
    { status: 'CLOSED', usernameIndex: null },
  ]);
  expect(inPlace('SELECT "state" FROM "erasure" WHERE "id" = ?', done.id)).toEqual([{ state: 'executed' }]);
}, 60_000);

test('SEC-85 ATTACK an erasure that is executed again ends the key of the erased, as it did before', async () => {
  const patient = await addPatient(world, world.doctorA, 'Key Holder');
  await sealedDiagnosis(world.doctorA, patient.id);
  const { body } = await world.doctorA.api.post<{ id: string }>(`/patients/${patient.id}/questions`, { text: 'How are you?' });
  expect((await patient.api.post(`/questions/${body.id}/answer`, { text: 'Well' })).status).toBe(201);
  const made = await backUp(world, vault);
  await erase(world, patient.id);
  const { path } = await listErasures(world.foundations.config, vault.dir);
  await place.restore(made.path, vault, { erasures: [path] });
  const events = inPlace<{ event: string; body: string }>('SELECT "event", "body" FROM "key_event" ORDER BY "id"');
  expect(keyEvents(events, patient.id)).toEqual(['register', 'revoke']);
}, 60_000);
