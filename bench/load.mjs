/**
 * The load generator: autocannon in a process of its own, so that its work is not on the servers' event loops and its CPU time can be stated apart.
 * Jobs come over IPC, one at a time. Latencies are taken from autocannon's own per-response times, for its histogram knows whole milliseconds only.
 *
 * @typedef {object} Job
 * @property {string} url
 * @property {number} connections
 * @property {number} amount how many requests in all, the same number for each connection; never a time, for autocannon cuts connections off when a
 *   time is over, and what the server then still does would fall into the next measure
 * @property {object} headers of every request
 * @property {{ method: string, path: string, body?: string }[]} requests dealt out to the connections in turn; each connection walks its own share
 * @property {number} expect the one status that is right
 * @property {string} [keep] name of a member of the answers to hand back
 * @property {string[]} [refresh] refresh tokens, one for each connection: each answer gives the token of the next request
 * @property {boolean} [thenSeal] after each answer, seal the record whose id it gave: two requests are one act
 */
import autocannon from 'autocannon';
import { quantile } from './statistics.mjs';

let address = 0;
/** A client address per connection and request slot: our server limits rates by address and keeps a list of hits for each; 4,096 clients stay realistic. */
const forwarded = () => ({ 'x-forwarded-for': `10.77.${(address >> 6) & 63}.${(address++ & 63) + 1}` });

/** @param {Job} job */
function requestsOf(job, index, state) {
  const own = job.requests.filter((_, position) => position % job.connections === index).map((request) => ({ ...request }));
  for (const request of own) {
    request.headers = { ...job.headers, ...forwarded(), ...(request.body ? { 'content-type': 'application/json' } : {}) };
    if (job.keep)
      request.onResponse = (status, body) => {
        if (status === job.expect) state.kept.push(JSON.parse(body)[job.keep]);
      };
  }
  return own;
}

/** Draft and seal as a client does it: the second request needs the answer of the first. */
function draftThenSeal(job, index, state) {
  return requestsOf(job, index, state).flatMap((draft) => [
    {
      ...draft,
      setupRequest: (request, context) => {
        context.started = performance.now();
        return request;
      },
      onResponse: (status, body, context) => {
        context.id = JSON.parse(body).id;
      },
    },
    {
      method: 'POST',
      headers: { ...job.headers, ...forwarded() },
      setupRequest: (request, context) => ({ ...request, path: `/api/v1/records/${context.id}/seal?wait=sealed` }),
      onResponse: (status, _body, context) => {
        if (status === 201) state.acts.push(performance.now() - context.started);
      },
    },
  ]);
}

/** A session that goes on: a refresh token works once. */
function refreshing(job, index) {
  let token = job.refresh[index];
  const headers = { ...job.headers, ...forwarded(), 'content-type': 'application/json' };
  return [
    {
      method: 'POST',
      path: '/api/v1/auth/refresh',
      headers,
      setupRequest: (request) => ({ ...request, body: JSON.stringify({ refreshToken: token }) }),
      onResponse: (status, body) => {
        if (status === job.expect) token = JSON.parse(body).refreshToken;
      },
    },
  ];
}

const planOf = (job) => (job.thenSeal ? draftThenSeal : job.refresh ? refreshing : requestsOf);

/** @param {Job} job */
async function run(job) {
  const state = { kept: [], acts: [] };
  const times = [];
  const wrong = new Map();
  let index = 0;
  const cpu = process.cpuUsage();
  let last = 0;
  const started = performance.now();
  const instance = autocannon({
    url: job.url,
    connections: job.connections,
    amount: job.amount,
    timeout: 30,
    sampleInt: 50,
    skipAggregateResult: true,
    setupClient: (client) => client.setRequests(planOf(job)(job, index++, state)),
  });
  let first = 0;
  instance.on('response', (_client, status, _bytes, time) => {
    last = performance.now();
    if (first === 0) first = last - time;
    if (status !== job.expect) return void wrong.set(status, (wrong.get(status) ?? 0) + 1);
    times.push(time);
  });
  const errors = [];
  instance.on('reqError', (error) => errors.push(error.message));
  await new Promise((resolve, reject) => {
    instance.on('done', resolve);
    instance.on('error', reject);
  });
  const { user, system } = process.cpuUsage(cpu);
  const sorted = (job.thenSeal ? state.acts : times).sort((a, b) => a - b);
  return {
    count: sorted.length,
    requests: times.length,
    seconds: (last - (first || started)) / 1000,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    wrong: [...wrong],
    errors: errors.slice(0, 5),
    cpuMs: (user + system) / 1000,
    kept: state.kept,
  };
}

process.on('message', async ({ number, job }) => {
  try {
    process.send?.({ number, result: await run(job) });
  } catch (error) {
    process.send?.({ number, error: error.stack });
  }
});
process.on('disconnect', () => process.exit(0));
