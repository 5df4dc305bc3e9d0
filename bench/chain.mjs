/** Chain verification (P5, P6), cold start (P8) and statements per request: what is measured on freshly started servers. */
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { peakRss, rssMb } from './processes.mjs';
import { rawEd25519, rawSha256 } from './raw.mjs';

const SETTLE_MS = 700;
const COUNTED = 20;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The bytes of a stored chain that a verification must hash: headers, attestations, ciphertexts. */
function chainBytes(ours, patientId) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  const db = new (require(`${ours.dist}/src/database/sqlite-options.js`).sqliteDriver())(ours.database, { readonly: true });
  const rows = db
    .prepare(
      `SELECT b.header, b.attestation, c.ciphertext FROM ledger_chain h JOIN ledger_block b ON b.chainId = h.chainId
       LEFT JOIN ledger_content c ON c.recordId = b.recordId AND c.version = b.version WHERE h.patientId = ? ORDER BY b.height`,
    )
    .all(patientId);
  db.close();
  const parts = rows.flatMap((row) => [row.header, Buffer.from(row.attestation ?? ''), row.ciphertext ?? Buffer.alloc(0)]);
  return { blocks: rows.length, bytes: Buffer.concat(parts) };
}

/** Verifies the long chain `rounds` times beside raw hashing and raw signature checks in this process. */
export async function verifyRounds(ours, patientId, rounds) {
  const { blocks, bytes } = chainBytes(ours, patientId);
  const path = (id) => `/ledger/patients/${id}/verify`;
  await ours.call('doctor', 'POST', path(ours.patients[0]), undefined, { expect: 200 }); // loads the code, so that the growth is that of the walk
  await wait(SETTLE_MS);
  const before = rssMb(ours.pid);
  const results = [];
  let highest = 0;
  for (let index = 0; index < rounds; index += 1) {
    const sha = rawSha256(bytes);
    const ed25519 = rawEd25519();
    const started = performance.now();
    const { value: verdict, peak } = await peakRss(ours.pid, () =>
      ours.call('doctor', 'POST', path(patientId), undefined, { expect: 200 }),
    );
    const seconds = (performance.now() - started) / 1000;
    if (verdict.verdict !== 'VALID' || verdict.blocks !== blocks) throw new Error(`verification: ${JSON.stringify(verdict).slice(0, 300)}`);
    highest = Math.max(highest, peak);
    results.push({ mbPerS: bytes.length / 1e6 / seconds, sha, blocksPerS: blocks / seconds, ed25519, seconds });
  }
  return { blocks, mb: bytes.length / 1e6, rounds: results, rssBefore: before, rssGrowth: highest - before };
}

/** `npm run audit` on the live folder, as its own process; its summary. */
async function audit(ours, more) {
  const env = { PATH: process.env.PATH ?? '', DATA_DIR: join(ours.dir, 'data') };
  const args = [join(ours.dist, 'src', 'tools', 'audit.js'), '--json', '--threads', String(availableParallelism()), ...more];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 1e9 });
  const { summary } = JSON.parse(stdout.trim().split('\n').at(-1));
  if (summary.bad > 0 || summary.badLogs > 0) throw new Error(`audit: ${JSON.stringify(summary)}`);
  return summary;
}

/** What an audit must hash of all chains, in bytes. */
function ledgerBytes(ours) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  const db = new (require(`${ours.dist}/src/database/sqlite-options.js`).sqliteDriver())(ours.database, { readonly: true });
  const { bytes } = db
    .prepare(
      `SELECT SUM(LENGTH(b.header) + COALESCE(LENGTH(b.attestation), 0) + COALESCE(LENGTH(c.ciphertext), 0)) AS bytes FROM ledger_block b
       LEFT JOIN ledger_content c ON c.recordId = b.recordId AND c.version = b.version`,
    )
    .get();
  db.close();
  return bytes;
}

