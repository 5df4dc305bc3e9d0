import { randomBytes } from 'node:crypto';
import { SoftKey, type Deviation } from '../support/soft-key';
import { addKey, addTotp, askedFor, claimsOf, prove, totpAt, type MfaQuestion } from '../support/second-factors';
import { addDoctor, createWorld, login, type Person, type World } from '../support/world';
import { openRaw } from '../support/raw-database';

const MINUTE = 60_000;

let world: World;
let doctor: Person;
let hospital: Person;
beforeAll(async () => {
  world = await createWorld({ WEBAUTHN_ORIGINS: 'http://localhost:3000,https://ehr.localhost' });
});
afterAll(async () => {
  await world.expectChainsIntact();
  await world.close();
});
beforeEach(async () => {
  hospital = await login(world, world.hospitalA.id, world.hospitalA.username);
  doctor = await addDoctor(world, hospital, 'Dr. Key');
});

const challengeOf = ({ webauthn }: MfaQuestion) => webauthn?.challenge ?? '';
const options = async ({ api }: Person) => (await api.post<{ challenge: string }>('/auth/factors/webauthn/options')).body;

/** What an authenticator or a page that is not ours, or not used as it should be, sends. */
const DEVIATIONS: readonly (readonly [label: string, deviation: Deviation])[] = [
  ['another origin', { origin: 'https://localhost.evil.example' }],
  ['the origin with another port', { origin: 'http://localhost:3001' }],
  ['the origin with another scheme', { origin: 'https://localhost:3000' }],
  ['a null origin', { origin: 'null' }],
  ['another RP ID', { rpId: 'evil.example' }],
  ['no user verification', { userVerified: false }],
  ['nobody present', { userPresent: false, userVerified: false }],
];

describe('SEC-44 adding a key', () => {
  test('options pin the site, ask for user verification and name the keys that are there', async () => {
    const key = new SoftKey();
    expect((await addKey(doctor, key)).status).toBe(201);
    const { body } = await doctor.api.post<{ challenge: string }>('/auth/factors/webauthn/options');
    expect(body).toMatchObject({
      rp: { id: 'localhost' },
      user: { name: doctor.username },
      authenticatorSelection: { userVerification: 'required' },
      attestation: 'none',
      excludeCredentials: [{ id: key.id.toString('base64url'), type: 'public-key' }],
    });
    expect(Buffer.from(body.challenge, 'base64url')).toHaveLength(32);
    const again = await options(doctor);
    expect(again.challenge).not.toBe(body.challenge);
  });

  test.each([
    ...DEVIATIONS,
    ['the other ceremony', { type: 'webauthn.get' }],
    ['a certificate', { certificate: randomBytes(40) }],
  ] as const)('ATTACK %s', async (_label, deviation) => {
    const { challenge } = await options(doctor);
    const refused = await doctor.api.post('/auth/factors/webauthn', new SoftKey().create(challenge, deviation));
    expect([refused.status, refused.body['code']]).toEqual([422, 'invalid_key']);
    expect((await doctor.api.get<{ factors: unknown[] }>('/auth/factors')).body.factors).toEqual([]);
  });

  test('ATTACK an own, a used, a stale and a foreign challenge', async () => {
    const add = (person: Person, challenge: string) => person.api.post('/auth/factors/webauthn', new SoftKey().create(challenge));
    const { challenge } = await options(doctor);
    const elsewhere = await login(world, doctor.id, doctor.username);
    const other = await addDoctor(world, hospital, 'Dr. Other');
    expect((await add(doctor, randomBytes(32).toString('base64url'))).status).toBe(422);
    expect((await add(other, challenge)).status).toBe(422);
    expect((await add(elsewhere, challenge)).status).toBe(422); // of another session
    expect((await add(doctor, challenge)).status).toBe(201);
    expect((await add(doctor, challenge)).status).toBe(422);
    const late = await options(doctor);
    world.clock.advance(5 * MINUTE);
    expect((await add(doctor, late.challenge)).status).toBe(422);
  });

  test('ATTACK the same credential for two accounts, and one challenge for many keys at once', async () => {
    const key = new SoftKey();
    await addKey(doctor, key);
    const other = await addDoctor(world, hospital, 'Dr. Other');
    expect((await addKey(other, key)).status).toBe(409);
    const { challenge } = await options(other);
    const made = await Promise.all(
      Array.from({ length: 10 }, () => other.api.post('/auth/factors/webauthn', new SoftKey().create(challenge))),
    );
    expect(made.map((answer) => answer.status).sort()).toEqual([201, ...Array<number>(9).fill(422)]);
  });
});

