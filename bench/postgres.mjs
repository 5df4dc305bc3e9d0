/** P10: two of our processes on one PostgreSQL (fsync on) ÷ pgbench that inserts the same rows into tables of the same make, at 16 clients. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Meter, spread } from './measure.mjs';
import { DIAGNOSIS, OurServer } from './ours.mjs';
import { scratch } from './processes.mjs';
import { median } from './statistics.mjs';

const CLIENTS = 16;
const CONNECTIONS = 32;
const TABLES = ['record', 'ledger_content', 'ledger_block', 'log_pending', 'log_leaf', 'audit_event', 'ledger_chain'];
const require = createRequire(import.meta.url);

/** As the tests start one. Null: no PostgreSQL with pgbench is installed. */
function startServer() {
  require('../tools/swc-register.cjs');
  const { findPostgres } = require('../test/support/find-postgres.ts');
  const { startPostgres } = require('../test/support/postgres-server.ts');
  const found = findPostgres();
  return found && existsSync(join(found.bin, 'pgbench')) ? { binaries: found.bin, ...startPostgres(found) } : null;
}

/** Tables of pgbench's own: columns, defaults, keys and indexes of ours, no triggers and no rows but the heads. */
async function prepareTables(client) {
  await client.query('CREATE SCHEMA pgbench');
  for (const table of TABLES) await client.query(`CREATE TABLE pgbench.${table} (LIKE public.${table} INCLUDING ALL)`);
  await client.query('CREATE SEQUENCE pgbench.seal');
  await client.query(
    `INSERT INTO pgbench.ledger_chain SELECT decode(lpad(n::text, 32, '0'), 'hex'), lpad(n::text, 36, '0'), lpad('1', 36, '0'), 0, decode(lpad('', 64, '0'), 'hex') FROM generate_series(0, ${CLIENTS - 1}) n`,
  );
}

/** The script with literals as long as what our server stored. */
async function scriptOf(client) {
  const { rows } = await client.query(
    `SELECT length(c."ciphertext") AS ciphertext, length(c."recordKey") AS recordkey, length(b."header") AS header, length(b."attestation") AS attestation
     FROM ledger_content c JOIN ledger_block b ON b."recordId" = c."recordId" ORDER BY b."height" DESC LIMIT 1`,
  );
  const bytes = (length) => `'\\x${'5a'.repeat(length)}'`;
  const [{ ciphertext, recordkey, header, attestation }] = rows;
  const literals = {
    ciphertext: bytes(ciphertext),
    recordkey: bytes(recordkey),
    header: bytes(header),
    attestation: `'${'x'.repeat(attestation)}'`,
  };
  const text = readFileSync(new URL('./pgbench.sql', import.meta.url), 'utf8');
  return text.replace(/:(ciphertext|recordkey|header|attestation)\b/g, (_, name) => literals[name]);
}

/** Transactions a second. */
async function pgbench({ binaries, url }, script, seconds) {
  const [, user, folder] = /^postgres:\/\/(\w+)@\/bench\?host=(.*)$/.exec(url('bench'));
  const args = ['-n', '-M', 'prepared', '-f', script, '-c', String(CLIENTS), '-j', '2', '-T', String(seconds), 'bench'];
  const env = { ...process.env, PGHOST: decodeURIComponent(folder), PGUSER: user, PGOPTIONS: '-c search_path=pgbench' };
  const { stdout } = await promisify(execFile)(join(binaries, 'pgbench'), args, { env });
  if (!/number of failed transactions: 0 /.test(stdout)) throw new Error(`pgbench: ${stdout}`);
  return Number(/tps = ([\d.]+)/.exec(stdout)[1]);
}

/** Drafts through one server; then both seal at once, each its half of the drafts. */
async function sealOnBoth(servers, meters) {
  const [first] = servers;
  const jobOf = async (server) => {
    const headers = { authorization: `Bearer ${await first.token('doctor')}` };
    return { url: server.url, pid: server.pid, connections: CONNECTIONS, headers };
  };
  const halves = await Promise.all(
    servers.map(async (server, index) => {
      const path = (at) => `/api/v1/patients/${first.patients[at % first.patients.length]}/diagnoses`;
      const requests = spread(CONNECTIONS, (at) => ({ method: 'POST', path: path(at), body: DIAGNOSIS }));
      const amount = meters[index].amount('seal', CONNECTIONS);
      return (await meters[index].measure('draft', { ...(await jobOf(server)), requests, amount, expect: 201, keep: 'id' })).kept;
    }),
  );
  const started = performance.now();
  const measures = await Promise.all(
    servers.map(async (server, index) => {
      const requests = halves[index].map((id) => ({ method: 'POST', path: `/api/v1/records/${id}/seal?wait=sealed` }));
      return meters[index].measure('seal', { ...(await jobOf(server)), requests, amount: requests.length, expect: 201 });
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  return {
    rate: halves.flat().length / seconds,
    cpuUs: median(measures.map(({ cpuUs }) => cpuUs)),
    p99: Math.max(...measures.map(({ p99 }) => p99)),
  };
}

/** @returns the rounds, or null without PostgreSQL on this machine */
export async function measurePostgres({ dir, dist, quick, rounds, note }) {
  const postgres = startServer();
  if (!postgres) return null;
  const { Client } = require('pg');
  const folder = scratch(join(dir, 'pg'));
  mkdirSync(folder);
  const connect = async (database) => {
    const client = new Client({ connectionString: postgres.url(database) });
    await client.connect();
    return client;
  };
  try {
    const admin = await connect('postgres');
    await admin.query('CREATE DATABASE bench');
    const { rows } = await admin.query(
      `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, version()`,
    );
    await admin.end();
    if (rows[0].fsync !== 'on' || rows[0].commit !== 'on') throw new Error('PostgreSQL does not run durably');
    const settings = { DATABASE_URL: postgres.url('bench') };
    const first = await new OurServer(folder, dist, settings).start();
    await first.setUp(quick ? 8 : 32);
    const second = await new OurServer(folder, dist, { ...settings, LOG_DIR: join(folder, 'logs-2') }).start();
    const servers = [first, second];
    const seconds = quick ? 1 : 3;
    const meters = servers.map(() => new Meter(seconds / 4));
    await sealOnBoth(servers, meters);
    for (const meter of meters) meter.seconds = seconds;
    const client = await connect('bench');
    await prepareTables(client);
    const script = join(folder, 'pgbench.sql');
    writeFileSync(script, await scriptOf(client));
    await client.end();
    const measured = [];
    for (let index = 0; index < rounds; index += 1) {
      note(`PostgreSQL, round ${index + 1} of ${rounds}`);
      measured.push({ ours: await sealOnBoth(servers, meters), pgbench: await pgbench(postgres, script, seconds) });
    }
    for (const meter of meters) meter.stop();
    for (const server of servers) await server.stop();
    return { version: rows[0].version.split(' ')[1], rounds: measured };
  } finally {
    postgres.stop();
  }
}

/** @returns {import('./report.mjs').Row[]} */
export function postgresRows({ version, rounds }) {
  return [
    {
      id: 'P10',
      metric: `PostgreSQL ${version}, 2 processes, sealed writes, 64 conn ÷ pgbench with the same rows, ${CLIENTS} clients`,
      unit: '/s',
      ours: median(rounds.map((round) => round.ours.rate)),
      floor: median(rounds.map((round) => round.pgbench)),
      ratio: median(rounds.map((round) => round.ours.rate / round.pgbench)),
      goal: 0.4,
      stretch: 0.7,
    },
  ];
}
