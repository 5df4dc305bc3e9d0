import { format, inspect } from 'node:util';
import { Column, DataSource, Entity, IsNull, Not, PrimaryColumn } from 'typeorm';
import { CryptoError } from './crypto-error';
import { DataKey } from './data-key';
import { Sealed, SealedColumn, sealedColumn } from './sealed';
import { Vault } from './vault';

@Entity('person')
class Person {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;
  @Column({ type: 'integer' })
  age!: number;
  @SealedColumn()
  name!: Sealed;
  @SealedColumn({ nullable: true })
  note!: Sealed | null;
}

const vault = new Vault(DataKey.take(DataKey.randomBytes()), { subjectId: 'subject-1', tenantId: 'tenant-1' });
const canary = 'CANARY-Jane-Doe';

describe('Sealed', () => {
  it('SEC-77 prints *** in every way there is', () => {
    const sealed = vault.seal('patient.name', 'row-1', canary);
    const row = { name: sealed, list: [sealed] };
    const careless = sealed as unknown as string; // lint refuses the next line with the true type
    expect([`${careless}`, careless + '', String(sealed), inspect(sealed)]).toEqual(['***', '***', '***', '***']);
    expect(JSON.stringify(sealed)).toBe('"***"');
    expect(JSON.stringify(row)).toBe('{"name":"***","list":["***"]}');
    expect(inspect(row, { showHidden: true, depth: 9 })).not.toMatch(/Buffer|e1 01/);
    expect(format('%s %o %O %j', sealed, sealed, sealed, sealed)).toBe('*** *** *** "***"');
    expect(Object.keys(sealed)).toEqual([]);
    expect(structuredClone(sealed)).toEqual({});
    expect(inspect(vault, { depth: 9, showHidden: true })).not.toMatch(/subject-1|Buffer/);
  });

  it('opens as what it was sealed from, and only so', () => {
    const text = vault.seal('patient.name', 'row-1', canary);
    const bytes = vault.seal('attachment.chunk', 'row-1', Buffer.from([1, 2]));
    expect(vault.open('patient.name', 'row-1', text)).toBe(canary);
    expect(vault.openBytes('attachment.chunk', 'row-1', bytes)).toEqual(Buffer.from([1, 2]));
    expect(() => vault.openBytes('patient.name', 'row-1', text)).toThrow(new CryptoError('envelope_wrong_type'));
    expect(() => vault.open('attachment.chunk', 'row-1', bytes)).toThrow(new CryptoError('envelope_wrong_type'));
    expect(() => vault.open('patient.contact', 'row-1', text)).toThrow(new CryptoError('envelope_rejected'));
    expect(() => vault.open('patient.name', 'row-2', text)).toThrow(new CryptoError('envelope_rejected'));
  });

  it('the transformer takes only Sealed, null and undefined', () => {
    for (const value of [
      canary,
      '',
      0,
      false,
      Buffer.from(canary),
      {},
      [],
      { bytes: Buffer.from(canary) },
      Object.create(Sealed.prototype) as Sealed,
    ]) {
      expect(() => sealedColumn.to(value) as unknown).toThrow();
    }
    expect([sealedColumn.to(null), sealedColumn.to(undefined), sealedColumn.from(null)]).toEqual([null, undefined, null]);
  });
});

describe('Sealed in a database', () => {
  let db: DataSource;
  const statements: string[] = [];
  const people = () => db.getRepository(Person);

  beforeAll(async () => {
    // better-sqlite3 13 needs Node-API 10 (Node >= 22.14); Node 20 has version 12 under an alias
    const name = Number(process.versions['napi']) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20';
    const { default: driver } = (await import(name)) as { default: unknown };
    const logger = {
      logQuery: (sql: string) => void statements.push(sql),
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
      entities: [Person],
      synchronize: true,
      logger,
      logging: ['query'],
    }).initialize();
  });
  afterAll(() => db.destroy());

  it('a loaded and unchanged Sealed issues no UPDATE; a new one does', async () => {
    await people().save(people().create({ id: 'row-1', age: 40, name: vault.seal('patient.name', 'row-1', canary), note: null }));
    const loaded = await people().findOneByOrFail({ id: 'row-1' });
    expect(loaded.name).toBeInstanceOf(Sealed);
    expect(loaded.note).toBeNull();
    expect(vault.open('patient.name', 'row-1', loaded.name)).toBe(canary);
    statements.length = 0;
    await people().save(loaded);
    expect(statements.filter((sql) => !sql.startsWith('SELECT'))).toEqual([]);
    loaded.age = 41;
    await people().save(loaded);
    expect(statements.filter((sql) => sql.startsWith('UPDATE'))).toEqual([expect.not.stringContaining('"name"')]);
    const before = loaded.name;
    loaded.name = vault.seal('patient.name', 'row-1', 'Other');
    await people().save(loaded);
    const after = await people().findOneByOrFail({ id: 'row-1' });
    expect(after.name.equals(before)).toBe(false);
    expect(vault.open('patient.name', 'row-1', after.name)).toBe('Other');
  });

  it('SEC-77 plaintext does not reach the column through save, insert, update or where', async () => {
    const plain = canary as unknown as Sealed;
    await expect(people().save({ id: 'row-2', age: 1, name: plain })).rejects.toThrow(CryptoError);
    await expect(people().insert({ id: 'row-2', age: 1, name: plain })).rejects.toThrow(CryptoError);
    await expect(people().update({ id: 'row-1' }, { name: plain })).rejects.toThrow(CryptoError);
    await expect(people().findBy({ name: plain })).rejects.toThrow(CryptoError);
    expect(await people().countBy({ note: IsNull(), name: Not(IsNull()) })).toBe(1);
  });

  it('SEC-78 a cell moved from another row, or replaced by text, loads but does not open', async () => {
    await people().insert({ id: 'row-3', age: 1, name: vault.seal('patient.name', 'row-3', 'Third'), note: null });
    await db.query(`UPDATE person SET name = (SELECT name FROM person WHERE id = 'row-1') WHERE id = 'row-3'`);
    const moved = await people().findOneByOrFail({ id: 'row-3' });
    expect(() => vault.open('patient.name', 'row-3', moved.name)).toThrow(new CryptoError('envelope_rejected'));
    await db.query(`UPDATE person SET name = 'text' WHERE id = 'row-3'`);
    const text = await people().findOneByOrFail({ id: 'row-3' });
    expect(() => vault.open('patient.name', 'row-3', text.name)).toThrow(new CryptoError('envelope_malformed'));
  });
});
