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
import { number, table } from './report.mjs';
import { Rounds } from './rounds.mjs';
import { lastToFirst } from './statistics.mjs';

const CONNECTIONS = 64;
/** Records of a step: a whole and even number for each connection. */
const STEP = 1024;
const FLOOR_SECONDS = 0.4;
const PATIENTS = 1000;
const FOLDER = process.env.BENCH_GROWTH ?? join(tmpdir(), 'bjwt-bench-growth');
const STATE = join(FOLDER, 'state.json');

/**
 * @typedef {object} Point after a step
 * @property {number} records sealed so far
 * @property {number} rate seals a second
 * @property {number} p99 ms
 * @property {number} cpuUs of a seal
 * @property {number} floorRate sealed writes of the floor right after
 * @property {number} bytes of the database's pages
 * @property {number} rssMb of our server
 */

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
  const state = { world: { people, hospitalId, patients, hot, names }, base: stored(ours).bytes, records: 0, points: [] };
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
      JSON.stringify({ stamp, host: state.host, summaries: sizes.flatMap((each) => summaryOf(state, each) ?? []), points: state.points }),
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

/** What the steps up to a size say. Null when the run has not come that far, or measured nothing there. */
export function summaryOf({ base, points }, size) {
  const until = points.findIndex(({ records }) => records >= size);
  if (until < 1) return null;
  const some = points.slice(0, until + 1);
  const { records, bytes, rssMb: rss } = some.at(-1);
  return {
    size,
    records,
    steps: some.length,
    rate: lastToFirst(some.map((point) => point.rate)),
    toFloor: lastToFirst(some.map((point) => point.rate / point.floorRate)),
    cpu: 1 / lastToFirst(some.map((point) => point.cpuUs)),
    p99: lastToFirst(some.map((point) => point.p99)),
    bytesPerRecord: (bytes - base) / records,
    payload: Buffer.byteLength(DIAGNOSIS),
    rssMb: rss,
  };
}

/** @returns {import('./report.mjs').Row[]} */
export function growthRows({ size, steps, rate, toFloor, cpu, p99, bytesPerRecord, payload, rssMb: rss }) {
  const row = (id, metric, ratio, more = {}) => ({
    id,
    metric: `${metric}, ${number(size)} records`,
    unit: '',
    ours: null,
    floor: null,
    ratio,
    ...more,
  });
  const tenths = `last tenth ÷ first tenth of ${steps} steps`;
  return [
    row('P7', `sealing rate as a share of the floor's, ${tenths}`, toFloor, { goal: 0.9, stretch: 1 }),
    row('', `sealing rate, ${tenths}`, rate),
    row('', `acts for the same CPU time, ${tenths}`, cpu),
    row('', `p99, ${tenths}`, p99),
    row('P7', `stored bytes ÷ payload bytes (${payload})`, bytesPerRecord / payload, {
      ours: bytesPerRecord,
      floor: payload,
      unit: 'bytes',
      goal: 2,
      stretch: 1.7,
      atMost: true,
    }),
    row('', 'RSS of the server', null, { ours: rss, unit: 'MB' }),
  ];
}
