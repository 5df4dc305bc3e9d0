import fc from 'fast-check';
import type { Answer } from '../support/api-client';
import { assertDocumented } from '../support/openapi';
import { type RawRequest, sendRaw } from '../support/raw-http';
import { type Plan, RoleScene } from '../support/role-requests';
import { CALLERS, ROLE_TABLE, type RoleRow } from '../support/role-table';
import { rowCounts } from '../support/row-counts';
import type { Person } from '../support/world';
import { type Draft, mutate, type Mutation, mutations } from './mutations';
import { MARKER } from './naughty';

/** Refusals of the edge, which come before any route and are documented for none. */
const OF_THE_EDGE = [404, 413, 414, 415, 431];
/** Access tokens live for ten minutes. */
const SCENE_MS = 240_000;
const ANSWER_MS = 20_000;

export interface WalkOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Requests to one operation in one round. */
  readonly runs: number;
  /** Only this row of the role table: `POST /api/v1/patients`. */
  readonly operation?: string;
  /** Where fast-check found a failure, to try that request again. */
  readonly path?: string;
  readonly tell?: (line: string) => void;
}
export interface WalkSummary {
  requests: number;
  /** Operations of the role table that were tried. */
  readonly operations: Set<string>;
  readonly statuses: Map<number, number>;
  readonly failures: string[];
}

/** Sends valid requests of every operation with changes, and holds each answer against what must always be true. */
export class Walker {
  private scene!: RoleScene;
  private sceneUntil = 0;
  private before: Record<string, number> = {};
  readonly summary: WalkSummary = { requests: 0, operations: new Set(), statuses: new Map(), failures: [] };

  constructor(private readonly options: WalkOptions) {}

  /** Rounds over all operations until the time is over; each round has a seed of its own. */
  async run(): Promise<WalkSummary> {
    const { seed, seconds, operation, path } = this.options;
    const rows = ROLE_TABLE.filter(({ route }) => operation === undefined || route === operation);
    await this.newScene(); // which is no part of the time
    const until = Date.now() + seconds * 1_000;
    try {
      for (let round = 0; Date.now() < until && (path === undefined || round === 0); round += 1)
        for (const row of shuffled(rows, seed + round)) {
          if (Date.now() >= until) break;
          await this.walk(row, path === undefined ? seed + round * 1_000 + ROLE_TABLE.indexOf(row) : seed, until);
        }
    } finally {
      await this.scene.world.close();
    }
    return this.summary;
  }

