import { AuthorClient } from '../support/author-client';
import { rows, tamper } from '../support/raw-database';
import { addDoctor, addPatient, createWorld, draftDiagnosis, type Person, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

interface Verdict {
  verdict: string;
  findings: { code: string; height: number; field: string }[];
}
const verify = async (patientId: string): Promise<string[]> => {
  const { body } = await world.auditor.api.post<Verdict>(`/ledger/patients/${patientId}/verify`);
  return [body.verdict, ...body.findings.map(({ code, field }) => `${code} ${field}`)];
};
const newDoctor = (): Promise<Person> => addDoctor(world, world.hospitalA, 'Dr. Deniz Ak');
const newPatient = async (): Promise<string> => (await addPatient(world, world.doctorA, 'Attacked Person')).id;
/** Waits until every event about a key has its leaf. */
async function logged(kid: string): Promise<void> {
  for (;;) {
    const { items } = (
      await world.founder.api.get<{ items: { kid: string; events: { leafIndex: number | null }[] }[] }>('/ledger/keys?limit=100')
    ).body;
    if (items.find((key) => key.kid === kid)?.events.every((event) => event.leafIndex !== null) === true) return;
    await new Promise((done) => setTimeout(done, 20));
  }
}

describe('SEC-90 a correction that is sent again', () => {
  test.each(['sealed', 'logged'])('gets the first answer, sealed once (wait=%s)', async (wait) => {
    const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
    const send = () =>
      world.doctorA.api.post(
        `/records/${record}/corrections?wait=${wait}`,
        { kind: 'retraction', reason: 'wrong patient' },
        { headers: { 'idempotency-key': `again-${wait}-${record}` } },
      );
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect({ ...second.body, receipt: null, leafIndex: null, state: null }).toEqual({
      ...first.body,
      receipt: null,
      leafIndex: null,
      state: null,
    });
  });
});

describe('whoever owns the database file hides a revocation', () => {
  let client: AuthorClient;
  let patient = '';
  beforeAll(async () => {
    client = await AuthorClient.register(await newDoctor(), world.hospitalA, 'hidden by a column');
    patient = await newPatient();
    expect((await client.seal(await draftDiagnosis(client.doctor, patient))).status).toBe(201);
    const path = `/ledger/keys/${client.key.kid}/revocation`;
    expect((await client.doctor.api.post(path, { reason: 'compromised' })).status).toBe(201);
    await logged(client.key.kid);
  });

  test.each([
    ['kid', `UPDATE key_event SET kid = 'nobody' WHERE kid = ? AND event = 'revoke'`],
    ['event', `UPDATE key_event SET event = 'old' WHERE kid = ? AND event = 'revoke'`],
    ['kid and hash', `UPDATE key_event SET kid = 'nobody', hash = zeroblob(32) WHERE kid = ? AND event = 'revoke'`],
  ])('ATTACK hide a revocation: its body stands, its %s is another', async (_what, sql) => {
    expect(await verify(patient)).toEqual(['VALID']);
    await tamper(
      world,
      ['key_event'],
      (db) => expect(db.prepare(sql).run(client.key.kid).changes).toBe(1),
      async () => expect(await verify(patient)).toEqual(['TAMPERED', 'LEAF_MISMATCH key_event']),
    );
    expect(rows).toBeDefined();
    expect(await verify(patient)).toEqual(['VALID']);
  });
});
