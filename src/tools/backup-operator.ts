import { readFileSync } from 'node:fs';
import type { KeyObject } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import { isoTime } from '../common/clock';
import { newId } from '../common/ids';
import type { Config } from '../config/config';
import { beginBackup, newBackupKey, readBackupRecipient } from '../crypto/backup-key';
import { sealChunks } from '../crypto/chunk-stream';
import { dialectOf } from '../database/dialect';
import { withBytea } from '../database/postgres-options';
import { cosignedNote, newestCheckpoint, workOf } from '../tlog/checkpoint-store';
import { addFile, assertApart, newFileAt, writeWhole } from './backup-files';
import { type BackupClosing, type BackupLog, type BackupManifest, BackupWriter } from './backup-format';
import { backedUpTables, pagesOf, tableOf } from './backup-tables';
import { atWork } from './keys-operator';
import { assertDatabase, OperatorError } from './operator';

/** A backup that is on its medium. */
export interface MadeBackup {
  readonly path: string;
  readonly bytes: number;
  /** Of the file, hex. */
  readonly sha256: string;
  readonly manifest: BackupManifest;
  readonly closing: BackupClosing;
}

/** Makes a backup key: the private half at `path`, which opens backups and stays away from the server, and the public half beside it, as `<path>.pub`. */
export function makeBackupKey(config: Pick<Config, 'dataDir' | 'keysDir'>, path: string): string {
  const secret = newFileAt(path, 'backup.key');
  assertApart(secret, config);
  const pair = newBackupKey();
  addFile(`${secret}.pub`, pair.recipient, 0o644);
  addFile(secret, pair.secret, 0o600);
  return secret;
}

/**
 * Makes a backup of all data, of one moment, beside a running server: sealed for the holder of the private half of the backup key. Key files are not in it.
 * @param to a file that is not there, or a folder
 * @param recipientFile the public half
 * @throws OperatorError, CryptoError; then there is no file
 */
export async function makeBackup(config: Config, to: string, recipientFile: string): Promise<MadeBackup> {
  await assertDatabase(config);
  const recipient = readBackupRecipient(readText(recipientFile));
  const [id, madeAt] = [newId(), isoTime(Date.now())];
  const path = newFileAt(to, `bjwt-ehr-${madeAt.replaceAll(/[-:]|\.\d+/g, '')}.backup`);
  const source = await withBytea(new DataSource({ ...dataSourceOptions(config, true), migrationsRun: false })).initialize();
  try {
    const migrations = await migrationsOf(source); // before anything opens the database to write, which would bring it up to date
    return await atWork(config, async ({ keys, database, note }) => {
      const tables = backedUpTables(source);
      const store = dialectOf(source.manager);
      const manifest: BackupManifest = {
        form: 'bjwt-ehr/backup/1',
        id,
        madeAt,
        store,
        migrations,
        tables: [...tables.values()].map(tableOf),
      };
      // A file cannot be part of a transaction. A row about a backup that was not finished can be explained, a backup without its row cannot.
      await database.transaction((tx) => note(tx, { action: 'backup.make', kind: store, subjectId: id }));
      return atOneMoment(source, async (manager) => {
        const stream = new BackupStream(manager, manifest);
        const written = await writeWhole(path, sealed(recipient, keys, stream));
        return { path, ...written, manifest, closing: stream.closing };
      });
    });
  } finally {
    await source.destroy();
  }
}

async function* sealed(recipient: KeyObject, keys: Parameters<typeof beginBackup>[1], stream: BackupStream): AsyncGenerator<Buffer> {
  const { head, key } = beginBackup(recipient, keys);
  try {
    yield head;
    yield* sealChunks(key, stream.frames());
  } finally {
    key.fill(0);
  }
}

/** The frames of one backup. */
class BackupStream {
  private made: BackupClosing | undefined;

  constructor(
    private readonly manager: EntityManager,
    private readonly manifest: BackupManifest,
  ) {}

  /** Known when all frames are written. */
  get closing(): BackupClosing {
    if (!this.made) throw new Error('the backup is not written yet');
    return this.made;
  }

  async *frames(): AsyncGenerator<Buffer> {
    const writer = new BackupWriter(this.manifest);
    yield writer.begin();
    const tables = backedUpTables(this.manager.dataSource);
    for (const table of this.manifest.tables) {
      const metadata = tables.get(table.name);
      if (metadata) for await (const rows of pagesOf(this.manager, metadata)) yield writer.rows(table, rows);
    }
    const { frame, closing } = writer.end(await logsOf(this.manager));
    this.made = closing;
    yield frame;
  }
}

/** The newest signed checkpoint of each log that grows. */
async function logsOf(manager: EntityManager): Promise<BackupLog[]> {
  const logs: BackupLog[] = [];
  for (const { id, hospitalId, origin, size } of await workOf(manager)) {
    const newest = await newestCheckpoint(manager, id);
    logs.push({ hospitalId, origin, size, checkpoint: newest && (await cosignedNote(manager, newest)) });
  }
  return logs;
}

/** Reads a state as one transaction left it, for as long as it takes. SQLite keeps the write-ahead log for that long, PostgreSQL the dead rows. */
async function atOneMoment<T>(source: DataSource, work: (manager: EntityManager) => Promise<T>): Promise<T> {
  const runner = source.createQueryRunner();
  const begin =
    source.options.type === 'postgres'
      ? [
          'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY',
          'SET LOCAL statement_timeout = 0',
          'SET LOCAL idle_in_transaction_session_timeout = 0', // a slow medium keeps us waiting
        ]
      : ['BEGIN'];
  try {
    for (const statement of begin) await runner.query(statement);
    return await work(source.createEntityManager(runner));
  } finally {
    await runner.query('ROLLBACK').catch(() => undefined);
    await runner.release();
  }
}

/** The migrations that ran. @throws OperatorError when they are not those of this program: it would misread what it does not know */
async function migrationsOf(source: DataSource): Promise<string[]> {
  const known = source.migrations.map((migration) => migration.name ?? migration.constructor.name);
  const rows = await source.query<{ name: string }[]>('SELECT "name" FROM "migrations" ORDER BY "id"').catch(() => []);
  const names = rows.map(({ name }) => name);
  if (names.join() !== known.join()) throw new OperatorError('There is no database of this release; use the one that the server runs');
  return names;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new OperatorError(`${file} cannot be read`);
  }
}
