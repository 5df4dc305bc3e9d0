/** What `npm run bench -- …` was asked to do: pure, but for the words it refuses. */
import { parseArgs } from 'node:util';

/** The parts of a run, in their order. */
export const PARTS = {
  seal: 'drafts and seals, 1 to 256 connections, many patients and a hot one (P1, P2)',
  naive: 'the naive way beside it (P9)',
  read: 'decrypted reads with trail (P3)',
  list: 'a chart of 20 records, and a search by name',
  trivial: 'authentication and little else (P4)',
  login: 'sign-in and refresh',
  import: 'records a second by import',
  verify: 'chain verification and full audit (P5, P6)',
  start: 'cold start and memory (P8)',
  statements: 'SQL statements of an act (P4)',
  log: 'long chains, large logs, proofs (P11)',
  postgres: 'two processes on PostgreSQL ÷ pgbench (P10)',
  access: 'access decisions ÷ cedar-wasm (P12)',
};

export const USAGE = `npm run bench -- [--quick] [--only PART,…] [--profile] [--report]
npm run bench -- --growth [RECORDS,…] [--fresh]
npm run bench -- --render

  --quick      short phases, few connection counts: one or two minutes
  --only       some of: ${Object.keys(PARTS).join(', ')}
  --profile    CPU profiles and SQL times of the seal and the read path
  --report     when the run is over, writes docs/performance.md from it and from the newest growth run
  --growth     seals records on and on, and measures on the way; goes on where the last one stopped. Default: 10000,100000
  --fresh      forgets the growth run that is there
  --render     only writes docs/performance.md from the newest results
`;

const DEFAULT_GROWTH = [10_000, 100_000];

/** @throws Error that says what is wrong */
export function optionsOf(argv) {
  const flags = Object.fromEntries(
    ['quick', 'profile', 'report', 'growth', 'fresh', 'render', 'help', 'log'].map((name) => [name, { type: 'boolean', default: false }]),
  );
  const { values, positionals } = parseArgs({ args: argv, options: { ...flags, only: { type: 'string' } }, allowPositionals: true });
  const only = values.log ? ['log'] : values.only?.split(',');
  for (const part of only ?? [])
    if (!Object.hasOwn(PARTS, part)) throw new Error(`--only: there is no ${part}; there are ${Object.keys(PARTS).join(', ')}`);
  if (positionals.length > 0 && !values.growth) throw new Error(`what is ${positionals[0]}?`);
  const sizes = positionals.flatMap((text) => text.split(',')).map(Number);
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 1000)) throw new Error('--growth: numbers of records from 1000');
  if (values.report && only) throw new Error('--report needs a whole run');
  return {
    ...values,
    parts: new Set(only ?? Object.keys(PARTS)),
    sizes: (sizes.length > 0 ? sizes : DEFAULT_GROWTH).sort((a, b) => a - b),
  };
}
