import { RevocationsService } from '../../src/auth/revocations.service';
import { AttachmentsService } from '../../src/record/attachments.service';
import { openRaw, rows } from '../support/raw-database';
import { addDoctor, createWorld, draftDiagnosis, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

test('R11 ATTACK who has left gets no new key from a process that has not heard of it yet, and seals nothing', async () => {
  const doctor = await addDoctor(world, world.hospitalA, 'Dr. Gone');
  await sealedDiagnosis(doctor, world.patientA.id);
  const draft = await draftDiagnosis(doctor, world.patientA.id);
  // Another process, in the second before it looks at the revocations.
  const deaf = jest.spyOn(world.app.get(RevocationsService), 'accepts').mockReturnValue(true);
  const leaving = { lastDay: '2026-11-22', reason: 'retired' };
  expect((await world.hospitalA.api.post(`/hospitals/me/staff/${doctor.id}/departure`, leaving)).status).toBe(200);
  expect((await doctor.api.post(`/records/${draft}/seal`)).status).toBe(401);
  deaf.mockRestore();
  const db = openRaw(world);
  const events = rows<{ event: string; body: string }>(db, 'SELECT "event", "body" FROM "key_event" ORDER BY "id"');
  db.close();
  expect(events.filter(({ body }) => body.includes(doctor.id)).map(({ event }) => event)).toEqual(['register', 'revoke']);
});

test('R30 an upload goes on while another process starts; what was cut off hours ago is removed', async () => {
  const draft = await draftDiagnosis(world.doctorA, world.patientA.id);
  const files = () => {
    const db = openRaw(world);
    const found = rows<{ completedAt: number | null }>(db, 'SELECT "completedAt" FROM "attachment" WHERE "recordId" = ?', draft);
    db.close();
    return found;
  };
  const starting = () => world.app.get(AttachmentsService).onApplicationBootstrap();
  const piece = Buffer.alloc(1 << 20, 7);
  const actor = { id: world.doctorA.id, role: 'DOCTOR', hospitalId: world.hospitalA.id } as const;
  const now = world.clock.now();
  const session = { sessionId: '', epoch: now, authTime: now, acr: 'pwd', requestId: 'r' } as const;
  async function* slowly(): AsyncGenerator<Buffer> {
    yield piece;
    await starting();
    yield piece;
  }
  const upload = { name: 'scan.png', contentType: 'image/png', bytes: slowly() };
  const done = await world.app.get(AttachmentsService).add({ ...actor, ...session }, draft, upload);
  expect(done.size).toBe(2 * piece.length);
  const db = openRaw(world);
  db.exec(`UPDATE "attachment" SET "completedAt" = NULL WHERE "recordId" = '${draft}'`);
  db.close();
  await starting();
  expect(files()).toEqual([{ completedAt: null }]);
  world.clock.advance(2 * 3_600_000);
  await starting();
  expect(files()).toEqual([]);
  world.clock.advance(-2 * 3_600_000);
});
