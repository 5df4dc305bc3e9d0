import { AuthorClient, signed } from '../support/author-client';
import { approve, ask } from '../support/erasures';
import { addDoctor, addPatient, createWorld, draftDiagnosis, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
afterEach(() => world.expectChainsIntact());

const newPatient = async (): Promise<string> => (await addPatient(world, world.doctorA, 'Raced Person')).id;
const verdictOf = async (patient: string): Promise<string> =>
  (await world.auditor.api.post<{ verdict: string }>(`/ledger/patients/${patient}/verify`)).body.verdict;

test('SEC-91 two seals of one draft at the same moment are one block, and both get its place', async () => {
  const draft = await draftDiagnosis(world.doctorA, await newPatient());
  const seal = (wait: string) => world.doctorA.api.post(`/records/${draft}/seal?wait=${wait}`);
  const answers = await Promise.all([seal('logged'), seal('sealed'), seal('logged')]);
  expect(answers.map(({ status, body }) => [status, body['height'], body['blockHash']])).toEqual(
    answers.map(() => [201, 1, answers[0].body['blockHash']]),
  );
});

test('SEC-91 one correction that is sent thrice at the same moment is one block', async () => {
  const record = await sealedDiagnosis(world.doctorA, await newPatient());
  const options = { headers: { 'idempotency-key': `thrice-${record}` } };
  const body = { kind: 'retraction', reason: 'wrong patient' };
  const send = () => world.doctorA.api.post(`/records/${record}/corrections`, body, options);
  const answers = await Promise.all([send(), send(), send()]);
  expect(answers.map((answer) => [answer.status, answer.body['height']])).toEqual([
    [201, 2],
    [201, 2],
    [201, 2],
  ]);
});

test('SEC-91 a key that is revoked while it seals: sealed before, or not at all, and nothing is taken for forged', async () => {
  const doctor = await addDoctor(world, world.hospitalA, 'Dr. Deniz Ak');
  const client = await AuthorClient.register(doctor, world.hospitalA, 'raced');
  const patient = await newPatient();
  const drafts = await Promise.all(Array.from({ length: 6 }, () => draftDiagnosis(doctor, patient)));
  const prepared = await Promise.all(drafts.map((draft) => client.prepare(draft)));
  const seals = drafts.map((draft, index) => {
    const input = prepared[index];
    if (!input) throw new Error('nothing prepared');
    return client.submit(draft, signed(input, client.key));
  });
  const revoked = world.hospitalA.api.post(`/ledger/keys/${client.key.kid}/revocation`, { reason: 'compromised' });
  const statuses = (await Promise.all(seals)).map((answer) => answer.status);
  expect((await revoked).status).toBe(201);
  expect(statuses.filter((status) => status !== 201 && status !== 409)).toEqual([]);
  expect((await client.submit(drafts[0] ?? '', 'x.y.z')).status).not.toBe(500);
  expect(await verdictOf(patient)).toBe('VALID');
});

test('SEC-91 a patient who is erased while others seal, correct and read: each gets all or is told that it was erased', async () => {
  const patient = await newPatient();
  const record = await sealedDiagnosis(world.doctorA, patient);
  const drafts = await Promise.all(Array.from({ length: 4 }, () => draftDiagnosis(world.doctorA, patient)));
  const asked = await ask(world.hospitalA, patient);
  const work = [
    ...drafts.map((draft) => world.doctorA.api.post(`/records/${draft}/seal?wait=logged`)),
    world.doctorA.api.post(`/records/${record}/corrections`, { kind: 'retraction', reason: 'raced' }),
    world.doctorA.api.get(`/patients/${patient}/records`),
    world.doctorA.api.get(`/records/${record}/bundle`),
  ];
  const done = await approve(world.founder, asked.body.id);
  expect([done.status, done.body.state]).toEqual([200, 'executed']);
  const statuses = (await Promise.all(work)).map((answer) => answer.status);
  expect(statuses.filter((status) => ![200, 201, 410, 404].includes(status))).toEqual([]);
  expect(await verdictOf(patient)).toBe('ERASED');
  expect((await world.doctorA.api.get(`/patients/${patient}/records`)).status).toBe(410);
});
