/**
 * `npm run bench -- --log`: whether sealing costs the same however long a chain and however large a log is, how soon a seal is logged, and what proofs cost.
 * Chains and logs are grown in the database while the server is stopped: the blocks of the long chain are of random bytes, for sealing looks at the head only;
 * the leaves of the large log are sequenced by the server's own code.
 */
import { generateKeyPairSync, randomBytes, randomUUID, sign, verify } from 'node:crypto';
import { createRequire } from 'node:module';
import { OurServer, DIAGNOSIS } from './ours.mjs';
import { Meter } from './measure.mjs';
import { median } from './statistics.mjs';

const CONNECTIONS = 16;
const OVERLAP = 1000;
const TILE = 256;

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
  const { blockHash, encodeHeader } = createRequire(`${ours.dist}/src/main.js`)(`${ours.dist}/src/ledger/core/header.js`);
  // Sealing reads the time of the block below, so the newest one has the form of a header.
  const zero = Buffer.alloc(32);
  const hashes = { prevHash: zero, contentCommit: zero, ciphertextHash: zero, attestationHash: zero, authorKeyId: zero, refHash: zero };
  const top = encodeHeader({ kind: 2, ledgerId: zero, chainId, height: blocks, sealedAt: Date.now(), ...hashes });
  const head = blockHash(top);
  db.transaction(() => {
    for (let next = height + 1; next < blocks; next += 1)
      insert.run(chainId, next, randomBytes(32), randomBytes(32), randomBytes(274), randomUUID(), randomBytes(300).toString('hex'));
    insert.run(chainId, blocks, head, randomBytes(32), top, randomUUID(), randomBytes(300).toString('hex'));
    db.exec('DROP TRIGGER ledger_chain_moves_on');
    db.prepare('UPDATE ledger_chain SET height = ?, headHash = ? WHERE chainId = ?').run(blocks, head, chainId);
    db.exec(trigger);
  })();
  db.close();
}

/** The database of the stopped server through the server's own code, with the key of its row tags. */
async function openStopped(ours, readonly) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  require('reflect-metadata');
  const { DataSource } = require('typeorm');
  const { dataSourceOptions } = require(`${ours.dist}/ormconfig.js`);
  const { readConfig } = require(`${ours.dist}/src/config/config.js`);
  const { openRootKeys } = require(`${ours.dist}/src/crypto/open-root-keys.js`);
  const { RowTagger } = require(`${ours.dist}/src/crypto/row-tag.js`);
  const { useRowTags } = require(`${ours.dist}/src/database/row-tags.js`);
  const source = await new DataSource(dataSourceOptions(ours.database, readonly)).initialize();
  useRowTags([source], new RowTagger(openRootKeys(readConfig({ DATA_DIR: ours.data }), { create: false })));
  return source;
}

/** Brings a hospital's log to `leaves` leaves through the server's own sequencer. */
async function growLog(ours, hospitalId, leaves) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  const source = await openStopped(ours, false);
  const { currentLog, queueEntry, sequence } = require(`${ours.dist}/src/tlog/log-store.js`);
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

/**
 * Milliseconds to prove and check that a log grew by its last {@link OVERLAP} leaves, read from the database as an auditor would, without remembered tiles;
 * of each hospital's log in turn. The tile at a log's edge is read leaf by leaf, so both logs are first filled to the same place of a tile.
 */
