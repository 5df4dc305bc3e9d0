import { rmSync } from 'node:fs';
import { noteKey, formatVkey } from '../../src/ledger/core/vkey';
import { checkpointText, parseCheckpointText } from '../../src/ledger/core/checkpoint';
import { formatNote, parseNote, signNote } from '../../src/ledger/core/note';
import { LogKeys } from '../../src/tlog/log-keys';
import { damaged } from '../support/damage';
import { newSigner, policyFile } from '../support/foreign-log';
import { type RawDatabase, rows } from '../support/raw-database';
import { createWorld, sealedDiagnosis, type World } from '../support/world';

let world: World;
let keys: LogKeys;
let origins: string[];
beforeAll(async () => {
  world = await createWorld({ LEDGER_SCRUB_BLOCKS: '0' });
  await sealedDiagnosis(world.doctorA, world.patientA.id);
  await sealedDiagnosis(world.doctorB, world.patientB.id);
  keys = world.app.get(LogKeys);
  const sources = world.foundations.sources.reader;
  origins = (await sources.query<{ origin: string }[]>('SELECT origin FROM log ORDER BY id')).map(({ origin }) => origin);
  await world.app.close();
}, 120_000);
afterAll(() => rmSync(world.dir, { recursive: true, force: true }));

const policyOf = (...names: readonly string[]): string =>
  policyFile(...names.map((name) => `log ${formatVkey(keys.log(name).key)}`), 'quorum none');

/** What who stole the ledger key can do: the same log under a name that the key can sign for, too. */
function rename(db: RawDatabase, from: string): void {
  const to = `${from}/x`;
  for (const { logId, size, note } of rows<{ logId: number; size: number; note: string }>(
    db,
    'SELECT c.* FROM log_checkpoint c JOIN log l ON l.id = c.logId WHERE l.origin = ?',
    from,
  )) {
    const text = checkpointText({ ...parseCheckpointText(parseNote(note).text), origin: to });
    const signed = formatNote({ text, signatures: [signNote(text, keys.log(to))] });
    db.prepare('UPDATE log_checkpoint SET note = ? WHERE logId = ? AND size = ?').run(signed, logId, size);
  }
  db.prepare('UPDATE log SET origin = ? WHERE origin = ?').run(to, from);
}

test('an audit under the auditor’s own policy, which names every log: all is valid', async () => {
  const found = await damaged(world, () => undefined, { policyFile: policyOf(...origins) });
  expect([found.summary.bad, found.summary.badLogs, found.inLogs]).toEqual([0, 0, []]);
});

test('ATTACK re-sign a log under another name with the stolen ledger key: the auditor’s policy does not name it', async () => {
  const [first = ''] = origins;
  const found = await damaged(world, (db) => rename(db, first), { policyFile: policyOf(...origins) });
  expect(found.logs.map(({ verdict, origin }) => [origin, verdict])).toContainEqual([`${first}/x`, 'TAMPERED']);
  expect(found.inLogs).toContainEqual(expect.stringMatching(/^CHECKPOINT_INVALID \d+ checkpoint\.origin$/));
});

test('the policy’s second key of a log counts too', async () => {
  const [first = '', ...rest] = origins;
  const former = noteKey(first, 1, newSigner(first).key.publicKey);
  const file = policyFile(
    `log ${formatVkey(former)}`,
    ...[first, ...rest].map((name) => `log ${formatVkey(keys.log(name).key)}`),
    'quorum none',
  );
  const found = await damaged(world, () => undefined, { policyFile: file });
  expect([found.summary.bad, found.summary.badLogs]).toEqual([0, 0]);
});
