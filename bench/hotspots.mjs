/** Where our server's time goes on the paths that matter; only with `--profile`, after everything that is measured. */
import { readFileSync } from 'node:fs';
import { profileText, summarise } from './profile.mjs';

/** The work of each path; `before` runs when the drafts are made and the seals are about to begin. */
const PATHS = {
  draft: async (rounds, before) => {
    await before();
    await rounds.draft(1_500, false);
  },
  seal: async (rounds, before) => {
    rounds.beforeSeal = before;
    await rounds.seal(64, false);
    rounds.beforeSeal = undefined;
  },
  read: async (rounds, before) => {
    await before();
    await rounds.read(64);
  },
};

/** A V8 CPU profile of each path under 64 connections, as `<prefix>-<path>.cpuprofile`, and its summary. */
export async function profiles(rounds, prefix) {
  const texts = [];
  rounds.seconds = Math.max(rounds.seconds, 2);
  for (const [name, work] of Object.entries(PATHS)) {
    const file = `${prefix}-${name}.cpuprofile`;
    await work(rounds, () => rounds.ours.ask('startProfile'));
    await rounds.ours.ask('stopProfile', { file });
    texts.push(profileText(`profile of the ${name} path (${file})`, summarise(JSON.parse(readFileSync(file, 'utf8')))));
  }
  return texts;
}

/** Time in the driver and SQLite by statement, under the same load; on a server that counts (`countSql`). */
export async function statementTimes(rounds) {
  const texts = [];
  for (const [name, work] of Object.entries(PATHS)) {
    await work(rounds, () => rounds.ours.ask('collectCounts'));
    const all = new Map();
    for (const [sql, { n, ms }] of await rounds.ours.ask('collectCounts')) {
      // TypeORM writes numbers into the text, so that one statement has many texts: each is prepared anew.
      const name = sql.replace(/\s+/g, ' ').replace(/(?<=[ (])\d+(?=[ ,)]|$)/g, 'N');
      const sum = all.get(name) ?? { n: 0, ms: 0, texts: 0 };
      all.set(name, { n: sum.n + n, ms: sum.ms + ms, texts: sum.texts + 1 });
    }
    const acts = [...all].find(([sql]) => /INSERT INTO "audit_event"/.test(sql))?.[1].n ?? 1;
    const lines = [...all]
      .sort((a, b) => b[1].ms - a[1].ms)
      .slice(0, 14)
      .map(([sql, { n, ms, texts }]) => {
        const [each, times, distinct] = [
          ((ms * 1000) / acts).toFixed(0).padStart(5),
          (n / acts).toFixed(2).padStart(5),
          String(texts).padStart(5),
        ];
        return `  ${each} µs  ${times} ×  ${distinct} texts  ${sql.slice(0, 100)}`;
      });
    texts.push([`SQL by time on the ${name} path, for each act`, ...lines].join('\n'));
  }
  return texts;
}
