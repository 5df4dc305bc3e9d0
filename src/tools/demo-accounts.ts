import type { Person, Stage } from './demo-stage';
import { HttpClient } from './http-client';

export interface Activation {
  readonly activation: { readonly accountId: string; readonly code: string };
}

export interface Institutions {
  readonly founder: Person;
  readonly hospital: Person;
  readonly otherHospital: Person;
}

/** Those who registered themselves. */
export interface Registered {
  readonly doctor: Person;
  readonly walkIn: Person;
}

const PASSWORDS = {
  founder: 'amber river sings at dawn',
  hospital: 'violet kettle walks north',
  otherHospital: 'seven quiet lamps in snow',
  doctor: 'copper owl reads a map',
  walkIn: 'paper boat under orange sky',
} as const;
const ATTEMPTS = 10;

export async function foundation(stage: Stage): Promise<Institutions> {
  stage.console.step('The first start prints a set-up code; whoever reads it there becomes the founder');
  stage.console.note(`set-up code ${stage.setupCode} (valid for 24 hours, works once; there is no default account)`);
  const login = { username: 'founder', password: PASSWORDS.founder };
  const made = await stage.act<{ id: string }>({
    who: null,
    call: 'POST /setup',
    status: 201,
    as: 'Founder',
    does: 'uses the code',
    request: { json: { code: stage.setupCode, name: 'Founder', ...login } },
  });
  const founder = await stage.login({ id: made.body.id, name: 'Founder', ...login });
  stage.console.step('The founder adds two hospitals; each chooses its login with a one-time code');
  const hospital = await addHospital(stage, founder, 'City Hospital', 'Diyarbakır', 'city.hospital', PASSWORDS.hospital);
  const otherHospital = await addHospital(stage, founder, 'Coast Clinic', 'İzmir', 'coast.clinic', PASSWORDS.otherHospital);
  return { founder, hospital, otherHospital };
}

async function addHospital(stage: Stage, founder: Person, name: string, city: string, username: string, password: string): Promise<Person> {
  const added = await stage.act<Activation>({
    who: founder,
    call: 'POST /hospitals',
    status: 201,
    does: `adds ${name}, ${city}`,
    request: { json: { name, city, country: 'TR' } },
  });
  return stage.activate(name, username, password, added.body.activation);
}

export async function registration(stage: Stage, hospital: Person): Promise<Registered> {
  const doctor = { name: 'Dr. Ada Yılmaz', username: 'dr.ada', password: PASSWORDS.doctor };
  const walkIn = { name: 'Deniz Kaya', username: 'deniz.kaya', password: PASSWORDS.walkIn };
  stage.console.step('A doctor and a patient register themselves; before approval they cannot sign in');
  const cases = [
    [doctor, 'doctor', { specialty: 'Internal medicine', licence: 'TR-114-2231' }],
    [walkIn, 'patient', { birthDate: '1990-05-17', gender: 'female' }],
  ] as const;
  for (const [person, kind, more] of cases) {
    await stage.act({
      who: null,
      call: `POST /auth/register/${kind}`,
      status: 202,
      as: person.name,
      does: `registers as a ${kind}`,
      request: { json: { ...person, ...more, hospitalId: hospital.id } },
    });
    await refusedLogin(stage, person, 'cannot sign in yet');
  }
  stage.console.step('The hospital approves them');
  const queue = await stage.act<{ items: { id: string; name: string; role: string }[] }>({
    who: hospital,
    call: 'GET /accounts?status=PENDING',
    status: 200,
    does: 'sees who waits:',
    shows: ({ items }) => items.map((item) => `${item.name} (${item.role})`).join(', '),
  });
  const idOf = (name: string): string => queue.body.items.find((item) => item.name === name)?.id ?? '';
  for (const { name } of [doctor, walkIn])
    await stage.act({ who: hospital, call: `POST /accounts/${idOf(name)}/approve`, status: 200, does: `approves ${name}` });
  return {
    doctor: await stage.login({ id: idOf(doctor.name), ...doctor }),
    walkIn: await stage.login({ id: idOf(walkIn.name), ...walkIn }),
  };
}

function refusedLogin(
  stage: Stage,
  { name, username, password }: Pick<Person, 'name' | 'username' | 'password'>,
  does: string,
): Promise<unknown> {
  return stage.act({
    who: null,
    call: 'POST /auth/login',
    status: 401,
    code: 'invalid_credentials',
    as: name,
    does,
    request: { json: { username, password } },
  });
}

export async function lockout(stage: Stage, hospital: Person, doctor: Person): Promise<Person> {
  stage.console.step(`${ATTEMPTS} wrong passwords lock the account; the hospital unlocks it`);
  const guesser = new HttpClient(stage.url);
  const statuses: number[] = [];
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const json = { username: doctor.username, password: `wrong guess number ${attempt}` };
    statuses.push((await guesser.send('POST', '/auth/login', { json })).status);
  }
  stage.expect(`somebody guesses: ${ATTEMPTS} × POST /api/v1/auth/login → 401`, new Array(ATTEMPTS).fill(401), statuses);
  await refusedLogin(stage, doctor, 'now even the right password is refused, with the same answer');
  await stage.act({ who: doctor, call: 'GET /auth/me', status: 401, does: 'and the token from before is void' });
  await stage.act<{ items: { name: string }[] }>({
    who: hospital,
    call: 'GET /accounts?status=LOCKED',
    status: 200,
    does: 'sees who is locked:',
    shows: ({ items }) => items.map((item) => item.name).join(', '),
  });
  await stage.act({ who: hospital, call: `POST /accounts/${doctor.id}/unlock`, status: 200, does: `unlocks ${doctor.name}` });
  return stage.login(doctor);
}
