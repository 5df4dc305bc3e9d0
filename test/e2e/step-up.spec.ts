import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from '../support/api-client';
import { RoleScene } from '../support/role-requests';
import { CALLERS, ROLE_TABLE } from '../support/role-table';

const MINUTE = 60_000;

let scene: RoleScene;
beforeAll(async () => {
  scene = await RoleScene.create();
});
afterAll(async () => {
  await scene.world.expectChainsIntact();
  await scene.world.close();
});

/** Acts that a stolen or forgotten access token must not do. */
const RECENT_ONLY = [
  'POST /api/v1/accounts',
  'POST /api/v1/accounts/{id}/approve',
  'POST /api/v1/accounts/{id}/unlock',
  'POST /api/v1/accounts/{id}/code',
  'POST /api/v1/patients/{id}/erasures',
  'POST /api/v1/erasures/{id}/approval',
  'POST /api/v1/ledger/keys',
  'POST /api/v1/ledger/keys/{kid}/revocation',
  'GET /api/v1/ledger/patients/{id}/export',
];

function expectChallenge(answer: Answer): void {
  expect([answer.status, answer.body['code']]).toEqual([401, 'insufficient_user_authentication']);
  expect(answer.headers.get('www-authenticate')).toBe(
    'Bearer error="insufficient_user_authentication", error_description="Sign in again", max_age="300"',
  );
}

test('SEC-45 the document names the routes that need a recent sign-in', () => {
  const document = JSON.parse(readFileSync(join(__dirname, '../../openapi.json'), 'utf8')) as {
    paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>;
  };
  const marked = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([, { responses }]) => responses['401']?.description.includes('insufficient_user_authentication'))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
  expect(marked.sort()).toEqual([...RECENT_ONLY].sort());
});

const rows = ROLE_TABLE.filter(
  ({ route, expected }) => RECENT_ONLY.includes(route) && Object.values(expected).some((status) => status < 400),
);
test.each(rows.map((row) => [row.route, row] as const))('SEC-45 %s: an old sign-in is asked to come back', async (_name, row) => {
  const { clock, foundations } = scene.world;
  const [method = ''] = row.route.split(' ');
  const caller = CALLERS.find((one) => row.expected[one] < 400);
  if (!caller || caller === 'nobody') throw new Error('nobody may do it');
  const plan = await scene.plan(row.route, row.about, caller);
  const old = plan.as ? plan : { ...plan, as: await scene.session(caller) };
  const send = async (as = old.as): Promise<Answer> => scene.send(method, as ? { ...plan, as } : plan, caller);
  clock.advance(5 * MINUTE + 1000);
  try {
    const refused = await send();
    expectChallenge(refused);
    const trail = await foundations.sources.reader.query<{ reason: string; actorId: string }[]>(
      'SELECT * FROM audit_event WHERE "requestId" = ?',
      [refused.headers.get('x-request-id')],
    );
    expect(trail).toEqual([expect.objectContaining({ reason: 'old_sign_in', actorId: old.as?.id })]);
    const fresh = old.as && (await scene.again(old.as));
    expect((await send(fresh)).status).toBe(row.expected[caller]);
  } finally {
    clock.advance(-5 * MINUTE - 1000);
  }
});