async function incremental(ours, hospitals, times) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  const { currentLog } = require(`${ours.dist}/src/tlog/log-store.js`);
  const { TreeReader } = require(`${ours.dist}/src/tlog/tree-reader.js`);
  const { verifyConsistency } = require(`${ours.dist}/src/ledger/core/tree.js`);
  let source = await openStopped(ours, true);
  const sizes = [];
  for (const hospitalId of hospitals) sizes.push((await currentLog(source.manager, hospitalId)).size);
  await source.destroy();
  for (const [index, hospitalId] of hospitals.entries()) await growLog(ours, hospitalId, Math.ceil(sizes[index] / TILE) * TILE + TILE / 2);
  source = await openStopped(ours, true);
  const logs = [];
  for (const hospitalId of hospitals) logs.push({ ...(await currentLog(source.manager, hospitalId)), spent: [] });
  for (let index = 0; index < times; index += 1)
    for (const { id, size, spent } of logs) {
      const [from, to] = [BigInt(size - OVERLAP), BigInt(size)];
      const tree = new TreeReader(source.manager, id);
      const [before, after] = [await tree.root(from), await tree.root(to)];
      const started = performance.now();
      const proof = await new TreeReader(source.manager, id).consistency(from, to);
      if (!verifyConsistency(from, to, proof, before, after)) throw new Error('consistency');
      spent.push(performance.now() - started);
    }
  await source.destroy();
  const [small, large] = logs.map(({ size, spent }) => ({ leaves: size, ms: median(spent) }));
  return { small, large, ratio: large.ms / small.ms };
}

/** Milliseconds to verify a bundle ÷ those of the signature checks in it (author, log), medians. */
function bundleRatio(ours, bundle, policyText, times) {
  const require = createRequire(`${ours.dist}/src/main.js`);
  const { verifyBundle } = require(`${ours.dist}/src/ledger/core/bundle.js`);
  const { parsePolicy } = require(`${ours.dist}/src/ledger/core/policy.js`);
  const policy = parsePolicy(policyText);
  const bytes = Buffer.from(bundle);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const text = Buffer.alloc(520, 'a');
  const signature = sign(null, text, privateKey);
  const clock = (work) => {
    const started = performance.now();
    work();
    return performance.now() - started;
  };
  const ratios = Array.from({ length: times }, () => {
    const whole = clock(() => {
      const { verdict } = verifyBundle(bytes, { policy });
      if (verdict !== 'VALID_UNWITNESSED') throw new Error(`bundle: ${verdict}`);
    });
    const raw = clock(() => [0, 1].forEach(() => verify(null, text, publicKey, signature)));
    return whole / raw;
  });
  return median(ratios);
}

/** A second hospital on the same server, with a doctor and a patient: its log becomes the large one. */
async function secondHospital(ours) {
  const made = await ours.call('founder', 'POST', '/hospitals', { name: 'Coast Clinic', city: 'İzmir', country: 'TR' });
  await ours.activate('hospital2', made.activation);
  const staff = { name: 'Dr. Bo Li', specialty: 'Cardiology', licence: 'TR-115' };
  await ours.activate('doctor2', (await ours.call('hospital2', 'POST', '/hospitals/me/staff', staff)).activation);
  const enrolled = await ours.call('doctor2', 'POST', '/patients', { name: 'Log Patient', birthDate: '1984-02-29', gender: 'female' });
  return { hospitalId: made.id, role: 'doctor2', patient: enrolled.patient.id };
}

