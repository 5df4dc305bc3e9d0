import { createHash } from 'node:crypto';
import { BlindIndex } from '../../src/crypto/blind-index';
import { indexBits, PatientSearchService } from '../../src/patient/patient-search.service';
import { erase } from '../support/erasures';
import { openRaw, rows } from '../support/raw-database';
import { statementsOf } from '../support/statements';
import { createWorld, newUsername, PASSWORD, type Person, type World } from '../support/world';

interface Found {
  items: { id: string; name: string; birthDate: string }[];
  nextCursor: string | null;
}

let world: World;
const ids = new Map<string, string>();
const PEOPLE = [
  ['Ayşe Nur Öztürk', '1984-02-29'],
  ['Ayşe Öztürk', '1990-01-01'],
  ['Işıl Ağaoğlu', '1975-12-24'],
  ['Jürgen Groß', '1961-07-08'],
  ["Sinéad O'Brien", '2001-03-17'],
] as const;

beforeAll(async () => {
  world = await createWorld();
  for (const [name, birthDate] of PEOPLE) ids.set(name, await enrol(world.doctorA, name, birthDate));
}, 60_000);
afterAll(() => world.close());

async function enrol(by: Person, name: string, birthDate = '1970-01-01', more: object = {}): Promise<string> {
  const answer = await by.api.post<{ patient: { id: string } }>('/patients', { name, birthDate, gender: 'other', ...more });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body.patient.id;
}
async function search(by: Person, q: string, more = ''): Promise<Found> {
  const answer = await by.api.get<Found>(`/patients?q=${encodeURIComponent(q)}${more}`);
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.body;
}
const names = async (by: Person, q: string) => (await search(by, q)).items.map((item) => item.name).sort();
const entries = (patientId: string) => {
  const db = openRaw(world);
  const found = rows<{ hospitalId: string; token: Buffer }>(db, 'SELECT * FROM patient_search WHERE patientId = ?', patientId);
  db.close();
  return found;
};

describe('SEC-86 patients are found by name, of which the database holds ciphertexts only', () => {
  it.each([
    ['öztürk', ['Ayşe Nur Öztürk', 'Ayşe Öztürk']],
    ['OZTURK ayse', ['Ayşe Nur Öztürk', 'Ayşe Öztürk']],
    ['Öztürk 1984', ['Ayşe Nur Öztürk']],
    ['nur ayşe', ['Ayşe Nur Öztürk']],
    ['isil', ['Işıl Ağaoğlu']],
    ['IŞIL AĞAOĞLU', ['Işıl Ağaoğlu']],
    ['gross', ['Jürgen Groß']],
    ['GROSS jurgen', ['Jürgen Groß']],
    ['obrien', ["Sinéad O'Brien"]],
    ['Öztür', []],
    ['Öztürk 1985', []],
    ['1984', []],
    ['nobody', []],
    ['10000000146', ['Ayşe Demir']],
  ])('%s', async (q, found) => {
    expect(await names(world.doctorA, q)).toEqual(found);
    expect(await names(world.hospitalA, q)).toEqual(found);
  });

  it('another hospital finds its own only, the founder nobody, a patient may not ask', async () => {
    expect(await names(world.doctorB, 'öztürk')).toEqual([]);
    expect(await names(world.hospitalB, 'berg')).toEqual(['Pat Berg']);
    expect((await search(world.founder, 'öztürk')).items).toEqual([]);
    expect((await world.patientA.api.get('/patients?q=demir')).status).toBe(403);
  });

  it('SEC-95 who is found sees it', async () => {
    await search(world.colleagueA, 'demir');
    const log = await world.patientA.api.get<{ items: unknown[] }>('/patients/me/access-log?limit=20');
    expect(log.body.items).toContainEqual(expect.objectContaining({ who: 'Dr. Bo Li 李博', action: 'patient.list' }));
  });

  it('a new name is found and the old one is not', async () => {
    const id = await enrol(world.doctorA, 'Vor Her');
    const changed = await world.doctorA.api.patch(`/patients/${id}`, { name: 'Nach Her' }, { headers: { 'if-match': '"1"' } });
    expect(changed.status).toBe(200);
    expect([await names(world.doctorA, 'vor'), await names(world.doctorA, 'nach')]).toEqual([[], ['Nach Her']]);
  });

  it('who registered is found once the hospital has approved, and not before', async () => {
    const profile = { name: 'Wartet Lange', birthDate: '1990-01-01', gender: 'male', hospitalId: world.hospitalA.id };
    await world.anonymous.post('/auth/register/patient', { ...profile, username: newUsername('wartet'), password: PASSWORD });
    expect(await names(world.doctorA, 'wartet')).toEqual([]);
    const queue = await world.hospitalA.api.get<{ items: { id: string; name: string }[] }>('/accounts?status=PENDING');
    await world.hospitalA.api.post(`/accounts/${queue.body.items.find((item) => item.name === profile.name)?.id}/approve`);
    expect(await names(world.doctorA, 'wartet')).toEqual(['Wartet Lange']);
  });

  it('SEC-85 an erased patient leaves no entry', async () => {
    const id = await enrol(world.doctorA, 'Wird Geloescht', '1950-05-05', { issueAccount: true });
    expect(entries(id).length).toBeGreaterThan(0);
    await erase(world, id);
    expect(entries(id)).toEqual([]);
    expect(await names(world.doctorA, 'geloescht')).toEqual([]);
  });

  it('pages of many with one name: each once, in order, and none is lost', async () => {
    for (let index = 0; index < 25; index += 1) await enrol(world.colleagueA, `Viele ${index % 2 === 0 ? 'Gerade' : 'Ungerade'}`);
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await search(world.doctorA, 'viele', `&limit=4${cursor}`);
      seen.push(...page.items.map((item) => item.id));
      expect(page.items.length).toBeLessThanOrEqual(4);
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(seen).toHaveLength(25);
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(await names(world.doctorA, 'viele ungerade')).toHaveLength(12);
  });

  it('no statement carries a word of the name or of the query', async () => {
    const seen = await statementsOf(async () => void (await search(world.doctorA, 'Ağaoğlu 1975')));
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.join('\n')).not.toMatch(/agaoglu|ağaoğlu|1975/i);
  });

  it('who was enrolled before there was an index gets into it at the next start', async () => {
    const { app } = world;
    const db = openRaw(world);
    db.exec('DELETE FROM patient_search');
    db.close();
    expect(await names(world.doctorA, 'öztürk')).toEqual([]);
    const search = app.get(PatientSearchService);
    search.onApplicationBootstrap();
    await search.beforeApplicationShutdown();
    expect(await names(world.doctorA, 'öztürk')).toEqual(['Ayşe Nur Öztürk', 'Ayşe Öztürk']);
  });
});

