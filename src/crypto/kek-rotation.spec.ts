import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { DataSource } from 'typeorm';
import { sqliteOptions } from '../database/sqlite-options';
import { cryptoEntities } from './crypto-entities';
import { CryptoError } from './crypto-error';
import { DataKeyRow } from './data-key.entity';
import { FileRoot } from './file-root';
import { KekRotation, kekStates, rewrapKeks } from './kek-rotation';
import { KekRow } from './kek.entity';
import { KeyRing } from './key-ring.service';
import type { DataRoots } from './root-keys';
import type { Subject } from './vault';

const secret = (): KeyObject => createSecretKey(randomBytes(32));
const keys: DataRoots = { root: new FileRoot(secret()), indexKey: secret(), pepperKey: secret(), ledgerKey: secret() };
const rotation = new KekRotation(keys.root);
const HOSPITAL = 'tenant-1';
const SUBJECTS = 250;
const subject = (number: number): Subject => ({ subjectId: `subject-${String(number).padStart(4, '0')}`, tenantId: HOSPITAL });
const elsewhere: Subject = { subjectId: 'subject-0001', tenantId: 'tenant-2' };

describe('SEC-83 KekRotation', () => {
  let db: DataSource;
  /** With an empty cache: every key is unwrapped anew. */
  const open = async (of: Subject) =>
    (await new KeyRing(keys).vault(db.manager, of)).open('patient.name', 'row', sealed.get(of) ?? fail(of));
  const sealed = new Map<Subject, ReturnType<Awaited<ReturnType<KeyRing['vault']>>['seal']>>();
  const fail = (of: Subject): never => {
    throw new Error(`nothing was sealed for ${of.subjectId}`);
  };
  const seal = (of: Subject) =>
    db.transaction(async (tx) => void sealed.set(of, (await new KeyRing(keys).vault(tx, of)).seal('patient.name', 'row', of.subjectId)));
  const page = (after: string) => db.transaction((tx) => rotation.rewrapPage(tx, HOSPITAL, after));
  const begin = (tenantId = HOSPITAL) => db.transaction((tx) => rotation.begin(tx, tenantId));
  const retire = (version: number) => db.transaction((tx) => rotation.retire(tx, HOSPITAL, version));
  const states = async () =>
    (await kekStates(db.manager)).map(({ tenantId, version, state, dataKeys }) => `${tenantId}/${version} ${state} ${dataKeys}`);
  const first = subject(0);

  beforeEach(async () => {
    sealed.clear();
    db = await new DataSource({
      ...sqliteOptions(':memory:', { entities: cryptoEntities, migrations: [] }, false),
      synchronize: true,
    }).initialize();
    await new KeyRing(keys).verifyRoot(db.manager);
    await seal(first);
    await seal(elsewhere);
    const ring = new KeyRing(keys);
    await db.transaction(async (tx) => {
      for (let number = 1; number < SUBJECTS; number++) await ring.vault(tx, subject(number));
    });
  });
  afterEach(() => db.destroy());

  it('from the new version on the former one is decrypt-only: it opens what it wrapped, and wraps nothing', async () => {
    expect(await begin()).toEqual({ version: 2, isNew: true });
    const late = subject(9999);
    await seal(late);
    expect((await db.manager.findOneByOrFail(DataKeyRow, late)).kekVersion).toBe(2);
    expect(await states()).toEqual([`tenant-1/1 decrypt-only ${SUBJECTS}`, 'tenant-1/2 current 1', 'tenant-2/1 current 1']);
    expect([await open(first), await open(late)]).toEqual([first.subjectId, late.subjectId]);
  });

  it('takes over every key of the hospital, page by page, and of no other; then the former one can go', async () => {
    await begin();
    expect(await page('')).toEqual({ moved: 100, last: 'subject-0099' });
    expect(await begin()).toEqual({ version: 2, isNew: false }); // interrupted: no third version
    await expect(retire(1)).rejects.toThrow(new CryptoError('kek_in_use'));
    expect(await page('')).toEqual({ moved: 0, last: 'subject-0099' });
    expect(await page('subject-0099')).toEqual({ moved: 100, last: 'subject-0199' });
    expect(await page('subject-0199')).toEqual({ moved: 50, last: undefined });
    await retire(1);
    expect(await states()).toEqual([`tenant-1/2 current ${SUBJECTS}`, 'tenant-2/1 current 1']);
    expect([await open(first), await open(elsewhere)]).toEqual([first.subjectId, elsewhere.subjectId]);
    expect(await begin()).toEqual({ version: 3, isNew: true }); // a number is never used twice
  });

  it('refuses to retire the current version or one that is not there, and to rotate for nobody', async () => {
    await expect(retire(1)).rejects.toThrow(new CryptoError('kek_in_use'));
    await expect(retire(2)).rejects.toThrow(new CryptoError('kek_missing'));
    await expect(begin('nobody')).rejects.toThrow(new CryptoError('kek_missing'));
  });

  it('an erased key stays erased and keeps no version alive', async () => {
    await db.transaction((tx) => new KeyRing(keys).destroy(tx, first));
    await begin();
    for (let after: string | undefined = ''; after !== undefined;) after = (await page(after)).last;
    const row = await db.manager.findOneByOrFail(DataKeyRow, first);
    expect([row.state, row.kekVersion, row.wrapped.equals(Buffer.alloc(64))]).toEqual(['destroyed', 1, true]);
    await retire(1);
    await expect(open(first)).rejects.toThrow(new CryptoError('key_destroyed'));
  });

  it.each([
    ['a damaged key', `UPDATE data_key SET wrapped = zeroblob(200) WHERE subjectId = 'subject-0050'`],
    [
      'a key swapped with another',
      `UPDATE data_key SET wrapped = (SELECT wrapped FROM data_key WHERE subjectId = 'subject-0051') WHERE subjectId = 'subject-0050'`,
    ],
    ['a key of another version', `UPDATE data_key SET kekVersion = 7 WHERE subjectId = 'subject-0050'`],
  ])('SEC-79 %s stops the page, which changes nothing', async (_name, sql) => {
    await begin();
    await db.query(sql);
    await expect(page('')).rejects.toThrow(new CryptoError('key_rejected'));
    expect(await db.manager.countBy(DataKeyRow, { kekVersion: 2 })).toBe(0);
  });

  it('another root takes over all KEKs at once; the former one is refused from then on', async () => {
    const next = new FileRoot(secret());
    const before = await db.manager.find(DataKeyRow, { order: { dekId: 'ASC' } });
    expect(await db.transaction((tx) => rewrapKeks(tx, keys.root, next))).toBe(2);
    await new KeyRing({ ...keys, root: next }).verifyRoot(db.manager);
    await expect(new KeyRing(keys).verifyRoot(db.manager)).rejects.toThrow(new CryptoError('wrong_root_key'));
    expect(await db.manager.find(DataKeyRow, { order: { dekId: 'ASC' } })).toEqual(before);
  });

  it('a damaged KEK stops the change of root, which changes nothing', async () => {
    await db.query(`UPDATE kek SET wrapped = (SELECT wrapped FROM kek WHERE tenantId = 'tenant-1') WHERE tenantId = 'tenant-2'`);
    const before = await db.manager.find(KekRow, { order: { tenantId: 'ASC' } });
    await expect(db.transaction((tx) => rewrapKeks(tx, keys.root, new FileRoot(secret())))).rejects.toThrow(
      new CryptoError('key_rejected'),
    );
    expect(await db.manager.find(KekRow, { order: { tenantId: 'ASC' } })).toEqual(before);
  });
});