describe('SEC-44 signing in with a key', () => {
  let key: SoftKey;
  beforeEach(async () => {
    key = new SoftKey();
    expect((await addKey(doctor, key)).status).toBe(201);
  });

  test('the key signs the challenge of this sign-in; the token says so', async () => {
    const asked = await askedFor(world, doctor);
    expect(asked.factors).toEqual(['webauthn']);
    expect(asked.webauthn).toMatchObject({
      rpId: 'localhost',
      userVerification: 'required',
      allowCredentials: [{ id: key.id.toString('base64url'), type: 'public-key' }],
    });
    expect(Buffer.from(challengeOf(asked), 'base64url')).toHaveLength(32);
    const { status, body } = await prove(world, asked.mfaToken, { webauthn: key.get(challengeOf(asked)) });
    expect(status).toBe(200);
    expect(claimsOf(body.accessToken)).toMatchObject({ amr: ['pwd', 'hwk'], acr: 'mfa' });
  });

  test.each([...DEVIATIONS, ['the other ceremony', { type: 'webauthn.create' }]] as const)('ATTACK %s', async (_label, deviation) => {
    const asked = await askedFor(world, doctor);
    const refused = await prove(world, asked.mfaToken, { webauthn: key.get(challengeOf(asked), deviation) });
    expect([refused.status, refused.text]).toEqual([401, expect.stringContaining('invalid_second_factor')]);
    expect((await prove(world, asked.mfaToken, { webauthn: key.get(challengeOf(asked)) })).status).toBe(200); // and honestly it works
  });

  test('ATTACK a replayed assertion, the challenge of another sign-in, a stale one', async () => {
    const first = await askedFor(world, doctor);
    const assertion = key.get(challengeOf(first));
    expect((await prove(world, first.mfaToken, { webauthn: assertion })).status).toBe(200);
    expect((await prove(world, first.mfaToken, { webauthn: assertion })).status).toBe(401);
    const second = await askedFor(world, doctor);
    expect((await prove(world, second.mfaToken, { webauthn: assertion })).status).toBe(401);
    const third = await askedFor(world, doctor);
    expect((await prove(world, second.mfaToken, { webauthn: key.get(challengeOf(third)) })).status).toBe(401);
    world.clock.advance(5 * MINUTE);
    expect((await prove(world, third.mfaToken, { webauthn: key.get(challengeOf(third)) })).status).toBe(401);
  });

  test('ATTACK a copied key: its counter goes back or stays', async () => {
    const use = async (counter: number) => {
      const asked = await askedFor(world, doctor);
      return (await prove(world, asked.mfaToken, { webauthn: key.get(challengeOf(asked), { counter }) })).status;
    };
    expect([await use(7), await use(7), await use(6), await use(0), await use(8)]).toEqual([200, 401, 401, 401, 200]);
  });

  test('ATTACK two assertions with the same counter at once: one succeeds', async () => {
    const asked = await Promise.all(Array.from({ length: 5 }, () => askedFor(world, doctor)));
    const answers = await Promise.all(
      asked.map((item) => prove(world, item.mfaToken, { webauthn: key.get(challengeOf(item), { counter: 9 }) })),
    );
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
  });

  test('a passkey that keeps no counter signs in again and again', async () => {
    for (let time = 0; time < 2; time += 1) {
      const asked = await askedFor(world, doctor);
      expect((await prove(world, asked.mfaToken, { webauthn: key.get(challengeOf(asked), { counter: 0 }) })).status).toBe(200);
    }
  });

  test('ATTACK the key of somebody else, another key under this id, a changed signature', async () => {
    const other = await addDoctor(world, hospital, 'Dr. Other');
    const foreign = new SoftKey();
    await addKey(other, foreign);
    const asked = await askedFor(world, doctor);
    const challenge = challengeOf(asked);
    const assertion = key.get(challenge);
    const flipped = Buffer.from(assertion.signature, 'base64url');
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    for (const webauthn of [
      foreign.get(challenge),
      { ...foreign.get(challenge), id: assertion.id },
      { ...assertion, signature: flipped.toString('base64url') },
    ])
      expect((await prove(world, asked.mfaToken, { webauthn })).status).toBe(401);
  });

  test('ATTACK who can write the database puts an own public key there', async () => {
    const mine = new SoftKey();
    const attacker = await addDoctor(world, hospital, 'Dr. Attacker');
    await addKey(attacker, mine);
    const db = openRaw(world);
    const sql = `UPDATE second_factor SET secret = (SELECT secret FROM second_factor WHERE accountId = ?) WHERE accountId = ?`;
    db.prepare(sql).run(attacker.id, doctor.id);
    db.close();
    const asked = await askedFor(world, doctor);
    const refused = await prove(world, asked.mfaToken, { webauthn: { ...mine.get(challengeOf(asked)), id: key.id.toString('base64url') } });
    expect([refused.status, refused.text]).toEqual([500, expect.stringContaining('integrity_error')]);
  });

  test('with a code app beside it either one is enough', async () => {
    const { seed } = await addTotp(world, doctor);
    const asked = await askedFor(world, doctor);
    expect(asked.factors).toEqual(['totp', 'webauthn']);
    expect((await prove(world, asked.mfaToken, { totp: totpAt(seed, world.clock.now()) })).status).toBe(200);
  });
});