describe('SEC-86 what a dump of the index shows', () => {
  it('one name has different values in two hospitals, and neither is a plain hash of it', async () => {
    const here = await enrol(world.doctorA, 'Zwilling');
    const there = await enrol(world.doctorB, 'Zwilling');
    expect(entries(here)[0]?.hospitalId).not.toBe(entries(there)[0]?.hospitalId);
    // So few bits are kept that equal ones prove nothing; the whole values differ.
    const value = (hospital: Person) => world.app.get(BlindIndex).truncated(hospital.id, 'patient.name', 'zwilling', 16).toString('hex');
    expect(value(world.hospitalA)).not.toBe(value(world.hospitalB));
    expect(createHash('sha256').update('zwilling').digest('hex').slice(0, 4)).not.toBe(value(world.hospitalA).slice(2));
  });

  it.each([1, 2, 10, 1_000, 100_000, 1_000_000])(
    'among %d patients all words of a name together leave two or more who share them',
    (patients) => {
      for (const words of [1, 2, 3, 8]) {
        const bits = indexBits(patients, words);
        expect(patients / 2 ** (bits * words)).toBeGreaterThanOrEqual(Math.min(2, patients));
        expect(bits).toBeLessThanOrEqual(16);
      }
      expect(indexBits(patients, 1)).toBe(indexBits(patients, 2));
    },
  );

  it('frequencies of names do not show: the most frequent name is not the only one on its value', () => {
    const index = world.app.get(BlindIndex);
    const [patients, bits] = [20_000, indexBits(20_000, 2)];
    // Names as they are distributed: the k-th most frequent has a share of about 1/k.
    const counts = Array.from({ length: 2_000 }, (_none, k) => Math.max(1, Math.round(patients / 8 / (k + 1))));
    const sums = new Map<string, number>();
    const others = new Map<string, number>();
    for (const [k, count] of counts.entries()) {
      const token = index.truncated('h', 'patient.name', `name ${k}`, bits).toString('hex');
      sums.set(token, (sums.get(token) ?? 0) + count);
      others.set(token, (others.get(token) ?? 0) + 1);
    }
    expect(sums.size).toBeLessThanOrEqual(2 ** bits);
    expect(Math.min(...others.values())).toBeGreaterThan(1);
    for (const [k, count] of counts.slice(0, 20).entries())
      expect(sums.get(index.truncated('h', 'patient.name', `name ${k}`, bits).toString('hex'))).toBeGreaterThan(count);
  });
});
