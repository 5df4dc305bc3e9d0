/**
 * `npm run bench [-- --quick] [-- --profile] [-- --log]`: starts what it measures, prints a table, writes bench/results/<date>.json, leaves nothing behind.
 * See bench/README.md.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  fsyncSync,
  writeSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { auditRounds, coldStarts, countStatements, digestOf, verifyRounds } from './chain.mjs';
import { OurServer } from './ours.mjs';
import { end, endAll, message, rssMb, scratch, start } from './processes.mjs';
import { logTable, measureLog } from './log.mjs';
import { profiles, statementTimes } from './hotspots.mjs';
import { loadShares, median, rowsOf, table } from './report.mjs';
import { Rounds } from './rounds.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(HERE, '..');
const RESULTS = join(HERE, 'results');
const quick = process.argv.includes('--quick');
const profile = process.argv.includes('--profile');
const log = process.argv.includes('--log');
const PLAN = quick
  ? { rounds: 3, seconds: 0.4, others: [], patients: 8, blocks: 2900, starts: 2 }
  : { rounds: 3, seconds: 2, others: [16, 1], patients: 32, blocks: 2900, starts: 5 };

const say = (line) => process.stdout.write(`${line}\n`);
const note = (line) => process.stderr.write(`  ${(performance.now() / 1000).toFixed(0).padStart(3)} s  ${line}\n`);

/** A copy of dist, so that a build by somebody else during the run does not change what is measured. */
function snapshot(dir) {
  const dist = process.env.BENCH_DIST ?? join(ROOT, 'dist');
  if (!existsSync(join(dist, 'src', 'main.js'))) throw new Error(`${dist} holds no compiled server: npm run build`);
  cpSync(dist, join(dir, 'dist'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  cpSync(join(ROOT, 'package.json'), join(dir, 'package.json'));
  return join(dir, 'dist');
}

/** Starts one of our yardsticks; resolves when it says over IPC that it listens. */
async function yardstick(file, args = []) {
  const program = start(join(HERE, file), { args });
  const ready = await message(program, (value) => value.url !== undefined);
  return { ...ready, pid: program.pid, startMs: performance.now() - program.startedAt, stop: () => end(program) };
}

/** Milliseconds of a 4 KB write with fsync in the scratch folder: what a lone commit cannot be faster than. */
function fsyncMs(dir) {
  const file = openSync(join(dir, 'fsync'), 'w');
  const times = Array.from({ length: 100 }, () => {
    const started = performance.now();
    writeSync(file, Buffer.alloc(4096), 0, 4096, 0);
    fsyncSync(file);
    return performance.now() - started;
  });
  closeSync(file);
  return median(times);
}

async function machine(ours, floor, dir) {
  const settings = await ours.ask('settings');
  return {
    cpu: cpus()[0]?.model.trim(),
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    os: `${process.platform} ${release()} ${arch()}`,
    node: process.version,
    sqlite: await ours.ask('version'),
    fsyncMs: fsyncMs(dir),
    loadAverageBefore: loadavg()[0],
    ours: settings,
    floor: floor.settings,
    code: digestOf([
      readFileSync(join(ours.dist, 'src/ledger/ledger.service.js')),
      readFileSync(join(ours.dist, 'src/record/sealing.service.js')),
    ]),
  };
}

/** Nothing is worth measuring when one of the two does not fsync. */
function requireDurable({ ours, floor }) {
  const writer = ours.find((db) => !db.readonly);
  for (const [name, db] of Object.entries({ ours: writer, floor }))
    if (db?.synchronous !== 'FULL' || db.journal_mode !== 'wal') throw new Error(`${name} does not run durably: ${JSON.stringify(db)}`);
}

function heading(host) {
  const shown = (db) => `journal ${db.journal_mode}, synchronous=${db.synchronous}, secure_delete=${db.secure_delete}`;
  return [
    `${host.cpu}, ${host.cores} cores, ${host.memoryGb} GB, ${host.os}; Node ${host.node}, SQLite ${host.sqlite}; fsync ${host.fsyncMs.toFixed(2)} ms`,
    `ours:  ${shown(host.ours.find((db) => !db.readonly))}   (read back from the server's own connection)`,
    `floor: ${shown(host.floor)}`,
    `load average when it began: ${host.loadAverageBefore.toFixed(1)}; the generator shares the cores with what it measures`,
  ].join('\n');
}

async function main() {
  mkdirSync(RESULTS, { recursive: true });
  const stamp = new Date().toISOString().replace(/[:.]/g, '-').slice(0, 19);
  const dir = scratch(mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'bjwt-bench-')));
  const dist = snapshot(dir);
  if (log) {
    const measured = await measureLog({ dir, dist, quick, note });
    say(logTable(measured));
    writeFileSync(join(RESULTS, `${stamp}-log.json`), JSON.stringify({ stamp, quick, ...measured }, null, 2));
    return;
  }
  const ours = await new OurServer(dir, dist).start();
  const firstStartMs = ours.startMs;
  const startFloor = () => yardstick('floor.mjs', [join(dir, 'floor.sqlite'), dist]);
  const [floor, bare] = [await startFloor(), await yardstick('bare.mjs')];
  const host = await machine(ours, floor, dir);
  requireDurable(host);
  say(heading(host));
  await ours.setUp(PLAN.patients);
  note('set up; warming up');
  const rounds = new Rounds(ours, floor, bare, PLAN.seconds);
  rounds.seconds = PLAN.seconds / 4; // warms the servers and finds the paces
  await rounds.round(PLAN.others);
  rounds.seconds = PLAN.seconds;
  const results = [];
  for (let index = 0; index < PLAN.rounds; index += 1) {
    note(`round ${index + 1} of ${PLAN.rounds}`);
    results.push(await rounds.round(PLAN.others));
  }
  const loaded = { ours: rssMb(ours.pid), floor: rssMb(floor.pid) };
  const texts = profile ? await profiles(rounds, join(RESULTS, stamp)) : [];
  await floor.stop();
  await bare.stop();
  note(`sealing a chain of ${PLAN.blocks} blocks by import`);
  const long = await ours.importChain(PLAN.blocks);
  note('cold starts, verification, statements');
  const cold = await coldStarts(ours, startFloor, PLAN.starts);
  const chain = await verifyRounds(ours, long, PLAN.rounds);
  const audits = await auditRounds(ours, PLAN.rounds);
  const statements = await countStatements(ours, rounds.sealed[0]);
  if (profile) texts.push(...(await statementTimes(rounds)));
  await ours.stop();
  const run = {
    stamp,
    quick,
    plan: PLAN,
    host,
    firstStartMs,
    rounds: results,
    others: PLAN.others,
    chain,
    audits,
    cold,
    loaded,
    statements,
    cores: host.cores,
  };
  const rows = rowsOf(run);
  const shares = loadShares(results);
  const [least, most] = [Math.min(...Object.values(shares)), Math.max(...Object.values(shares))].map(
    (share) => `${(share * 100).toFixed(0)} %`,
  );
  say(
    `\n${table(rows)}\n\nmedians of ${PLAN.rounds} interleaved rounds; first start with migrations and keys ${firstStartMs.toFixed(0)} ms`,
  );
  say(
    `the load generator used ${least} to ${most} of the CPU time of a measure (ours seal ${(shares['seal/64'] * 100).toFixed(0)} %, floor ${(shares['floor-write/64'] * 100).toFixed(0)} %)`,
  );
  if (texts.length > 0) say(`\n${texts.join('\n\n')}`);
  const file = join(RESULTS, `${stamp}.json`);
  writeFileSync(file, JSON.stringify({ ...run, rows, loadShares: shares }, null, 2));
  say(`written: ${file}`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
process.on('exit', endAll);
main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`\nThe benchmark failed, nothing is reported:\n${error.stack}\n`);
    process.exit(1);
  },
);
