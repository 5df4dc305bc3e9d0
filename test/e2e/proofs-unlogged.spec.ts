import { createWorld, draftDiagnosis, sealedDiagnosis, type World } from '../support/world';

let slow: World;
beforeAll(async () => {
  slow = await createWorld({ LEDGER_CHECKPOINT_MS: '60000', LEDGER_WAIT_SECONDS: '1' });
});
afterAll(() => slow.close());

test('what is sealed but not under a checkpoint yet says when to come back; the print goes without', async () => {
  await sealedDiagnosis(slow.doctorA, slow.patientA.id); // the first checkpoint comes at once, the next after a minute
  const draft = await draftDiagnosis(slow.doctorA, slow.patientA.id);
  const sealed = await slow.doctorA.api.post(`/records/${draft}/seal?wait=sealed`);
  expect([sealed.status, sealed.body['state']]).toEqual([201, 'sealed']);
  for (const path of [`/records/${draft}/receipt`, `/records/${draft}/bundle`, `/ledger/patients/${slow.patientA.id}/export`]) {
    const answer = await slow.doctorA.api.get(path);
    expect([path, answer.status, answer.body['code'], answer.headers.get('retry-after')]).toEqual([path, 503, 'unavailable', '1']);
  }
  expect((await slow.patientA.api.get('/patients/me/print')).status).toBe(200);
});
