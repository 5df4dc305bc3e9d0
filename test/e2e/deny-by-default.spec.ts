import { CANARY, expectProblem, expectSafe } from '../support/edge-answers';
import { sendRaw } from '../support/raw-http';
import { ROLE_TABLE } from '../support/role-table';
import { allRoutes } from '../support/routes';
import { rowCounts } from '../support/row-counts';
import { createWorld, draftDiagnosis, type World } from '../support/world';

const UNKNOWN_ID = '01990000-0000-7000-8000-000000000000';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LINK', 'SEARCH'];

/** The explicit list: what callers without a token may call. The role table says why. */
const OPEN = new Set(ROLE_TABLE.filter((row) => row.open !== '').map((row) => row.route));
/** Every address of openapi.json, filled in, with the methods that are documented for it. */
const ADDRESSES = [...new Set(allRoutes().map(({ path }) => path))].map((path) => ({
  address: path.replace(/\{[^}]+\}/g, UNKNOWN_ID),
  methods: allRoutes()
    .filter((route) => route.path === path)
    .map(({ method }) => method),
  isOpen: (method: string) => OPEN.has(`${method === 'HEAD' ? 'GET' : method} ${path}`),
}));
const CLOSED = ADDRESSES.filter(({ isOpen, methods }) => !methods.some(isOpen)).map(({ address }) => address);

let world: World;
let before: Record<string, number>;
beforeAll(async () => {
  world = await createWorld();
  before = await rowCounts(world);
});
afterAll(async () => {
  expect(await rowCounts(world)).toEqual(before); // nobody without a token left anything behind
  await world.close();
});

/** Without a token a request gets one of these: 401 where the route is, 404 where nothing is, 400 where the address is no address. */
async function expectClosed(
  statuses: readonly number[],
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<void> {
  const answer = await sendRaw(world.url, { method, path, headers });
  if (!statuses.includes(answer.status)) throw new Error(`${method} ${path} ${JSON.stringify(headers)}: ${answer.status} ${answer.text}`);
  expectSafe(answer);
}

test('SEC-46 the list of open routes names routes of openapi.json only', () => {
  const documented = allRoutes().map(({ method, path }) => `${method} ${path}`);
  expect(documented).toEqual(expect.arrayContaining([...OPEN]));
  expect(CLOSED.length).toBeGreaterThan(50);
});

test('SEC-46 every method on every address of openapi.json: documented and closed 401, not documented 404', async () => {
  // An address can be one of another pattern too: `/auth/factors/totp` is a factor's, by its id.
  const patterns = allRoutes().map(({ method, path }) => ({ method, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`) }));
  for (const { address, isOpen } of ADDRESSES)
    for (const method of METHODS) {
      const asked = method === 'HEAD' ? 'GET' : method;
      const isDocumented = patterns.some((route) => route.method === asked && route.pattern.test(address));
      if (!isOpen(method)) await expectClosed([isDocumented ? 401 : 404], method, address);
    }
}, 60_000);

test('SEC-46 addresses that people guess are not there', async () => {
  const guesses =
    `admin debug env .env .git/config .git/HEAD .svn/entries config config.json graphql actuator actuator/env actuator/heapdump server-status
    console users user accounts.json backup backup.zip db.sqlite ehr.sqlite ehr.sqlite-wal keys keys/root.key internal private swagger.json openapi.json
    api-docs v2/api-docs swagger-ui.html wp-login.php wp-admin phpinfo.php favicon.ico robots.txt sitemap.xml .well-known/security.txt
    .well-known/openid-configuration oauth/token token login logout register health healthz status version info trace dump threaddump heapdump
    logs ehr.log audit.log package.json package-lock.json node_modules dist src main.js .npmrc .ssh/id_rsa etc/passwd ../etc/passwd`.split(
      /\s+/,
    );
  let tried = 0;
  for (const base of ['/', '/api/', '/api/v1/', '/api/v2/', '/fhir/R4/'])
    for (const guess of guesses) {
      tried += 1;
      expectProblem(await sendRaw(world.url, { path: base + guess }), 404, 'not_found');
    }
  expect(tried).toBeGreaterThan(200);
});

describe('SEC-53 no trick of method or path opens a closed route', () => {
  test('SEC-53 other spellings of a path meet the same guard or nothing', async () => {
    const spellings: readonly ((path: string) => string)[] = [
      (path) => `/${path}`,
      (path) => path.replace('/v1/', '/v1//'),
      (path) => `${path}/`,
      (path) => `${path}//`,
      (path) => path.toUpperCase(),
      (path) => path.replace('/v1/', '/V1/'),
      (path) => path.replace('/v1/', '/v1/./'),
      (path) => path.replace('/v1/', '/v1/%2e/'),
      (path) => path.replace('/v1/', '/v1/x/../'),
      (path) => path.replace('/v1/', '/v1/x/%2e%2e/'),
      (path) => path.replace('/v1/', '%2fv1/'),
      (path) => path.replace(/[a-z]$/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
      (path) => path.replace(/[a-z](?=[a-z]*$)/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
      (path) => `${path};a=b`,
      (path) => `${path}%00`,
      (path) => `${path}%20`,
      (path) => `${path}.json`,
      (path) => `${path}?`,
      (path) => `${path}#x`,
      (path) => path.replace(/^/, 'http://elsewhere'),
      (path) => path.replaceAll('/', '\\'),
    ];
    for (const address of CLOSED)
      for (const spell of spellings) for (const method of ['GET', 'POST']) await expectClosed([400, 401, 404], method, spell(address));
  }, 120_000);

  const RENAMED: Record<string, string> = {
    'x-http-method-override': 'DELETE',
    'x-http-method': 'DELETE',
    'x-method-override': 'DELETE',
    'x-original-url': '/health/live',
    'x-rewrite-url': '/health/live',
    'x-original-uri': '/health/live',
    'x-forwarded-prefix': '/health/live',
    'x-forwarded-path': '/health/live',
    'x-forwarded-uri': '/health/live',
    'x-forwarded-host': 'x',
    'x-forwarded-for': '127.0.0.1',
    'x-real-ip': '127.0.0.1',
    'x-middleware-subrequest': 'middleware',
    forwarded: 'for=127.0.0.1;host=localhost',
    via: '1.1 localhost',
    'accept-version': '1.x',
    upgrade: 'h2c',
  };

  test('SEC-53 headers that rename the method, the path or the caller open nothing', async () => {
    for (const [name, value] of Object.entries(RENAMED))
      for (const address of CLOSED) await expectClosed([401, 404], 'GET', address, { [name]: value });
    for (const name of ['_method', 'method', 'access_token', 'token', 'authorization'])
      for (const method of ['GET', 'POST']) await expectClosed([401, 404], method, `/api/v1/auth/me?${name}=${CANARY}`);
  }, 60_000);

  test('SEC-53 nor do they change what a signed-in caller gets', async () => {
    const id = await draftDiagnosis(world.doctorA, world.patientA.id);
    before = await rowCounts(world);
    const authorization = `Bearer ${world.doctorA.api.token}`;
    for (const [name, value] of Object.entries(RENAMED)) {
      const read = await sendRaw(world.url, { path: `/api/v1/records/${id}`, headers: { authorization, [name]: value } });
      expect([name, read.status, read.body['id']]).toEqual([name, 200, id]);
    }
  });
});
