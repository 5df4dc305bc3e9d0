import { createHash, randomBytes } from 'node:crypto';
import { DataSource, type EntityMetadata } from 'typeorm';
import { dataSourceOptions, type Store } from '../../ormconfig';
import { withBytea } from '../../src/database/postgres-options';
import { RowTagger } from '../../src/crypto/row-tag';
import { shapeOfMetadata } from '../../src/database/row-shape';
import { isCounted, useRowTags } from '../../src/database/row-tags';
import { type RowFinding, verifyTaggedTables } from '../../src/database/tagged-tables';
import { ask } from '../support/erasures';
import { inPostgres } from '../support/postgres-words';
import { dropUniqueIndexes, tableNames, rows } from '../support/raw-database';
import { createWorld, sealedDiagnosis, type World } from '../support/world';
import { copyOf, openAsOwner } from '../support/database-copy';

/** Why each table can do with what it has against whoever rewrites the database. A new table needs a line here. */
const DECISIONS: Readonly<Record<string, string>> = {
  account: 'counted',
  hospital: 'counted',
  staff: 'counted',
  enrolment: 'counted',
  patient: 'counted',
  question: 'counted',
  erasure: 'counted',
  session: 'tagged',
  refresh_token: 'tagged',
  log: 'tagged',
  log_pending: 'tagged',
  witness_checkpoint: 'tagged',
  row_set: 'sealed: the sums themselves',
  kek: 'sealed: wrapped under the root key, bound to hospital and version',
  data_key: 'sealed: wrapped under the hospital’s key, bound to its subject',
  key_check: 'keyed: HMACs of a constant; another value stops the start',
  consent: 'chain: held against its block',
  consent_rule: 'chain: copies of what is sealed; only the sealed contract decides',
  record: 'chain: a sealed one is held against its block; a draft’s text is bound to its version',
  attachment: 'chain: those of a sealed record are named by its content',
  attachment_chunk: 'sealed: each piece is bound to its file and place',
  ledger_chain: 'chain',
  ledger_block: 'chain',
  ledger_content: 'chain',
  seal_preparation: 'sealed: its key is bound to the record; what is signed is checked against it',
  author_key: 'log: held against its logged event',
  key_event: 'log: its hash is a leaf',
  log_leaf: 'log: under signed checkpoints, and under the tagged edge',
  log_tile: 'log: as its leaves',
  log_checkpoint: 'log: signed',
  log_cosignature: 'log: signed by a witness',
  log_incarnation: 'log: its hash is the first leaf',
  audit_event: 'trail: sealed in batches',
  trail_batch: 'log: its hash is a leaf',
  revocation:
    'nothing to gain: a row only ends tokens; without it one lives ten minutes at most, after a restart, and its session is ended',
  idempotency: 'sealed: an answer is bound to its row',
  second_factor: 'sealed: seed and key are bound to row and person; the tagged account says how many there are',
  recovery_code: 'keyed: its hash is bound to the account; to take one away opens nothing',
  pending_proof: 'tagged',
  setup_offer: 'tagged',
  known_device: 'nothing to gain: a device has a counter of wrong passwords of its own, and still needs the password',
  login_counter: 'nothing to gain: it makes room for guesses, which cost an Argon2id each and are on the trail',
  rate_count: 'nothing to gain: as above',
  directory: 'sealed: bound to its row; it decides nothing',
  patient_search: 'nothing to gain: it gives candidates, and the sealed name decides',
};

let world: World;
let tagger: RowTagger;
let copy: Store;
let source: DataSource;

/** A world with a row in every tagged table, stopped, and a copy of its database. */
beforeAll(async () => {
  world = await createWorld();
  const record = await sealedDiagnosis(world.doctorA, world.patientA.id);
  await world.doctorA.api.post(`/patients/${world.patientA.id}/questions`, { text: 'Since when?' });
  await world.doctorA.api.post(`/patients/${world.patientA.id}/questions`, { text: 'Where?' });
  await ask(world.hospitalA, world.patientA.id, record);
  await world.app.close();
  tagger = new RowTagger(world.foundations.keys);
  copy = await copyOf(world);
  const db = openAsOwner(copy);
  dropUniqueIndexes(db, ...tableNames(db));
  db.close();
  source = await withBytea(new DataSource(dataSourceOptions(copy))).initialize();
  useRowTags([source], tagger);
}, 120_000);
afterAll(async () => {
  await source.destroy();
  await world.close();
});

/** Runs one statement, and says how many rows it changed. */
type Run = (sql: string, ...values: unknown[]) => Promise<number>;