/** Full audits of everything that was sealed, on all cores, beside the raw rates: hashes only (P5), with signatures (P6), with contents opened too. */
export async function auditRounds(ours, rounds) {
  const bytes = ledgerBytes(ours);
  const sample = Buffer.alloc(4_000_000, 1);
  const results = [];
  for (let index = 0; index < rounds; index += 1) {
    const [sha, ed25519] = [rawSha256(sample), rawEd25519()];
    const hashes = await audit(ours, ['--hashes-only']);
    const signed = await audit(ours, ['--without-keys']);
    const opened = await audit(ours, []);
    results.push({
      sha,
      ed25519,
      hashedMbPerS: bytes / 1e6 / hashes.seconds,
      signedPerS: signed.blocks / signed.seconds,
      openedPerS: opened.blocks / opened.seconds,
    });
  }
  return { mb: bytes / 1e6, rounds: results };
}

/** Starts both servers in turn on the data that is there; times and idle memory. Leaves the last start of ours running. */
export async function coldStarts(ours, startFloor, times) {
  const results = [];
  for (let index = 0; index < times; index += 1) {
    await ours.stop();
    await ours.start();
    const floor = await startFloor();
    await wait(SETTLE_MS);
    results.push({ ours: ours.startMs, floor: floor.startMs, rss: rssMb(ours.pid), floorRss: rssMb(floor.pid) });
    await floor.stop();
  }
  return results;
}

const CONTROL = /^\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/i;
const IDLE_MS = 2500;
/** TypeORM writes numbers into the text, so that one statement has many. */
const formOf = (sql) => sql.replace(/\d+/g, 'N');

/** SQL statements for one request of each kind, counted in the driver; in a start of its own. Requests go one after another. */
export async function countStatements(ours, sealedId) {
  await ours.stop();
  await ours.start({ countSql: true });
  await ours.call(null, 'POST', '/imports', undefined, { expect: 401 }); // or it would measure no authentication
  const drafts = [];
  const { DIAGNOSIS } = await import('./ours.mjs');
  const acts = {
    authentication: () => ours.call('doctor', 'POST', '/imports', undefined, { expect: 415 }),
    'role refused': () => ours.call('doctor', 'GET', '/hospitals/me/staff', undefined, { expect: 403 }),
    read: () => ours.call('doctor', 'GET', `/records/${sealedId}`),
    draft: async () => drafts.push((await ours.call('doctor', 'POST', `/patients/${ours.patients[0]}/diagnoses`, DIAGNOSIS)).id),
    seal: () => ours.call('doctor', 'POST', `/records/${drafts.pop()}/seal?wait=sealed`),
  };
  const result = {};
  await ours.ask('collectCounts');
  await wait(IDLE_MS);
  // What runs each second whatever requests do: the polls for revocations and for the log.
  const idle = new Set((await ours.ask('collectCounts')).map(([sql]) => formOf(sql)));
  const isPoll = (sql) => idle.has(formOf(sql)) && !CONTROL.test(sql);
  for (const [name, act] of Object.entries(acts)) {
    await act();
    if (name === 'draft') await act();
    await ours.ask('collectCounts');
    for (let index = 0; index < COUNTED; index += 1) await act();
    const counts = (await ours.ask('collectCounts')).filter(([sql]) => !isPoll(sql));
    const sum = (some) => some.reduce((total, [, { n }]) => total + n, 0) / COUNTED;
    const isControl = ([sql]) => CONTROL.test(sql);
    const data = counts.filter((entry) => !isControl(entry));
    const texts = data.map(([sql, { n }]) => ({ n, sql: sql.slice(0, 120) }));
    result[name] = { data: sum(data), control: sum(counts.filter(isControl)), texts };
  }
  return result;
}

/** Identity of what was measured, so that two result files can be told apart. */
export const digestOf = (texts) =>
  texts
    .reduce((sum, text) => sum.update(text), createHash('sha256'))
    .digest('hex')
    .slice(0, 16);
