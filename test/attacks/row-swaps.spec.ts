import { rmSync } from 'node:fs';
import { damaged } from '../support/damage';
import { type RawDatabase, rows, storedChain, type StoredRow } from '../support/raw-database';
import { createWorld, sealedDiagnosis, type World } from '../support/world';

let world: World;
let one: string;
let two: string;
beforeAll(async () => {
  world = await createWorld({ LEDGER_SCRUB_BLOCKS: '0' });
  [one, two] = [world.patientA.id, world.patientB.id];
  for (let index = 0; index < 3; index += 1) await sealedDiagnosis(world.doctorA, one, `note ${index}`);
  await sealedDiagnosis(world.doctorB, two, 'of somebody else');
  await world.app.close();
}, 120_000);
afterAll(() => rmSync(world.dir, { recursive: true, force: true }));

function blockOf(db: RawDatabase, patient: string, height: number): StoredRow {
  const block = storedChain(db, patient)[height];
  if (!block) throw new Error('no block');
  return block;
}
function swapCiphertexts(db: RawDatabase, first: StoredRow, second: StoredRow): void {
  const of = (row: StoredRow) =>
    rows<{ ciphertext: Buffer }>(db, 'SELECT ciphertext FROM ledger_content WHERE recordId = ?', row.recordId)[0];
  const [a, b] = [of(first)?.ciphertext, of(second)?.ciphertext];
  const put = db.prepare('UPDATE ledger_content SET ciphertext = ? WHERE recordId = ?');
  put.run(b, first.recordId);
  put.run(a, second.recordId);
}

describe.each([
  ['with keys', {}],
  ['without keys', { withoutKeys: true }],
])('whoever owns the database file, %s', (_how, options) => {
  test('ATTACK edit a header: its hash, its link and its leaf do not fit', async () => {
    const found = await damaged(
      world,
      (db) => {
        const { chainId, header } = blockOf(db, one, 2);
        header[81] = (header[81] ?? 0) ^ 1; // a millisecond of `sealedAt`
        db.prepare('UPDATE ledger_block SET header = ? WHERE chainId = ? AND height = 2').run(header, chainId);
      },
      options,
    );
    expect(found.summary.bad).toBe(1);
    expect(found.inChains).toEqual(expect.arrayContaining([`${one} HEADER_MISMATCH 2 blockHash`, `${one} BROKEN_LINK 3 header.prevHash`]));
  });

  test('ATTACK swap two ciphertexts of two records', async () => {
    const found = await damaged(world, (db) => swapCiphertexts(db, blockOf(db, one, 1), blockOf(db, one, 2)), options);
    expect(found.inChains).toEqual([`${one} CIPHERTEXT_MISMATCH 1 ciphertext`, `${one} CIPHERTEXT_MISMATCH 2 ciphertext`]);
  });

  test('ATTACK swap two ciphertexts of two patients', async () => {
    const found = await damaged(world, (db) => swapCiphertexts(db, blockOf(db, one, 1), blockOf(db, two, 1)), options);
    expect([...found.inChains].sort()).toEqual(
      [`${one} CIPHERTEXT_MISMATCH 1 ciphertext`, `${two} CIPHERTEXT_MISMATCH 1 ciphertext`].sort(),
    );
  });

  test('ATTACK reorder: two blocks of a chain change places', async () => {
    const found = await damaged(
      world,
      (db) => {
        const { chainId } = blockOf(db, one, 1);
        const move = db.prepare('UPDATE ledger_block SET height = ? WHERE chainId = ? AND height = ?');
        for (const [from, to] of [[1, 99], [2, 1], [99, 2]]) move.run(to, chainId, from); // prettier-ignore
      },
      options,
    );
    expect(found.summary.bad).toBe(1);
    expect(found.inChains).toEqual(
      expect.arrayContaining([
        `${one} HEADER_MISMATCH 1 header.height`,
        `${one} BROKEN_LINK 1 header.prevHash`,
        `${one} HEADER_MISMATCH 2 header.height`,
      ]),
    );
  });
});
