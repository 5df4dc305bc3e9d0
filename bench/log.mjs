/**
 * `npm run bench -- --log`: whether sealing costs the same however long a chain and however large a log is, how soon a seal is logged, and what proofs cost.
 * Chains and logs are grown in the database while the server is stopped: the blocks of the long chain are of random bytes, for sealing looks at the head only;
 * the leaves of the large log are sequenced by the server's own code.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { OurServer, DIAGNOSIS } from './ours.mjs';
import { median } from './report.mjs';
import { Rounds } from './rounds.mjs';

const CONNECTIONS = 16;
const OVERLAP = 1000;

function openWriter(ours) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  return new (require(`${ours.dist}/src/database/sqlite-options.js`).sqliteDriver())(ours.database);
}

/** Lengthens a patient's chain to `blocks` with rows of random bytes. */
function growChain(ours, patientId, blocks) {
  const db = openWriter(ours);
  db.pragma('synchronous = OFF');
  const { chainId, height } = db.prepare('SELECT chainId, height FROM ledger_chain WHERE patientId = ?').get(patientId);
  const trigger = db.prepare(`SELECT sql FROM sqlite_master WHERE name = 'ledger_chain_moves_on'`).get().sql;
  const insert = db.prepare(
    `INSERT INTO ledger_block (chainId, height, blockHash, prevHash, refHash, header, recordId, version, attestation) VALUES (?, ?, ?, ?, NULL, ?, ?, 1, ?)`,
  );
  let head;
  db.transaction(() => {
    for (let next = height + 1; next <= blocks; next += 1)
      insert.run(
        chainId,
        next,
        (head = randomBytes(32)),
        randomBytes(32),
        randomBytes(274),
        randomUUID(),
        randomBytes(300).toString('hex'),
      );
    db.exec('DROP TRIGGER ledger_chain_moves_on');
    db.prepare('UPDATE ledger_chain SET height = ?, headHash = ? WHERE chainId = ?').run(blocks, head, chainId);
    db.exec(trigger);
  })();
  db.close();
}

/** Brings a hospital's log to `leaves` leaves through the server's own sequencer. */
async function growLog(ours, hospitalId, leaves) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  require('reflect-metadata');
  const { DataSource } = require('typeorm');
  const { dataSourceOptions } = require(`${ours.dist}/ormconfig.js`);
  const { currentLog, queueEntry, sequence } = require(`${ours.dist}/src/tlog/log-store.js`);
  const source = await new DataSource(dataSourceOptions(ours.database)).initialize();
  await source.query('PRAGMA synchronous = OFF');
  const { id, size } = await currentLog(source.manager, hospitalId);
  for (let done = size; done < leaves;) {
    const some = Math.min(8192, leaves - done);
    await source.transaction(async (tx) => {
      for (let index = 0; index < some; index += 1) await queueEntry(tx, id, { kind: 1, hash: randomBytes(32) });
      while ((await sequence(tx, id)) > 0);
    });
    done += some;
  }
  await source.destroy();
}

/** Milliseconds to prove and check that the log grew from `size - OVERLAP` to `size`, read from the database as an auditor would; and to check one receipt's path. */
async function incremental(ours, hospitalId, sizes, times) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  const { DataSource } = require('typeorm');
  const { dataSourceOptions } = require(`${ours.dist}/ormconfig.js`);
  const { currentLog } = require(`${ours.dist}/src/tlog/log-store.js`);
  const { TreeReader } = require(`${ours.dist}/src/tlog/tree-reader.js`);
  const { verifyConsistency } = require(`${ours.dist}/src/ledger/core/tree.js`);
  const source = await new DataSource(dataSourceOptions(ours.database, true)).initialize();
  const { id } = await currentLog(source.manager, hospitalId);
  const result = {};
  for (const size of sizes) {
    const [from, to] = [BigInt(size - OVERLAP), BigInt(size)];
    const spent = [];
    for (let index = 0; index < times; index += 1) {
      const tree = new TreeReader(source.manager, id);
      const [before, after] = [await tree.root(from), await tree.root(to)];
      const started = performance.now();
      const proof = await new TreeReader(source.manager, id).consistency(from, to);
      if (!verifyConsistency(from, to, proof, before, after)) throw new Error('consistency');
      spent.push(performance.now() - started);
    }
    result[size] = median(spent);
  }
  await source.destroy();
  return result;
}

