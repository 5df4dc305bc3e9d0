import { readConfig } from '../../src/config/config';
import { addTotp, again, claimsOf } from '../support/second-factors';
import { startTestApp, type TestApp } from '../support/test-app';
import { login, PASSWORD, type Person } from '../support/world';

let app: TestApp;
let founder: Person;
beforeAll(async () => {
  app = await startTestApp({ SECOND_FACTOR_ROLES: 'ADMIN, HOSPITAL' });
  const setup = { code: app.setupCode, name: 'Founder', username: 'founder', password: PASSWORD };
  const { id } = (await app.anonymous.post<{ id: string }>('/setup', setup)).body;
  founder = await login(app, id, 'founder');
});
afterAll(() => app.close());

test('SEC-44 whose role needs a second factor and has none can add one, and nothing else', async () => {
  expect(claimsOf(founder.api.token)['acr']).toBe('enrol');
  for (const [method, path, body] of [
    ['GET', '/accounts'],
    ['POST', '/accounts', { role: 'ADMIN', name: 'Another' }],
    ['POST', '/hospitals', { name: 'City Hospital', city: 'İzmir', country: 'TR' }],
    ['GET', '/auth/sessions'],
    ['DELETE', '/auth/sessions'],
    ['POST', '/auth/password', { currentPassword: PASSWORD, newPassword: 'seven quiet lamps in snow' }],
    ['GET', '/audit/events'],
    ['GET', '/patients'],
  ] as const) {
    const answer = await founder.api.send<{ code: string }>(method, path, body);
    expect([path, answer.status, answer.body.code]).toEqual([path, 403, 'second_factor_required']);
  }
  const forbidden = await founder.api.get<{ code: string }>('/doctors/me/worklist');
  expect([forbidden.status, forbidden.body.code]).toEqual([403, 'forbidden']); // the role never may
  expect((await founder.api.get('/auth/me')).status).toBe(200);
  expect((await founder.api.get<{ required: boolean }>('/auth/factors')).body).toEqual({ required: true, factors: [], recoveryCodes: 0 });
  const refreshed = await app.anonymous.post<{ accessToken: string }>('/auth/refresh', { refreshToken: founder.refreshToken });
  expect((await app.anonymous.withToken(refreshed.body.accessToken).get('/accounts')).status).toBe(403);
});

test('SEC-44 with the factor added, the next sign-in opens everything; without it again, the one after does not', async () => {
  const withTotp = await addTotp(app, founder);
  expect((await founder.api.get('/accounts')).status).toBe(403); // this session still rests on the password alone
  const full = await again(app, withTotp);
  expect(claimsOf(full.api.token)['acr']).toBe('mfa');
  expect((await full.api.get('/accounts')).status).toBe(200);
  const auditor = await full.api.post<{ code: string }>('/accounts', { role: 'AUDITOR', name: 'Auditor' });
  await app.anonymous.post('/auth/activate', { code: auditor.body.code, username: 'auditor', password: PASSWORD });
  const other = await login(app, '', 'auditor');
  expect([claimsOf(other.api.token)['acr'], (await other.api.get('/audit/events')).status]).toEqual(['pwd', 200]); // another role
  const { body } = await full.api.get<{ factors: { id: string }[] }>('/auth/factors');
  expect((await full.api.delete(`/auth/factors/${body.factors[0]?.id}`)).status).toBe(204);
  expect(claimsOf((await login(app, founder.id, 'founder')).api.token)['acr']).toBe('enrol');
});

test('SEC-27 eight characters are enough beside a factor that the role cannot be without, and not beside one that may be removed', async () => {
  const full = await again(app, await addTotp(app, await login(app, founder.id, 'founder')));
  const change = (person: Person, newPassword: string) => person.api.post('/auth/password', { currentPassword: PASSWORD, newPassword });
  expect((await change(full, 'k3v wq7')).status).toBe(422);
  const auditor = await login(app, '', 'auditor');
  const free = await again(app, await addTotp(app, auditor));
  expect((await change(free, 'k3v wq7z')).status).toBe(422);
  expect((await change(full, 'k3v wq7z')).status).toBe(204);
});

test('SEC-44 settings that would bind keys to nothing, or policies for nobody, stop the start', () => {
  for (const settings of [
    { SECOND_FACTOR_ROLES: 'FOUNDER' },
    { SECOND_FACTOR_ROLES: 'admin' },
    { WEBAUTHN_RP_ID: 'ehr.example' }, // the default origin is not of it
    { WEBAUTHN_RP_ID: 'ehr.example', WEBAUTHN_ORIGINS: 'https://evil-ehr.example' },
    { WEBAUTHN_RP_ID: 'ehr.example', WEBAUTHN_ORIGINS: 'http://ehr.example' },
    { WEBAUTHN_RP_ID: 'ehr.example', WEBAUTHN_ORIGINS: 'https://ehr.example/' },
    { WEBAUTHN_RP_ID: 'ehr.example', WEBAUTHN_ORIGINS: '' },
    { WEBAUTHN_RP_ID: ' ' },
    { TOKEN_CLIENT_ID: '' },
  ])
    expect(() => readConfig(settings)).toThrow(/^(SECOND_FACTOR_ROLES|WEBAUTHN_ORIGINS|WEBAUTHN_RP_ID|TOKEN_CLIENT_ID): must /);
  const { webauthn } = readConfig({
    WEBAUTHN_RP_ID: 'ehr.example',
    WEBAUTHN_ORIGINS: 'https://ehr.example, https://app.ehr.example:8443',
  }).login;
  expect(webauthn).toEqual({ rpId: 'ehr.example', origins: ['https://ehr.example', 'https://app.ehr.example:8443'] });
});
