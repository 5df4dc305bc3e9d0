/**
 * Loaded into OUR server before its first module (`node --import bench/probe.mjs dist/src/main.js`). It changes nothing that is measured: it keeps hold of
 * the SQLite connections to read their settings back, and starts and stops the CPU profiler when asked over IPC. Only with BENCH_COUNT_SQL=1, in a
 * start of its own, does it also wrap statements to count and time them.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { createRequire } from 'node:module';
import { settingsOf } from './probe-tools.mjs';

const require = createRequire(import.meta.url);
const Database = require(Number(process.versions.napi) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20');
const counting = process.env.BENCH_COUNT_SQL === '1';
const connections = new Set();
/** How often and how long (ms, in the driver and SQLite) by SQL text. */
const counts = new Map();
let session;

const { prepare } = Database.prototype;
Database.prototype.prepare = function (sql) {
  connections.add(this);
  const statement = prepare.call(this, sql);
  if (!counting) return statement;
  for (const method of ['run', 'get', 'all', 'iterate']) {
    const original = statement[method];
    statement[method] = function (...parameters) {
      const started = performance.now();
      try {
        return original.apply(statement, parameters);
      } finally {
        const { n, ms } = counts.get(sql) ?? { n: 0, ms: 0 };
        counts.set(sql, { n: n + 1, ms: ms + performance.now() - started });
      }
    };
  }
  return statement;
};

const answers = {
  settings: () => [...connections].filter((db) => db.open).map(settingsOf),
  version: () => [...connections][0]?.prepare('SELECT sqlite_version() AS v').get().v,
  memory: () => process.memoryUsage(),
  collectCounts: () => {
    const taken = [...counts];
    counts.clear();
    return taken;
  },
  startProfile: async () => {
    session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 500 });
    await session.post('Profiler.start');
  },
  stopProfile: async ({ file }) => {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    writeFileSync(file, JSON.stringify(profile));
  },
};

process.on('message', async (message) => {
  const ask = answers[message?.ask];
  if (ask) process.send?.({ answerTo: message.number, value: (await ask(message)) ?? null });
});
process.channel?.unref(); // must not keep the server alive
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