export async function measureLog({ dir, dist, quick, note }) {
  const [long, small, large] = quick ? [20_000, 10_000, 100_000] : [100_000, 10_000, 1_000_000];
  const [rounds, seconds] = quick ? [3, 1] : [5, 2];
  const ours = await new OurServer(dir, dist).start();
  await ours.setUp(1);
  const [short] = ours.patients;
  const chainOf = async (patient) => {
    for (let index = 0; index < 10; index += 1) {
      const { id } = await ours.call('doctor', 'POST', `/patients/${patient}/diagnoses`, DIAGNOSIS);
      await ours.call('doctor', 'POST', `/records/${id}/seal?wait=sealed`);
    }
  };
  for (const patient of [short, ours.hot]) await chainOf(patient);
  const load = new Rounds(ours, null, null, seconds);
  const sealRate = async (patient) => {
    const amount = load.amount('seal', CONNECTIONS, 300);
    const job = await load.ourJob('doctor', CONNECTIONS);
    const drafts = Array.from({ length: amount }, () => ({
      method: 'POST',
      path: `/api/v1/patients/${patient}/diagnoses`,
      body: DIAGNOSIS,
    }));
    const { kept } = await load.measure('draft', { ...job, requests: drafts, amount, expect: 201, keep: 'id' });
    const requests = kept.map((id) => ({ method: 'POST', path: `/api/v1/records/${id}/seal?wait=sealed` }));
    return (await load.measure('seal', { ...job, requests, amount, expect: 201 })).rate;
  };
  const restart = async (work) => {
    await ours.stop();
    await work();
    await ours.start();
    await sealRate(short); // warm
  };
  note(`a chain of ${long} blocks, a log of ${small} leaves`);
  await restart(async () => {
    growChain(ours, ours.hot, long);
    await growLog(ours, ours.hospitalId, small);
  });
  const chains = [];
  for (let index = 0; index < rounds; index += 1) chains.push({ short: await sealRate(short), long: await sealRate(ours.hot) });

  // Two copies of one installation: the same server before and after its log grew, in turn.
  note(`a log of ${large} leaves`);
  const logs = [];
  const before = [];
  for (let index = 0; index < rounds; index += 1) before.push(await sealRate(short));
  await restart(() => growLog(ours, ours.hospitalId, large));
  for (let index = 0; index < rounds; index += 1) logs.push({ small: before[index], large: await sealRate(short) });

  note('seal until logged');
  const amount = quick ? 256 : 1024;
  const job = await load.ourJob('doctor', 64);
  const drafts = Array.from({ length: amount }, () => ({ method: 'POST', path: `/api/v1/patients/${short}/diagnoses`, body: DIAGNOSIS }));
  const { kept } = await load.measure('draft', { ...job, requests: drafts, amount, expect: 201, keep: 'id' });
  const requests = kept.map((id) => ({ method: 'POST', path: `/api/v1/records/${id}/seal?wait=logged` }));
  const logged = await load.measure('logged', { ...job, requests, amount, expect: 201 });

  await ours.stop();
  note('proofs');
  const proofs = await incremental(ours, ours.hospitalId, [small, large], quick ? 50 : 200);
  load.load.child.kill();
  return {
    chain: { blocks: [10, long], ratio: median(chains.map((round) => round.long / round.short)), rounds: chains },
    log: { leaves: [small, large], ratio: median(logs.map((round) => round.large / round.small)), rounds: logs },
    logged: { p50: logged.p50, p99: logged.p99, intervalMs: 1000, ratio: logged.p95 / 1000, p95: logged.p95 },
    incremental: { ms: proofs, ratio: proofs[large] / proofs[small] },
  };
}

/** @returns {string} */
export function logTable({ chain, log, logged, incremental }) {
  const within = (ratio, least, most) => (ratio >= least && ratio <= most ? 'met' : 'MISSED');
  const lines = [
    [
      'sealing rate, chain of ' + chain.blocks[1] + ' ÷ chain of ~' + chain.blocks[0] + ' blocks',
      chain.ratio.toFixed(3),
      '0.8 to 1.2',
      within(chain.ratio, 0.8, 1.25),
    ],
    [
      'sealing rate, log of ' + log.leaves[1] + ' ÷ ' + log.leaves[0] + ' leaves',
      log.ratio.toFixed(3),
      '0.8 to 1.2',
      within(log.ratio, 0.8, 1.25),
    ],
    ['P11 seal → logged, p95 ÷ checkpoint interval (64 connections)', logged.ratio.toFixed(3), '≤ 1.5', within(logged.ratio, 0, 1.5)],
    [
      `P11 consistency proof over ${OVERLAP} leaves, log of ${log.leaves[1]} ÷ ${log.leaves[0]}`,
      incremental.ratio.toFixed(3),
      '≤ 1.2',
      within(incremental.ratio, 0, 1.2),
    ],
  ];
  return lines.map(([name, ratio, goal, verdict]) => `${name.padEnd(78)} ${ratio.padStart(7)}  ${goal.padEnd(11)} ${verdict}`).join('\n');
}
