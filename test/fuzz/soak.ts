import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { omit } from '../support/omit';
import { BROKEN_REQUESTS, sendBytes, sendRaw } from '../support/raw-http';
import { allRoutes } from '../support/routes';
import { prepareSite, startServer } from '../support/servers';
import { type Draft, mutate, mutations } from './mutations';

const AT_ONCE = 16;
const SAMPLES = 20;

interface Sample {
  readonly rssMb: number;
  readonly files: number;
}
export interface SoakReport {
  readonly requests: number;
  /** By status; 0 is a connection that was closed without one. */
  readonly statuses: Record<string, number>;
  /** Medians of the second quarter and of the last. */
  readonly early: Sample;
  readonly late: Sample;
}

/** Resident memory and open files of a process (Linux). */
function sampleOf(pid: number): Sample {
  const kib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return { rssMb: kib / 1024, files: readdirSync(`/proc/${pid}/fd`).length };
}

function median(samples: readonly Sample[]): Sample {
  const middle = (of: (sample: Sample) => number) => samples.map(of).sort((a, b) => a - b)[samples.length >> 1] ?? 0;
  return { rssMb: Math.round(middle(({ rssMb }) => rssMb)), files: middle(({ files }) => files) };
}

/** Hostile requests of all kinds, those of one seed the same each time: changed ones to every address, and bytes that are no request. */
function attacks(token: string, seed: number, count: number): ((url: string) => Promise<number>)[] {
  const routes = allRoutes().filter(({ path }) => !/\/auth\/(logout|password)$/.test(path)); // they would end the session of the rest
  const bases = routes.map(({ method, path, operation }): Draft => ({
    method,
    path: path.replace(/\{[^}]+\}/g, 'me'),
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': Object.keys(operation.requestBody?.content ?? {})[0] ?? 'application/json',
    },
    body: operation.requestBody
      ? '{"username":"somebody","text":"x","resource":{"resourceType":"Condition","code":{"text":"x"}}}'
      : undefined,
  }));
  const changes = fc.sample(mutations(true), { seed, numRuns: count });
  return changes.map((list, n) => {
    const bytes = BROKEN_REQUESTS[n % BROKEN_REQUESTS.length]?.[1] ?? '';
    if (n % 10 === 0) return async (url) => Number((await sendBytes(url, bytes)).split(' ')[1] ?? 0);
    const draft = mutate(bases[n % bases.length] as Draft, list);
    const length = draft.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(draft.body)) };
    const headers = { ...omit(draft.headers, n % 3 === 0 ? 'authorization' : ''), ...length };
    return async (url) => (await sendRaw(url, { ...draft, headers } as Draft & { body: string })).status;
  });
}

/** Sends so many hostile requests to a server in a process of its own, and says what became of it. */
export async function soak(count: number, seed: number): Promise<SoakReport> {
  const site = await prepareSite('soak');
  const server = await startServer(site.dir, { PORT: String(site.port), ACCESS_TOKEN_SECONDS: '600' });
  const statuses: Record<string, number> = {};
  const samples: Sample[] = [];
  try {
    const queue = attacks(site.doctor.api.token ?? '', seed, count);
    const every = Math.ceil(count / SAMPLES);
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < queue.length) {
        const mine = next;
        next += 1;
        const status = (await queue[mine]?.(server.url).catch(() => 0)) ?? 0;
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (mine % every === every - 1) samples.push(sampleOf(server.pid));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const ready = await sendRaw(server.url, { path: '/health/ready' });
    if (ready.status !== 200) throw new Error(`after the requests the server answers ${ready.status}`);
    await sleep(1_000);
    samples.push(sampleOf(server.pid));
  } finally {
    await server.stop();
    rmSync(site.dir, { recursive: true, force: true });
  }
  const half = samples.slice(samples.length >> 1);
  return {
    requests: count,
    statuses,
    early: median(samples.slice(samples.length >> 2, samples.length >> 1)),
    late: median(half.slice(half.length >> 1)),
  };
}

/** What must not be: faults of the server, connections without an answer, growth. As many files as connections at once may come and go. */
export function complaintsOf({ requests, statuses, early, late }: SoakReport): string[] {
  const faults = Object.keys(statuses).filter((status) => Number(status) >= 500);
  return [
    ...faults.map((status) => `${statuses[status]} answers ${status}`),
    ...((statuses[0] ?? 0) > requests / 100 ? [`${statuses[0]} requests without an answer`] : []),
    ...(late.files > early.files + AT_ONCE + 8 ? [`open files: ${early.files}, then ${late.files}`] : []),
    ...(late.rssMb > early.rssMb * 1.3 + 40 ? [`memory: ${early.rssMb} MB, then ${late.rssMb}`] : []),
  ];
}
