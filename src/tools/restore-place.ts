import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import type { Config, PostgresStore } from '../config/config';
import { ADVISORY } from '../database/advisory-locks';
import type { DataSources } from '../database/database';
import { openDataSources } from '../database/database.module';
import { isEmpty } from '../database/postgres-schema';
import { syncFolder } from './backup-files';
import { OperatorError } from './operator';

/** Where a backup is restored: aside first, where no server looks, and in place in one step when it was found whole. */
export interface RestorePlace {
  /** The settings, with the store aside in place of the server's. */
  readonly aside: Config;
  /** Makes the empty tables aside; what an earlier run left there goes. */
  open(): Promise<DataSources>;
  /** Gives the store aside its place. All connections to it are closed. */
  goLive(): Promise<void>;
  /** Takes away what is aside. */
  clear(): Promise<void>;
}

/** @throws OperatorError when there is anything in the place of the settings */
export async function restorePlace(config: Config): Promise<RestorePlace> {
  const place = config.postgres ? new SchemaPlace(config, config.postgres) : new FilePlace(config);
  await place.assertEmpty();
  return place;
}

const open = (config: Config): Promise<DataSources> => openDataSources(dataSourceOptions(config), dataSourceOptions(config, true));

/** SQLite: a file beside the database's own, and a rename. */
class FilePlace implements RestorePlace {
  readonly aside: Config;

  constructor(private readonly config: Config) {
    this.aside = { ...config, sqlitePath: `${config.sqlitePath}.restoring` };
  }

  assertEmpty(): Promise<void> {
    const { sqlitePath } = this.config;
    const [found] = ['', '-wal', '-journal'].map((end) => sqlitePath + end).filter(existsSync);
    return found === undefined
      ? Promise.resolve()
      : Promise.reject(new OperatorError(`${found} is there: a backup is restored into an empty place only`));
  }

  async open(): Promise<DataSources> {
    process.umask(0o077); // SQLite gives a new file what the mask leaves
    mkdirSync(dirname(this.config.sqlitePath), { recursive: true, mode: 0o700 });
    await this.clear();
    return open(this.aside);
  }

  /** Whoever closes the last connection has written the log into the file and taken it away. */
  async goLive(): Promise<void> {
    const { sqlitePath } = this.aside;
    if (existsSync(`${sqlitePath}-wal`)) throw new OperatorError('Somebody has the restored file open');
    const fd = openSync(sqlitePath, 'r+');
    fsyncSync(fd);
    closeSync(fd);
    await this.assertEmpty();
    renameSync(sqlitePath, this.config.sqlitePath);
    syncFolder(dirname(sqlitePath));
  }

  clear(): Promise<void> {
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(this.aside.sqlitePath + end, { force: true });
    return Promise.resolve();
  }
}

const SCHEMA = 'bjwt_ehr_restoring';

/** PostgreSQL: a schema of its own in the same database, whose tables then move, all in one transaction. */
class SchemaPlace implements RestorePlace {
  readonly aside: Config;

  constructor(
    private readonly config: Config,
    postgres: PostgresStore,
  ) {
    this.aside = { ...config, postgres: { ...postgres, schema: SCHEMA } };
  }

  async assertEmpty(): Promise<void> {
    const options = dataSourceOptions(this.config);
    if (options.type === 'postgres' && !(await isEmpty(options)))
      throw new OperatorError('The database of DATABASE_URL has tables: a backup is restored into an empty place only');
  }

  async open(): Promise<DataSources> {
    await this.clear();
    await this.beside((source) => source.query(`CREATE SCHEMA "${SCHEMA}"`));
    return open(this.aside);
  }

  goLive(): Promise<void> {
    return this.beside((source) =>
      source.transaction(async (tx) => {
        await tx.query('SELECT pg_advisory_xact_lock($1)', [ADVISORY.migrating]); // a server that starts now makes tables of its own first, or waits
        const names = (text: string) => tx.query<{ name: string }[]>(text, [SCHEMA]);
        const [{ name: target = '' } = {}] = await tx.query<{ name?: string }[]>('SELECT current_schema() AS "name"');
        const there = await tx.query<unknown[]>('SELECT 1 FROM pg_tables WHERE schemaname = $1 LIMIT 1', [target]);
        if (there.length > 0) throw new OperatorError('Somebody made tables in the database meanwhile');
        for (const { name } of await names('SELECT tablename AS "name" FROM pg_tables WHERE schemaname = $1'))
          await tx.query(`ALTER TABLE "${SCHEMA}"."${name}" SET SCHEMA "${target}"`);
        for (const { name } of await names(
          'SELECT p.proname AS "name" FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1',
        )) {
          await tx.query(`ALTER FUNCTION "${SCHEMA}"."${name}"() SET SCHEMA "${target}"`);
          await tx.query(`ALTER FUNCTION "${target}"."${name}"() SET search_path = "${target}", pg_temp`); // it looks for its tables in one schema only
        }
        await tx.query(`DROP SCHEMA "${SCHEMA}"`);
      }),
    );
  }

  clear(): Promise<void> {
    return this.beside(async (source) => {
      await source.query(`SET client_min_messages = warning`);
      await source.query(`DROP SCHEMA IF EXISTS "${SCHEMA}" CASCADE`);
    });
  }

  private async beside(work: (source: DataSource) => Promise<unknown>): Promise<void> {
    const source = await new DataSource({ ...dataSourceOptions(this.config), entities: [], migrations: [] }).initialize();
    try {
      await work(source);
    } finally {
      await source.destroy();
    }
  }
}
