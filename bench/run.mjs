/** `npm run bench [-- …]`: starts what it measures, prints a table, writes bench/results/<date>.json, leaves nothing behind. See bench/README.md. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessRows, measureAccess } from './access.mjs';
import { auditRounds, coldStarts, countStatements, verifyRounds } from './chain.mjs';
import { writeDocument } from './document.mjs';
import { grow } from './growth.mjs';
import { heading, hostOf, RESULTS, ROOT, snapshot, yardstick } from './host.mjs';
import { profiles, statementTimes } from './hotspots.mjs';
import { logRows, measureLog } from './log.mjs';
import { optionsOf, USAGE } from './options.mjs';
import { OurServer } from './ours.mjs';
import { measurePostgres, postgresRows } from './postgres.mjs';
import { endAll, rssMb, scratch } from './processes.mjs';
import { loadShares, roundRows, startRows, statementRows, table, verifyRows } from './report.mjs';
import { Rounds } from './rounds.mjs';

const QUICK = { rounds: 3, seconds: 0.4, connections: [64], patients: 8, named: 60, blocks: 1500, imported: 200, starts: 3 };
const FULL = { rounds: 5, seconds: 1, connections: [64, 1, 16, 256], patients: 32, named: 500, blocks: 2900, imported: 1000, starts: 5 };
const IN_ROUNDS = ['seal', 'naive', 'read', 'list', 'trivial', 'login', 'import'];
const ON_THE_SERVER = [...IN_ROUNDS, 'verify', 'start', 'statements'];

const say = (line) => process.stdout.write(`${line}\n`);
const note = (line) => process.stderr.write(`  ${(performance.now() / 1000).toFixed(0).padStart(3)} s  ${line}\n`);

/** All that is asked of one server over HTTP, and of the data that this leaves. */
async function onTheServer({ dir, dist, plan, options, stamp }) {
  const { parts } = options;
  const ours = await new OurServer(dir, dist).start();
  const firstStartMs = ours.startMs;
  const startFloor = () => yardstick('floor.mjs', [join(dir, 'floor.sqlite'), dist]);
  const naive = () =>
    yardstick(
      'naive/app.ts',
      [join(dir, 'naive.sqlite'), join(dist, 'src/database/sqlite-options.js')],
      ['-r', './tools/swc-register.cjs'],
    );
  const yardsticks = {
    floor: await startFloor(),
    bare: await yardstick('bare.mjs'),
    naive: parts.has('naive') ? await naive() : undefined,
  };
  const { floor } = yardsticks;
  const host = await hostOf(ours, floor, dir);
  say(heading(host).join('\n'));
  await ours.setUp(plan.patients, parts.has('list') ? plan.named : 0);
  note('set up; warming up');
  const rounds = new Rounds(ours, yardsticks, plan.seconds / 4); // warms the servers and finds the paces
  await rounds.fillCharts();
  await rounds.floorWrite(64, false);
  const measured = new Set(IN_ROUNDS.filter((part) => parts.has(part)));
  if (measured.size > 0) await rounds.round(measured, plan.connections, plan.imported);
  rounds.seconds = plan.seconds;
  const results = [];
  for (let index = 0; measured.size > 0 && index < plan.rounds; index += 1) {
    note(`round ${index + 1} of ${plan.rounds}`);
    results.push(await rounds.round(measured, plan.connections, plan.imported));
  }
  const loaded = { ours: rssMb(ours.pid), floor: rssMb(floor.pid) };
  const texts = options.profile ? await profiles(rounds, join(RESULTS, stamp)) : [];
  for (const server of Object.values(yardsticks)) await server?.stop();
  const raw = { host, firstStartMs, rounds: results, loaded };
  const rows = roundRows(results);
  if (parts.has('verify')) {
    note(`sealing a chain of ${plan.blocks} blocks by import, verification`);
    const long = await ours.importChain(plan.blocks);
    raw.chain = await verifyRounds(ours, long, plan.rounds);
    raw.audits = await auditRounds(ours, plan.rounds);
    rows.push(...verifyRows({ ...raw, cores: host.cores }));
  }
  if (parts.has('start')) {
    note('cold starts');
    raw.cold = await coldStarts(ours, startFloor, plan.starts);
    rows.push(...startRows(raw.cold, loaded));
  }
  if (parts.has('statements')) {
    note('statements');
    raw.statements = await countStatements(ours, rounds.sealed[0]);
    rows.push(...statementRows(raw.statements));
    if (options.profile) texts.push(...(await statementTimes(rounds)));
  }
  await ours.stop();
  rounds.stop();
  return { raw: { ...raw, loadShares: loadShares(results) }, rows, texts };
}