  private async walk(row: RoleRow, seed: number, until: number): Promise<void> {
    await this.freshScene(row);
    const name = `${row.route}${row.about === '' ? '' : ` (${row.about})`}`;
    const target = await this.target(row);
    this.before = await rowCounts(this.scene.world);
    const property = fc.asyncProperty(mutations(target.draft.body !== undefined), async (changes) => {
      if (await this.send(target.draft, changes)) Object.assign(target, await this.target(row));
    });
    const { path, runs } = this.options;
    const result = await fc.check(property, {
      seed,
      ...(path === undefined ? {} : { path }),
      numRuns: runs,
      interruptAfterTimeLimit: Math.max(1, until - Date.now()),
      markInterruptAsFailure: false,
      endOnFailure: false,
    });
    this.summary.operations.add(row.route);
    if (!result.failed || result.counterexample === null) return; // without an example its time was over before the first request
    const why = result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance);
    const failure = `${name}: ${why}\n  ${JSON.stringify(result.counterexample)}\n  again: npm run fuzz -- --seed ${seed} --path ${result.counterexamplePath} --operation '${row.route}'`;
    this.summary.failures.push(failure);
    this.options.tell?.(failure);
    this.sceneUntil = 0; // what failed may have left the scene broken
  }

  /** A scene in which everybody is still signed in: some operations lock, close or sign out. */
  private async freshScene(row: RoleRow): Promise<void> {
    if (Date.now() < this.sceneUntil) {
      const who = this.person(row, {});
      if (who === undefined || (await who.api.get('/auth/me')).status === 200) return;
    }
    const former = this.scene;
    await this.newScene();
    await former.world.close();
  }

  private async newScene(): Promise<void> {
    this.scene = await RoleScene.create();
    this.sceneUntil = Date.now() + SCENE_MS;
  }

  private callerOf(row: RoleRow) {
    return CALLERS.find((caller) => row.expected[caller] < 300) ?? 'nobody';
  }

  private person(row: RoleRow, plan: Pick<Plan, 'as'>): Person | undefined {
    const caller = this.callerOf(row);
    return plan.as ?? (caller === 'nobody' ? undefined : this.scene.people[caller]);
  }

  /** A valid request on a target of its own. */
  private async target(row: RoleRow): Promise<{ draft: Draft }> {
    const plan = await this.scene.plan(row.route, row.about, this.callerOf(row));
    const who = this.person(row, plan);
    const [method = ''] = row.route.split(' ');
    const raw = plan.options?.raw;
    const body = raw ?? (plan.body === undefined ? undefined : JSON.stringify(plan.body));
    const headers = {
      ...(who === undefined ? {} : { authorization: `Bearer ${who.api.token}` }),
      ...(body === undefined || raw !== undefined ? {} : { 'content-type': 'application/json' }),
      ...plan.options?.headers,
    };
    const path = plan.path.startsWith('//') ? plan.path.slice(1) : `/api/v1${plan.path}`;
    this.before = await rowCounts(this.scene.world);
    return { draft: { method, path, headers, body } };
  }

  /** True when the request was accepted, so that its target is used up. @throws Error that names the rule which does not hold */
  private async send(base: Draft, changes: readonly Mutation[]): Promise<boolean> {
    const draft = mutate(base, changes);
    const answer = await Promise.race([sendRaw(this.scene.world.url, sendable(draft)), late()]);
    this.summary.requests += 1;
    const { status } = answer;
    this.summary.statuses.set(status, (this.summary.statuses.get(status) ?? 0) + 1);
    const after = await rowCounts(this.scene.world);
    const isDone = status < 400;
    if (!isDone) assertRefusal(draft, answer);
    if (!isDone && JSON.stringify(after) !== JSON.stringify(this.before))
      throw new Error(`${status} left rows behind: ${differences(this.before, after)}`);
    this.before = after;
    return isDone;
  }
}

/** With its length: by itself Node's client sends none with a GET or a HEAD. */
function sendable({ body, headers, ...rest }: Draft): RawRequest {
  return body === undefined
    ? { ...rest, headers }
    : { ...rest, headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) }, body };
}

function assertRefusal({ method, path }: Draft, answer: Answer): void {
  const { status, text, headers } = answer;
  const isBackPressure = status === 503 && headers.get('retry-after') !== null;
  if (status >= 500 && !isBackPressure) throw new Error(`${status}: ${text}`);
  if (text.includes(MARKER) || [...headers.values()].some((value) => value.includes(MARKER)))
    throw new Error(`repeats what was sent: ${text}`);
  if (/node_modules|\bat \/|SQLITE|typeorm|fastify/i.test(text)) throw new Error(`says what it is made with: ${text}`);
  if (method === 'HEAD') return;
  // C2SP names the type of one answer of a witness.
  const isTlog = path.startsWith('/witness/') && status === 409;
  if (!isTlog && headers.get('content-type') !== 'application/problem+json; charset=utf-8')
    throw new Error(`${status} is no problem: ${text}`);
  if (!OF_THE_EDGE.includes(status)) assertDocumented(method, path, answer);
}

function differences(before: Record<string, number>, after: Record<string, number>): string {
  return Object.keys(after)
    .filter((table) => after[table] !== before[table])
    .map((table) => `${table} ${before[table]} → ${after[table]}`)
    .join(', ');
}

function late(): Promise<never> {
  return new Promise((_resolve, reject) => setTimeout(() => reject(new Error('no answer')), ANSWER_MS).unref());
}

/** In another order each round, so that a short run meets all operations sooner or later. */
function shuffled<T>(list: readonly T[], seed: number): T[] {
  return fc.sample(fc.shuffledSubarray([...list], { minLength: list.length }), { seed, numRuns: 1 })[0] ?? [];
}
