import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import { DataSource, type EntityManager, SelectQueryBuilder } from 'typeorm';
import { BlindIndex } from './blind-index';
import { cryptoEntities } from './crypto-entities';
import { CryptoError } from './crypto-error';
import { CryptoModule } from './crypto.module';
import { DataKeyRow } from './data-key.entity';
import { KekRow } from './kek.entity';
import { KeyCheckRow } from './key-check.entity';
import { loadKeyFiles } from './key-files';
import { KeyRing, vaultKey } from './key-ring.service';
import { Argon2idHasher, PasswordHasher } from './password-hasher';
import { FileRoot } from './file-root';
import type { DataRoots } from './root-keys';
import type { Subject } from './vault';

const secret = (): KeyObject => createSecretKey(randomBytes(32));
const newRoot = () => new FileRoot(secret());
const keys: DataRoots = { root: newRoot(), indexKey: secret(), pepperKey: secret(), ledgerKey: secret() };
const jane: Subject = { subjectId: 'patient-1', tenantId: 'tenant-1' };
const john: Subject = { subjectId: 'patient-2', tenantId: 'tenant-1' };
const janeElsewhere: Subject = { subjectId: 'patient-1', tenantId: 'tenant-2' };

describe('KeyRing', () => {
  let db: DataSource;
  let ring: KeyRing;
  let queries = 0;
  const make = (subject: Subject, by = ring) => db.transaction((tx) => by.vault(tx, subject));
  const count = async (work: () => Promise<unknown>) => {
    const before = queries;
    await work();
    return queries - before;
  };

  beforeEach(async () => {
    // better-sqlite3 13 needs Node-API 10 (Node >= 22.14); Node 20 has version 12 under an alias
    const name = Number(process.versions['napi']) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20';
    const { default: driver } = (await import(name)) as { default: unknown };
    const logger = {
      logQuery: () => void queries++,
      logQueryError() {},
      logQuerySlow() {},
      logSchemaBuild() {},
      logMigration() {},
      log() {},
    };
    db = await new DataSource({
      type: 'better-sqlite3',
      driver,
      database: ':memory:',
      entities: cryptoEntities,
      synchronize: true,
      logger,
      logging: ['query'],
    }).initialize();
    ring = new KeyRing(keys);
    await ring.verifyRoot(db.manager);
  });
  afterEach(() => db.destroy());

  it('makes one key per subject and one KEK per hospital, and finds them again', async () => {
    const sealed = (await make(jane)).seal('patient.name', 'row-1', 'Jane');
    await make(jane);
    await make(john);
    await make(janeElsewhere);
    expect(await db.manager.count(KekRow)).toBe(2);
    expect(await db.manager.count(DataKeyRow)).toBe(3);
    const vault = await new KeyRing(keys).vault(db.manager, jane);
    expect(vault.open('patient.name', 'row-1', sealed)).toBe('Jane');
    const [row] = await db.manager.find(DataKeyRow, { where: jane });
    expect(row).toMatchObject({
      dekId: sealed.bytes.toString('hex', 2, 18),
      kekVersion: 1,
      state: 'active',
      createdAt: expect.any(Number),
    });
  });

  it('SEC-78 a field of one patient or hospital does not open in the vault of another', async () => {
    const [a, b, c] = [await make(jane), await make(john), await make(janeElsewhere)];
    const sealed = a.seal('patient.name', 'row-1', 'Jane');
    for (const other of [b, c]) expect(() => other.open('patient.name', 'row-1', sealed)).toThrow(new CryptoError('envelope_wrong_key'));
  });

  it('makes no key outside a transaction', async () => {
    await expect(ring.vault(db.manager, jane)).rejects.toThrow(new CryptoError('key_missing'));
    expect(await db.manager.count(DataKeyRow)).toBe(0);
    await expect(make({ ...jane, subjectId: '' })).rejects.toThrow(new CryptoError('bad_context'));
  });

  it('never caches a key of a transaction that rolls back', async () => {
    const failed = db.transaction(async (tx) => {
      await ring.vault(tx, jane); // made
      await ring.vault(tx, jane); // read in the same transaction
      await ring.existingVaults(tx, [jane]);
      throw new Error('roll back');
    });
    await expect(failed).rejects.toThrow('roll back');
    await expect(ring.vault(db.manager, jane)).rejects.toThrow(new CryptoError('key_missing'));
    expect(await ring.existingVaults(db.manager, [jane])).toEqual(new Map());
    const sealed = (await make(jane)).seal('patient.name', 'row-1', 'Jane');
    expect((await new KeyRing(keys).vault(db.manager, jane)).open('patient.name', 'row-1', sealed)).toBe('Jane');
  });

  it('the same after a roll back to a savepoint', async () => {
    await db.transaction(async (tx) => {
      const failed = tx.transaction(async (inner) => {
        await ring.vault(inner, jane).then(() => ring.vault(inner, jane)); // made, then read
        throw new Error('roll back');
      });
      await expect(failed).rejects.toThrow('roll back');
      expect(await ring.existingVaults(tx, [jane])).toEqual(new Map());
    });
    await expect(ring.vault(db.manager, jane)).rejects.toThrow(new CryptoError('key_missing'));
  });

  it('caches keys read outside a transaction, and uses them inside', async () => {
    await make(jane);
    expect(await count(() => ring.vault(db.manager, jane))).toBe(1);
    expect(await count(() => ring.vault(db.manager, jane))).toBe(0);
    expect(await count(() => db.transaction((tx) => ring.vault(tx, jane)))).toBe(2); // BEGIN and COMMIT
    ring.forget(jane);
    expect(await count(() => ring.vault(db.manager, jane))).toBe(1);
  });

  it('existingVaults: one query for all, only those that exist, never of another hospital', async () => {
    await make(jane);
    await make(john);
    const stranger = { subjectId: 'patient-2', tenantId: 'tenant-2' };
    await make({ subjectId: 'patient-9', tenantId: 'tenant-2' });
    let vaults = new Map<string, unknown>();
    expect(await count(async () => (vaults = await ring.existingVaults(db.manager, [jane, john, janeElsewhere, stranger])))).toBe(1);
    expect([...vaults.keys()].sort()).toEqual([vaultKey(jane), vaultKey(john)]);
    expect(await count(() => ring.existingVaults(db.manager, [jane, john]))).toBe(0);
    expect(await ring.existingVaults(db.manager, [])).toEqual(new Map());
  });

  it('SEC-78 a wrapped key moved to another subject, or with another id, is rejected', async () => {
    await make(jane);
    await make(john);
    await db.query(
      `UPDATE data_key SET wrapped = (SELECT wrapped FROM data_key WHERE subjectId = 'patient-2') WHERE subjectId = 'patient-1'`,
    );
    await expect(ring.vault(db.manager, jane)).rejects.toThrow(new CryptoError('key_rejected'));
    await db.query(`UPDATE data_key SET dekId = '${'0'.repeat(32)}' WHERE subjectId = 'patient-2'`);
    await expect(ring.vault(db.manager, john)).rejects.toThrow(new CryptoError('key_rejected'));
    await db.query(`DELETE FROM kek`);
    await expect(ring.vault(db.manager, john)).rejects.toThrow(new CryptoError('key_rejected'));
  });

  it('SEC-85 a destroyed key is gone from the row and the cache, and is not made again', async () => {
    await make(jane);
    await ring.vault(db.manager, jane);
    const wrapped = (await db.manager.findOneByOrFail(DataKeyRow, jane)).wrapped;
    await db.transaction((tx) => ring.destroy(tx, jane));
    for (const manager of [db.manager, undefined]) {
      const attempt = manager ? ring.vault(manager, jane) : make(jane);
      await expect(attempt).rejects.toThrow(new CryptoError('key_destroyed'));
    }
    expect(await ring.existingVaults(db.manager, [jane])).toEqual(new Map());
    const row = await db.manager.findOneByOrFail(DataKeyRow, jane);
    expect(row.state).toBe('destroyed');
    expect(row.wrapped.includes(wrapped.subarray(42, 74))).toBe(false);
  });

  it('SEC-85 a request that read the key just before it was destroyed does not put it back into the cache', async () => {
    await make(jane);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let read = (): void => undefined;
    const wasRead = new Promise<void>((resolve) => (read = resolve));
    // The driver gives the old row, and the caller learns it only after the commit.
    const slow = jest.spyOn(SelectQueryBuilder.prototype, 'getRawMany').mockImplementationOnce(async function (
      this: SelectQueryBuilder<DataKeyRow>,
    ) {
      slow.mockRestore();
      const found = await this.getRawMany<object>();
      read();
      await held;
      return found;
    });
    const reading = ring.vault(db.manager, jane);
    await wasRead;
    await db.transaction((tx) => ring.destroy(tx, jane));
    release();
    await reading;
    await expect(ring.vault(db.manager, jane)).rejects.toThrow(new CryptoError('key_destroyed'));
    expect(await ring.existingVaults(db.manager, [jane])).toEqual(new Map());
  });

  describe('verifyRoot', () => {
    const verify = (changed: Partial<DataRoots>, manager: EntityManager = db.manager) =>
      new KeyRing({ ...keys, ...changed }).verifyRoot(manager);

    it.each([
      ['root', 'wrong_root_key'],
      ['indexKey', 'wrong_index_key'],
      ['pepperKey', 'wrong_pepper_key'],
      ['ledgerKey', 'wrong_ledger_key'],
    ] as const)('SEC-84 a wrong %s refuses, with data and without', async (name, code) => {
      await expect(verify({ [name]: name === 'root' ? newRoot() : secret() })).rejects.toThrow(new CryptoError(code));
      await make(jane);
      await expect(verify({ [name]: name === 'root' ? newRoot() : secret() })).rejects.toThrow(new CryptoError(code));
      await verify({});
    });

    it('SEC-84 one damaged KEK among good ones refuses', async () => {
      await make(jane);
      await make(janeElsewhere);
      await db.query(`UPDATE kek SET wrapped = (SELECT wrapped FROM kek WHERE tenantId = 'tenant-1') WHERE tenantId = 'tenant-2'`);
      await expect(verify({})).rejects.toThrow(new CryptoError('wrong_root_key'));
    });

    it('SEC-84 check values are written at the first start only', async () => {
      await make(jane);
      await db.manager.deleteAll(KeyCheckRow);
      await expect(verify({ indexKey: secret() })).rejects.toThrow(new CryptoError('key_check_missing'));
      expect(await db.manager.count(KeyCheckRow)).toBe(0);
    });
  });
});

it('CryptoModule provides everything from injected settings', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ehr-keys-'));
  try {
    const made = loadKeyFiles(dir, { create: true });
    const module = await Test.createTestingModule({ imports: [CryptoModule.register({ useFactory: () => ({ keys: made }) })] }).compile();
    expect(module.get(KeyRing)).toBeInstanceOf(KeyRing);
    expect(module.get(BlindIndex)).toBeInstanceOf(BlindIndex);
    expect(module.get(PasswordHasher)).toBeInstanceOf(Argon2idHasher);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