/** What a verification finds after `change`, which is undone again. */
async function after(change: (run: Run) => Promise<unknown>): Promise<readonly RowFinding[]> {
  const runner = source.createQueryRunner();
  await runner.startTransaction();
  try {
    await runner.query(copy.postgres ? 'SET LOCAL session_replication_role = replica' : 'PRAGMA ignore_check_constraints = ON');
    await change(async (sql, ...values) => {
      const { affected } = await runner.query(copy.postgres ? inPostgres(sql) : sql, values, true);
      return affected ?? 0;
    });
    return (await verifyTaggedTables(runner.manager, tagger)).findings;
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
}

const isTagged = (metadata: EntityMetadata): boolean => shapeOfMetadata({ dataSource: source }, metadata).isTagged;
const tagged = (): EntityMetadata[] => source.entityMetadatas.filter(isTagged);

it('SEC-80 every table has a decision, and those that are to be tagged are', () => {
  expect(source.entityMetadatas.map(({ tableName }) => tableName).sort()).toEqual(Object.keys(DECISIONS).sort());
  for (const metadata of source.entityMetadatas) {
    const decision = DECISIONS[metadata.tableName];
    const actual = isTagged(metadata) ? (isCounted(metadata) ? 'counted' : 'tagged') : undefined;
    expect([metadata.tableName, actual ?? decision]).toEqual([metadata.tableName, decision]);
    expect([metadata.tableName, actual === undefined]).toEqual([metadata.tableName, decision !== 'counted' && decision !== 'tagged']);
  }
});

it('nothing is found before anything is altered', async () => {
  expect(await after(() => Promise.resolve())).toEqual([]);
});

/** By the table itself: a key that is taken, a cell that may not be null; on PostgreSQL also another type, or more than fits. */
const REFUSED = /constraint|invalid input syntax|is of type|invalid byte sequence|incorrect binary data|too long|out of range/i;

it('SEC-78 SEC-80 each cell of each tagged table: altered, taken from another row, or emptied, it is found', async () => {
  let tried = 0;
  for (const { tableName, columns, primaryColumns } of tagged()) {
    const [key] = primaryColumns;
    for (const { databaseName: column } of columns) {
      const db = openAsOwner(copy);
      const [row, other] = rows<Record<string, unknown>>(db, `SELECT * FROM "${tableName}" ORDER BY "${column}" IS NULL, rowid LIMIT 2`);
      db.close();
      if (!row) continue; // nothing waits for a log, nobody is witnessed: tested with rows of their own
      for (const value of new Set([row[column] === null ? 'x' : null, another(row[column]), other?.[column] ?? 1])) {
        if (same(value, row[column]) || (value === null && column === key?.databaseName)) continue;
        let changed = 0;
        const found = await after(async (run) => {
          const sql = `UPDATE "${tableName}" SET "${column}" = ? WHERE "${key?.databaseName}" = ?`;
          changed = await run(sql, value, row[key?.databaseName ?? '']);
        }).catch((error: unknown) => {
          if (!REFUSED.test(String(error))) throw error;
        });
        if (!found || changed === 0) continue;
        tried += changed;
        expect([tableName, column, found.length]).not.toEqual([tableName, column, 0]);
      }
    }
  }
  expect(tried).toBeGreaterThan(120);
});

it('SEC-80 a whole row of a counted table that is gone, or was put back as it once was, is missed', async () => {
  for (const { tableName: table } of tagged().filter(isCounted))
    expect(await after((run) => run(`DELETE FROM "${table}" WHERE rowid = (SELECT MAX(rowid) FROM "${table}")`))).toEqual([
      { table, id: null },
    ]);
  const old = formerAccount();
  const cells = Object.keys(old).map((name) => `"${name}" = ?`);
  const found = await after((run) => run(`UPDATE account SET ${cells.join()} WHERE id = ?`, ...Object.values(old), old['id']));
  expect(found).toEqual([{ table: 'account', id: null }]);
});

/** An account as this server could have written it at another time. Only an old copy of the file has such a row; here it is made with the key. */
function formerAccount(): Record<string, unknown> {
  const db = openAsOwner(copy);
  const [row] = rows<Record<string, unknown>>(db, 'SELECT * FROM account LIMIT 1');
  db.close();
  const before: Record<string, unknown> = { ...row, codeExpiresAt: 3 };
  const cells = Object.entries(before).filter(([name]) => name !== 'rowTag') as [string, string | number | null | Buffer][];
  return { ...before, rowTag: tagger.tag('account', cells) };
}

it('SEC-80 sums that are gone or of somebody’s making are found', async () => {
  for (const sql of ['DELETE FROM row_set', 'UPDATE row_set SET sums = zeroblob(200)', `UPDATE row_set SET sums = 'x'`])
    expect(await after((run) => run(sql))).toEqual([{ table: 'row_set', id: null }]);
});

function another(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string') return `${value}x`;
  return createHash('sha256')
    .update(Buffer.isBuffer(value) ? value : randomBytes(4))
    .digest();
}

function same(a: unknown, b: unknown): boolean {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b;
}