export async function measureLog({ dir, dist, quick, note }) {
  // 76,000 leaves are 40 tiles past a full one of the level above, as 10,000 are 39: of the partial tile there, as much is read.
  const [long, small, large] = quick ? [20_000, 10_000, 76_000] : [100_000, 10_000, 1_000_000];
  const [rounds, seconds] = quick ? [4, 1] : [6, 2];
  const ours = await new OurServer(dir, dist).start();
  await ours.setUp(1);
  const other = await secondHospital(ours);
  // Three places to seal in: a short chain in the small log, a long chain in it, and a short chain in the large log.
  const places = {
    base: { role: 'doctor', patient: ours.patients[0] },
    longChain: { role: 'doctor', patient: ours.hot },
    largeLog: other,
  };
  for (const { role, patient } of Object.values(places))
    for (let index = 0; index < 10; index += 1) {
      const { id } = await ours.call(role, 'POST', `/patients/${patient}/diagnoses`, DIAGNOSIS);
      await ours.call(role, 'POST', `/records/${id}/seal?wait=sealed`);
    }
  note(`growing: a chain of ${long} blocks, logs of ${small} and ${large} leaves`);
  await ours.stop();
  growChain(ours, ours.hot, long);
  await growLog(ours, ours.hospitalId, small);
  await growLog(ours, other.hospitalId, large);
  await ours.start();

  const load = new Meter(seconds);
  const draftsOf = async ({ role, patient }, connections, amount) => {
    const headers = { authorization: `Bearer ${await ours.token(role)}` };
    const job = { url: ours.url, pid: ours.pid, connections, headers };
    const requests = Array.from({ length: amount }, () => ({
      method: 'POST',
      path: `/api/v1/patients/${patient}/diagnoses`,
      body: DIAGNOSIS,
    }));
    return { job, ids: (await load.measure('draft', { ...job, requests, amount, expect: 201, keep: 'id' })).kept };
  };
  const sealAll = async (place, connections, amount, wait) => {
    const { job, ids } = await draftsOf(place, connections, amount);
    const requests = ids.map((id) => ({ method: 'POST', path: `/api/v1/records/${id}/seal?wait=${wait}` }));
    return { ids, ...(await load.measure('seal', { ...job, requests, amount, expect: 201 })) };
  };
  const sealRate = async (place) => (await sealAll(place, CONNECTIONS, load.amount('seal', CONNECTIONS, 300), 'sealed')).rate;
  note('sealing');
  for (const place of Object.values(places)) await sealRate(place); // warm
  const measured = [];
  for (let index = 0; index < rounds; index += 1) {
    // Each is first once: whoever comes later finds the server warmer.
    const names = Object.keys(places);
    const round = {};
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(index + turn) % names.length];
      round[name] = await sealRate(places[name]);
    }
    measured.push(round);
  }

  note('seal until logged');
  const logged = await sealAll(places.base, 64, quick ? 256 : 1024, 'logged');

  const headers = { authorization: `Bearer ${await ours.token('doctor')}` };
  const bundle = await (await fetch(`${ours.url}/api/v1/records/${logged.ids[0]}/bundle`, { headers })).arrayBuffer();
  const policy = await (await fetch(`${ours.url}/api/v1/ledger/logs/${ours.hospitalId}/policy`)).text();

  await ours.stop();
  note('proofs');
  const bundles = bundleRatio(ours, bundle, policy, quick ? 200 : 1000);
  const proofs = await incremental(ours, [ours.hospitalId, other.hospitalId], quick ? 100 : 300);
  load.stop();
  return {
    rounds: measured,
    chain: { blocks: [10, long], ratio: median(measured.map((round) => round.longChain / round.base)) },
    log: { leaves: [small, large], ratio: median(measured.map((round) => round.largeLog / round.base)) },
    logged: { p50: logged.p50, p99: logged.p99, intervalMs: 1000, ratio: logged.p95 / 1000, p95: logged.p95 },
    bundle: { ratio: bundles },
    incremental: proofs,
  };
}

/** @returns {import('./report.mjs').Row[]} */
export function logRows({ chain, log, logged, bundle, incremental }) {
  const row = (id, metric, ratio, more) => ({ id, metric, unit: '', ours: null, floor: null, ratio, ...more });
  const [small, large] = log.leaves;
  return [
    row('', `sealing rate, chain of ${chain.blocks[1]} ÷ chain of ${chain.blocks[0]} blocks`, chain.ratio, { goal: 0.8 }),
    row('', `sealing rate, log of ${large} ÷ ${small} leaves`, log.ratio, { goal: 0.8 }),
    row('P11', 'seal → logged, p95 ÷ checkpoint interval, 64 conn', logged.ratio, { goal: 1.5, stretch: 1.1, atMost: true }),
    row('P11', 'bundle verification ÷ the two raw signature checks in it', bundle.ratio, { goal: 5, stretch: 2, atMost: true }),
    row(
      'P11',
      `consistency proof over ${OVERLAP} leaves, log of ${incremental.large.leaves} ÷ ${incremental.small.leaves}`,
      incremental.ratio,
      {
        goal: 1.2,
        stretch: 1.1,
        atMost: true,
      },
    ),
  ];
}
