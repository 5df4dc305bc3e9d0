/** The machine, and what is measured on it. */
import { closeSync, cpSync, existsSync, fsyncSync, openSync, readFileSync, symlinkSync, writeSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf } from './chain.mjs';
import { end, message, start } from './processes.mjs';
import { median } from './statistics.mjs';

export const HERE = fileURLToPath(new URL('.', import.meta.url));
export const ROOT = join(HERE, '..');
export const RESULTS = join(HERE, 'results');

/** A copy of dist, so that a build by somebody else during the run does not change what is measured. */
export function snapshot(dir) {
  const dist = process.env.BENCH_DIST ?? join(ROOT, 'dist');
  if (!existsSync(join(dist, 'src', 'main.js'))) throw new Error(`${dist} holds no compiled server: npm run build`);
  cpSync(dist, join(dir, 'dist'), { recursive: true });
  if (!existsSync(join(dir, 'node_modules'))) symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  cpSync(join(ROOT, 'package.json'), join(dir, 'package.json'));
  return join(dir, 'dist');
}

/** Starts one of our yardsticks; resolves when it says over IPC that it listens. */
export async function yardstick(file, args = [], execArgv = []) {
  const program = start(join(HERE, file), { args, execArgv, cwd: ROOT });
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

const versionOf = (name) => JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')).version;

/** What the machine is, and what the servers say that they run with. @throws Error unless both sync each commit to disk */
export async function hostOf(ours, floor, dir) {
  const host = {
    cpu: cpus()[0]?.model.trim(),
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    os: `${process.platform} ${release()} ${arch()}`,
    node: process.version,
    sqlite: await ours.ask('version'),
    libraries: Object.fromEntries(['@nestjs/core', 'fastify', 'typeorm'].map((name) => [name, versionOf(name)])),
    fsyncMs: fsyncMs(dir),
    loadAverageBefore: loadavg()[0],
    ours: await ours.ask('settings'),
    floor: floor.settings,
    code: digestOf(['ledger/ledger.service.js', 'record/sealing.service.js'].map((file) => readFileSync(join(ours.dist, 'src', file)))),
  };
  const writer = host.ours.find((db) => !db.readonly);
  for (const [name, db] of Object.entries({ ours: writer, floor: host.floor }))
    if (db?.synchronous !== 'FULL' || db.journal_mode !== 'wal') throw new Error(`${name} does not run durably: ${JSON.stringify(db)}`);
  return host;
}

/** The lines above a table. */
export function heading(host) {
  const shown = (db) => `journal ${db.journal_mode}, synchronous=${db.synchronous}, secure_delete=${db.secure_delete}`;
  const libraries = Object.entries(host.libraries).map(([name, version]) => `${name} ${version}`);
  return [
    `${host.cpu}, ${host.cores} cores, ${host.memoryGb} GB, ${host.os}; fsync ${host.fsyncMs.toFixed(2)} ms`,
    `Node ${host.node}, SQLite ${host.sqlite}, ${libraries.join(', ')}`,
    `ours: ${shown(host.ours.find((db) => !db.readonly))} (read back from the server's own connection)`,
    `floor: ${shown(host.floor)}`,
    `load average when it began: ${host.loadAverageBefore.toFixed(1)}; the generator shares the cores with what it measures`,
  ];
}