/** A run of the parts that were asked for. */
async function bench(options) {
  const { quick, parts } = options;
  const plan = quick ? QUICK : FULL;
  const stamp = new Date().toISOString().replace(/[:.]/g, '-').slice(0, 19);
  const dir = scratch(mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'bjwt-bench-')));
  const dist = snapshot(dir);
  const run = { stamp, quick, plan, parts: [...parts], rows: [] };
  const texts = [];
  if (ON_THE_SERVER.some((part) => parts.has(part))) {
    const part = await onTheServer({ dir, dist, plan, options, stamp });
    Object.assign(run, part.raw);
    run.rows.push(...part.rows);
    texts.push(...part.texts);
  }
  const others = [
    ['access', measureAccess, accessRows, 'cedar-wasm is not installed: P12 is left out'],
    ['postgres', measurePostgres, postgresRows, 'no PostgreSQL on this machine: P10 is left out'],
    ['log', measureLog, logRows],
  ];
  for (const [name, measure, rowsOf, missing] of others) {
    if (!parts.has(name)) continue;
    note(name);
    run[name] = await measure({ dir: scratch(mkdtempSync(join(dir, name))), dist, quick, rounds: plan.rounds, note });
    if (run[name]) run.rows.push(...rowsOf(run[name]));
    else say(missing);
  }
  say(`\n${table(run.rows)}\n\nmedians of ${plan.rounds} interleaved rounds; CPU ratio: the floor's CPU time of an act ÷ ours`);
  for (const text of [sharesLine(run.loadShares ?? {}), ...texts]) say(text);
  writeFileSync(join(RESULTS, `${stamp}.json`), JSON.stringify(run, null, 2));
  say(`written: ${join(RESULTS, `${stamp}.json`)}`);
}

function sharesLine(shares) {
  const sorted = Object.entries(shares).sort((a, b) => a[1] - b[1]);
  const shown = ([name, share]) => `${(share * 100).toFixed(0)} % (${name})`;
  const [least, most] = [sorted.at(0), sorted.at(-1)];
  return least && most ? `the load generator used ${shown(least)} to ${shown(most)} of the CPU time of a measure` : '';
}

async function main() {
  const options = optionsOf(process.argv.slice(2));
  if (options.help) return say(USAGE);
  mkdirSync(RESULTS, { recursive: true });
  if (options.growth) await grow(options, { say, note });
  else if (!options.render) await bench(options);
  if (options.render || options.report) say(`written: ${await writeDocument(RESULTS, join(ROOT, 'docs', 'performance.md'))}`);
}

// A growth run goes on under nohup when its terminal is gone: there a handler would undo that the signal is ignored.
const ends = process.argv.includes('--growth') ? ['SIGINT', 'SIGTERM'] : ['SIGINT', 'SIGTERM', 'SIGHUP'];
for (const signal of ends)
  process.on(signal, () => {
    process.stderr.write(`\nended by ${signal}\n`);
    process.exit(130);
  });
process.on('exit', endAll);
main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`\nThe benchmark failed, nothing is reported:\n${error.stack}\n`);
    process.exit(1);
  },
);
