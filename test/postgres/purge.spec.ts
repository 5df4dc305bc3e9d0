import { Client } from 'pg';
import { approve, ask, erase } from '../support/erasures';
import { addPatient, createWorld, sealedDiagnosis, type World } from '../support/world';

let world: World;
let reader: Client;
beforeAll(async () => {
  world = await createWorld();
  reader = new Client({ connectionString: world.foundations.config.postgres?.url ?? '' });
  await reader.connect();
}, 60_000);
afterAll(async () => {
  await reader.end();
  await world.close();
});

const snapshot = 'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY';
const keyOf = async (id: string) =>
  (await reader.query<{ state: string }>('SELECT "state" FROM "data_key" WHERE "subjectId" = $1', [id])).rows[0];
async function someone(name: string): Promise<string> {
  const { id } = await addPatient(world, world.doctorA, name);
  await sealedDiagnosis(world.doctorA, id);
  return id;
}

test('SEC-85 ATTACK nothing counts as purged while somebody reads a state from before the erasure, as a backup does', async () => {
  const id = await someone('Gone One');
  await reader.query(snapshot);
  await reader.query('SELECT 1 FROM "account" LIMIT 1');
  const { purgedAt } = await erase(world, id);
  expect((await keyOf(id))?.state).toBe('active'); // the old state still opens it
  expect(purgedAt).toBeNull();
  await reader.query('COMMIT');
  expect((await erase(world, await someone('Gone Two'))).purgedAt).not.toBeNull();
  const earlier = await world.founder.api.get<{ items: { patientId: string; purgedAt: string | null }[] }>('/erasures?state=executed');
  expect(earlier.body.items.filter(({ purgedAt }) => purgedAt === null)).toEqual([]);
});

test('SEC-85 ATTACK nor while a transaction that writes is open, which has no snapshot between two statements', async () => {
  const id = await someone('Gone Too');
  await reader.query('BEGIN');
  await reader.query('SELECT txid_current()');
  expect((await erase(world, id)).purgedAt).toBeNull();
  await reader.query('COMMIT');
});

test('SEC-85 ATTACK a purge holds nobody up while somebody reads the keys', async () => {
  const id = await someone('Gone Three');
  const asked = await ask(world.hospitalA, id);
  await reader.query(snapshot);
  await keyOf(id); // a lock on the table to the end of the transaction
  let isApproved = false;
  const approving = approve(world.founder, asked.body.id).finally(() => (isApproved = true));
  for (let round = 0; !isApproved; round += 1) await addPatient(world, world.doctorA, `Born Meanwhile ${round}`);
  const { status, body } = await approving;
  expect([status, body.state, body.purgedAt]).toEqual([200, 'executed', null]);
  await reader.query('COMMIT');
}, 15_000);
