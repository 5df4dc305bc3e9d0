import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Column, DataSource, type EntityManager, Entity, PrimaryColumn } from 'typeorm';
import { Database, type DataSources } from '../../src/database/database';
import { sqliteOptions } from '../../src/database/sqlite-options';

@Entity('thing')
export class Thing {
  @PrimaryColumn({ type: 'integer' }) id!: number;
  @Column({ type: 'varchar', length: 40 }) who!: string;
}

/** The server's own options of a connection, on a scratch file with one small table. */
export function thingOptions(file: string, readonly = false): ReturnType<typeof sqliteOptions> {
  return sqliteOptions(file, { entities: [Thing], migrations: [] }, readonly);
}

export interface Scratch {
  readonly file: string;
  readonly sources: DataSources;
  close(): Promise<void>;
}

/** A writer and a reader on a new file, with the table. */
export async function openScratch(): Promise<Scratch> {
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-db-'));
  const file = join(dir, 'scratch.sqlite');
  const writer = await new DataSource(thingOptions(file)).initialize();
  await writer.synchronize();
  const reader = await new DataSource(thingOptions(file, true)).initialize();
  return {
    file,
    sources: { writer, reader },
    async close() {
      for (const source of [reader, writer]) if (source.isInitialized) await source.destroy();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A file of its own with the house's Database. */
export async function openHouse(): Promise<Scratch & { readonly database: Database }> {
  const scratch = await openScratch();
  return { ...scratch, database: new Database(scratch.sources) };
}

export const insert = (manager: EntityManager, id: number, who: string) => manager.getRepository(Thing).insert({ id, who });

/** Who is in the table now, as another connection sees it. */
export async function stored({ sources }: Pick<Scratch, 'sources'>): Promise<string[]> {
  return (await sources.reader.getRepository(Thing).find({ order: { id: 'ASC' } })).map((row) => row.who);
}

export async function countStored({ sources }: Pick<Scratch, 'sources'>): Promise<number> {
  return sources.reader.getRepository(Thing).count();
}
