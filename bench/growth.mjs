/**
 * `--growth`: seals records on and on in one data folder and measures each thousand: rate, p99, CPU time, stored bytes, memory; the floor beside it says how
 * fast the machine was at that moment. The folder, with the compiled server that began it, stays: a run that was stopped, or is to go further, goes on.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { heading, hostOf, RESULTS, snapshot, yardstick } from './host.mjs';
import { DIAGNOSIS, OurServer } from './ours.mjs';
import { rssMb } from './processes.mjs';
import { growthRows, summaryOf } from './growth-rows.mjs';
import { table } from './report.mjs';
import { Rounds } from './rounds.mjs';

const CONNECTIONS = 64;
/** Records of a step: a whole and even number for each connection. */
const STEP = 1024;
const FLOOR_SECONDS = 0.4;
const PATIENTS = 1000;
const FOLDER = process.env.BENCH_GROWTH ?? join(tmpdir(), 'bjwt-bench-growth');
const STATE = join(FOLDER, 'state.json');

function open(ours) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  return new (require(`${ours.dist}/src/database/sqlite-options.js`).sqliteDriver())(ours.database, { readonly: true });
}

/** Sealed records, and bytes in use: pages that are free again do not count. */
function stored(ours, countRecords = false) {
  const db = open(ours);
  try {
    const pragma = (name) => db.pragma(name, { simple: true });
    const bytes = (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
    return { bytes, records: countRecords ? db.prepare('SELECT COUNT(*) AS n FROM ledger_content').get().n : null };
  } finally {
    db.close();
  }
}

/** Bytes of a record by table: its pages, those of its indexes, and what of both is empty. The largest eight. */
function tablesOf(ours, records) {
  const db = open(ours);
  try {
    const rows = db
      .prepare(
        `SELECT m.tbl_name AS name, SUM(d.pgsize) AS bytes, SUM(CASE m.type WHEN 'index' THEN d.pgsize ELSE 0 END) AS indexes, SUM(d.unused) AS unused
         FROM dbstat d JOIN sqlite_master m ON m.name = d.name GROUP BY m.tbl_name ORDER BY bytes DESC LIMIT 8`,
      )
      .all();
    const each = (value) => value / records;
    return rows.map(({ name, bytes, indexes, unused }) => ({ name, bytes: each(bytes), indexes: each(indexes), unused: each(unused) }));
  } finally {
    db.close();
  }
}

function save(state) {
  writeFileSync(`${STATE}.new`, JSON.stringify(state));
  renameSync(`${STATE}.new`, STATE);
}

/** The run that is there, or a new one. */
async function begin(note) {
  if (existsSync(STATE)) {
    const state = JSON.parse(readFileSync(STATE, 'utf8'));
    const ours = Object.assign(new OurServer(FOLDER, join(FOLDER, 'dist')), state.world);
    await ours.start();
    // A step that was cut off left records behind that no point knows.
    state.records = stored(ours, true).records;
    note(`goes on at ${state.records} records`);
    return { ours, state };
  }
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const ours = await new OurServer(FOLDER, snapshot(FOLDER)).start();
  note(`a new run in ${FOLDER}: enrolling ${PATIENTS} patients`);
  await ours.setUp(PATIENTS);
  const { people, hospitalId, patients, hot, names } = ours;
  const state = {
    world: { people, hospitalId, patients, hot, names },
    base: stored(ours).bytes,
    payload: Buffer.byteLength(DIAGNOSIS),
    records: 0,
    points: [],
  };
  return { ours, state };
}

/** Grows up to each of the sizes and reports there. */
export async function grow({ sizes, fresh }, { say, note }) {
  if (fresh) rmSync(FOLDER, { recursive: true, force: true });
  const { ours, state } = await begin(note);
  const floorFile = join(FOLDER, 'floor.sqlite');
  for (const end of ['', '-wal', '-shm']) rmSync(`${floorFile}${end}`, { force: true }); // always a small floor
  const floor = await yardstick('floor.mjs', [floorFile, ours.dist]);
  state.host = await hostOf(ours, floor, FOLDER);
  say(heading(state.host).join('\n'));
  const rounds = new Rounds(ours, { floor }, FLOOR_SECONDS);
  await step(rounds, state); // warms up
  await rounds.floorWrite(CONNECTIONS, false);
  for (const size of sizes) {
    while (state.records < size) {
      const { sealed, drafted } = await step(rounds, state);
      const { rate, cpuUs } = await rounds.floorWrite(CONNECTIONS, false);
      const { bytes } = stored(ours);
      const floorValues = { floorRate: rate, floorCpuUs: cpuUs };
      const { rate: own, p99, cpuUs: ownCpu } = sealed;
      state.points.push({
        records: state.records,
        rate: own,
        p99,
        cpuUs: ownCpu,
        draftRate: drafted.rate,
        ...floorValues,
        bytes,
        rssMb: rssMb(ours.pid),
      });
      save(state);
      if (state.points.length % 10 === 0) note(`${state.records} records, ${own.toFixed(0)}/s, floor ${rate.toFixed(0)}/s`);
    }
    const summary = summaryOf(state, size);
    if (summary) say(`\n${table(growthRows(summary))}`);
    const stamp = new Date().toISOString().replace(/[:.]/g, '-').slice(0, 19);
    const file = join(RESULTS, `${stamp}-growth.json`);
    writeFileSync(
      file,
      JSON.stringify({
        stamp,
        host: state.host,
        summaries: sizes.flatMap((each) => summaryOf(state, each) ?? []),
        tables: tablesOf(ours, state.records),
        points: state.points,
      }),
    );
    say(`written: ${file}`);
  }
  await floor.stop();
  await ours.stop();
  rounds.stop();
}

async function step(rounds, state) {
  const result = await rounds.seal(CONNECTIONS, false, STEP);
  state.records += STEP;
  return result;
}
