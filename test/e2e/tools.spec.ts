import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ChainVerdictBase } from '../../src/ledger/ledger.dto';
import { readBundleFolder } from '../../src/tools/bundle-files';
import { DemoConsole } from '../../src/tools/demo-console';
import { HttpClient } from '../../src/tools/http-client';
import { importBundles, importWithProgress, summaryLine } from '../../src/tools/import-bundles';
import { samplePatients } from '../../src/tools/sample-patients';
import { linesOf, auditData, type AuditOptions } from '../../src/tools/audit-data';
import { addTotp, again, totpAt } from '../support/second-factors';
import { openAsOwner } from '../support/database-copy';
import { type RawDatabase, rows } from '../support/raw-database';
import { createWorld, PASSWORD, sealedDiagnosis, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

async function audit(options: AuditOptions = {}) {
  const verdicts: ChainVerdictBase[] = [];
  const summary = await auditData(world.foundations.config, options, (verdict) => verdicts.push(verdict));
  return { summary, verdicts, bad: verdicts.filter((verdict) => verdict.verdict !== 'VALID') };
}

/** As somebody who owns the database, past its triggers. */
function asOwner<T>(work: (db: RawDatabase) => T): T {
  const db = openAsOwner(world.foundations.config);
  try {
    return work(db);
  } finally {
    db.close();
  }
}

function lines() {
  const written: string[] = [];
  return { written, write: (text: string) => written.push(text) };
}

describe('audit', () => {
  it('R17 finds an intact database valid, with and without keys, while the server writes', async () => {
    const seals = Array.from({ length: 5 }, (_, i) => sealedDiagnosis(world.doctorA, world.patientA.id, `note ${i}`));
    const during = await audit();
    await Promise.all(seals);
    expect(during.bad).toEqual([]);
    const all = await audit();
    expect(all.bad).toEqual([]);
    expect(all.summary).toMatchObject({ chains: all.verdicts.length, bad: 0 });
    expect((await audit({ withoutKeys: true })).bad).toEqual([]);
    const one = await audit({ patientId: world.patientA.id });
    expect(one.verdicts.map(({ patientId }) => patientId)).toEqual([world.patientA.id]);
  });

  it('R17 ATTACK one changed byte is named by patient, height, field and record, and nothing else is', async () => {
    const recordId = await sealedDiagnosis(world.doctorA, world.patientA.id);
    const flip = () =>
      asOwner((db) => {
        const [row] = rows<{ ciphertext: Buffer }>(db, 'SELECT ciphertext FROM ledger_content WHERE recordId = ?', recordId);
        const bytes = Buffer.from(row?.ciphertext ?? []);
        bytes[40] = (bytes[40] ?? 0) ^ 1;
        db.prepare('UPDATE ledger_content SET ciphertext = ? WHERE recordId = ?').run(bytes, recordId);
        const [block] = rows<{ height: number }>(db, 'SELECT height FROM ledger_block WHERE recordId = ?', recordId);
        return block?.height ?? -1;
      });
    const height = flip();
    for (const options of [{}, { withoutKeys: true }]) {
      const { bad, summary } = await audit(options);
      expect(summary.bad).toBe(1);
      expect(bad).toMatchObject([
        {
          patientId: world.patientA.id,
          verdict: 'TAMPERED',
          findings: [{ code: 'CIPHERTEXT_MISMATCH', height, field: 'ciphertext', recordId }],
        },
      ]);
      expect(bad.flatMap(linesOf)[1]).toBe(
        `  TAMPERED patient ${world.patientA.id} height ${height} field ciphertext CIPHERTEXT_MISMATCH record ${recordId}`,
      );
    }
    flip();
    expect((await audit()).bad).toEqual([]);
  });

  it('R17 ATTACK a forged tail, a cut tail and a chain without its head row are seen', async () => {
    await sealedDiagnosis(world.doctorA, world.patientA.id);
    const { patientA } = world;
    const chain = `SELECT chainId FROM ledger_chain WHERE patientId = '${patientA.id}'`;
    const move = (by: number) =>
      asOwner((db) => db.prepare(`UPDATE ledger_chain SET height = height + (${by}) WHERE patientId = ?`).run(patientA.id));
    for (const by of [-1, 1]) {
      move(by);
      expect((await audit()).bad).toMatchObject([{ patientId: patientA.id, findings: [{ code: 'HEAD_MISMATCH', field: 'head.height' }] }]);
      move(-by);
    }
    const [row] = asOwner((db) => {
      const found = rows(db, `SELECT * FROM ledger_chain WHERE chainId IN (${chain})`);
      db.prepare(`DELETE FROM ledger_chain WHERE patientId = ?`).run(patientA.id);
      return found;
    });
    expect((await audit()).bad).toMatchObject([{ patientId: patientA.id, verdict: 'TAMPERED', findings: [{ code: 'HEAD_MISMATCH' }] }]);
    const [columns, values] = [Object.keys(row ?? {}), Object.values(row ?? {})];
    asOwner((db) =>
      db.prepare(`INSERT INTO ledger_chain (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`).run(...values),
    );
    expect((await audit()).bad).toEqual([]);
  });

  it('R17 ATTACK an altered key of a patient is a finding, and the other chains are still walked', async () => {
    await sealedDiagnosis(world.doctorB, world.patientB.id);
    const swap = () =>
      asOwner((db) =>
        db
          .prepare(`UPDATE data_key SET wrapped = substr(wrapped, 1, length(wrapped) - 1) || x'00' WHERE subjectId = ?`)
          .run(world.patientB.id),
      );
    const [kept] = asOwner((db) =>
      rows<{ wrapped: Buffer }>(db, 'SELECT wrapped FROM data_key WHERE subjectId = ? AND state = ?', world.patientB.id, 'active'),
    );
    swap();
    const { bad, summary } = await audit();
    expect(summary.chains).toBeGreaterThan(1);
    expect(bad).toMatchObject([{ patientId: world.patientB.id, verdict: 'TAMPERED' }]);
    expect(bad[0]?.findings.every(({ code }) => code === 'CONTENT_MISMATCH')).toBe(true);
    asOwner((db) => db.prepare('UPDATE data_key SET wrapped = ? WHERE subjectId = ?').run(kept?.wrapped, world.patientB.id));
    expect((await audit()).bad).toEqual([]);
  });

  it('says what is missing: the database, the keys, the patient', async () => {
    const { config } = world.foundations;
    const nothing = () => undefined;
    const file = { ...config, postgres: null };
    await expect(auditData({ ...file, sqlitePath: join(world.dir, 'none') }, {}, nothing)).rejects.toThrow('There is no database');
    await expect(auditData({ ...config, keysDir: join(world.dir, 'none') }, {}, nothing)).rejects.toThrow(/key_file_missing|root\.key/);
    await expect(audit({ patientId: 'nobody' })).rejects.toThrow('No chain here');
    const other = join(world.dir, 'other.sqlite');
    writeFileSync(other, 'this is not a database, whatever its name says');
    await expect(auditData({ ...file, sqlitePath: other }, {}, nothing)).rejects.toThrow('cannot be opened');
  });
});

describe('import', () => {
  it('one bad file among good ones is refused with its element; the others are sealed', async () => {
    const dir = join(world.dir, 'bundles');
    mkdirSync(dir);
    const [first, second, third] = samplePatients(3, 7).map(({ text }) => text);
    writeFileSync(join(dir, 'a.json'), first ?? '');
    writeFileSync(
      join(dir, 'b.json'),
      (second ?? '').replace('"resourceType":"Observation"', '"resourceType":"Observation","colour":"red"'),
    );
    writeFileSync(join(dir, 'c.json.gz'), gzipSync(third ?? ''));
    writeFileSync(join(dir, 'd.json'), '{"resourceType":"Bundle",');
    writeFileSync(join(dir, 'e.json.gz'), 'not gzip');
    writeFileSync(join(dir, 'MANIFEST.json'), '[{"file":"a.json","resourceType":"Bundle"}]');
    const organization = { resourceType: 'Organization', name: 'Coast Clinic' };
    writeFileSync(join(dir, 'z.json'), JSON.stringify({ resourceType: 'Bundle', type: 'collection', entry: [{ resource: organization }] }));
    const folder = await readBundleFolder(dir);
    expect(folder.skipped).toEqual(['MANIFEST.json']);
    expect(folder.sources.map(({ fileName }) => fileName)).toEqual(['z.json', 'a.json', 'b.json', 'c.json.gz', 'd.json', 'e.json.gz']);

    const client = await HttpClient.login(world.url, world.hospitalA.username, PASSWORD);
    const output = lines();
    const summary = await importWithProgress(client, folder.sources, output);
    expect(summary.patients).toBe(2);
    expect(summary.refused.map(({ fileName }) => fileName)).toEqual(['b.json', 'd.json', 'e.json.gz']);
    expect(summary.refused[0]?.faults[0]).toMatchObject({ path: expect.stringMatching(/^entry\[\d+\]\.resource\.colour$/) });
    for (const result of summary.results.filter(({ faults }) => faults.length === 0)) expect(result.sealed).toBe(result.expected);
    expect(output.written.join('')).toContain('✗ b.json');
    expect(summaryLine(summary)).toContain('3 files refused');
    await world.expectChainsIntact();
  });

  it('sent again, the same bundle is the same import; an expired token is renewed', async () => {
    const [sample] = samplePatients(1, 99);
    const source = { fileName: 'x.json', read: () => Promise.resolve(sample?.text ?? '') };
    const client = await HttpClient.login(world.url, world.hospitalA.username, PASSWORD);
    const once = await importBundles(client, [source]);
    world.clock.advance(11 * 60_000);
    const again = await importBundles(client, [source]);
    expect(once.refused).toEqual([]);
    expect(once).toMatchObject({ patients: 1, results: [{ repeated: false }] });
    expect(again).toMatchObject({ patients: 0, sealed: 0, refused: [], results: [{ repeated: true, faults: [] }] });
    await world.expectChainsIntact();
  });

  test('an account with a second factor signs in with a code, and not without', async () => {
    const hospital = await addTotp(world, await again(world, world.hospitalB));
    const { username, seed } = hospital;
    const signIn = (code: string) => HttpClient.login(world.url, username, PASSWORD, () => code);
    await expect(HttpClient.login(world.url, username, PASSWORD)).rejects.toThrow('The server refused the sign-in: 400');
    await expect(signIn('000000')).rejects.toThrow('The server refused the sign-in: 401');
    expect((await (await signIn(totpAt(seed, world.clock.now()))).send('GET', '/auth/me')).status).toBe(200);
  });

  it('a wrong password is refused without saying more', async () => {
    await expect(HttpClient.login(world.url, world.hospitalB.username, 'not the right password')).rejects.toThrow(
      /refused the sign-in: 401/,
    );
  });
});

test('the demonstration counts what did not hold, and is plain where there is no terminal', () => {
  const output = lines();
  const console = new DemoConsole(output);
  console.step('A step');
  console.check(true, 'holds', '1', '1');
  console.check(false, 'does not', '200', '500 internal_error');
  expect(console.failures).toBe(1);
  const text = output.written.join('');
  expect(text).toContain('expected 200; found 500 internal_error');
  expect(text).not.toContain('\u001b');
});
