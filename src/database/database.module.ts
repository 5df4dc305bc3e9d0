import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { KeyRing } from '../crypto/key-ring.service';
import { ADVISORY } from './advisory-locks';
import { whileBusy } from './busy';
import { Database, type DataSources } from './database';
import { queryDirectly } from './direct-queries';
import { withBytea } from './postgres-options';

/** Opens both connections and brings the schema up to date. The options come from ormconfig.ts, which knows every entity. */
export async function openDataSources(writerOptions: DataSourceOptions, readerOptions: DataSourceOptions): Promise<DataSources> {
  // Another process may be at work on the file: a server that starts waits its turn.
  const writer = await whileBusy(() => withBytea(new DataSource(writerOptions)).initialize());
  await whileBusy(() => migrate(writer));
  const reader = await whileBusy(() => withBytea(new DataSource(readerOptions)).initialize());
  return { writer: queryDirectly(writer), reader: queryDirectly(reader) };
}

/** Whether a PostgreSQL database has no table yet. */
export async function isEmpty(options: DataSourceOptions): Promise<boolean> {
  const source = await new DataSource({ ...options, entities: [], migrations: [] }).initialize();
  try {
    const [row] = await source.query<{ n: number }[]>(`SELECT COUNT(*)::int AS n FROM pg_tables WHERE schemaname = current_schema()`);
    return row?.n === 0;
  } finally {
    await source.destroy();
  }
}

/** Several servers may start at once on one PostgreSQL database: one of them migrates. */
async function migrate(writer: DataSource): Promise<void> {
  if (writer.options.type !== 'postgres') return void (await writer.runMigrations());
  const runner = writer.createQueryRunner();
  try {
    await runner.query('SELECT pg_advisory_lock($1)', [ADVISORY.migrating]);
    await writer.runMigrations();
  } finally {
    await runner.query('SELECT pg_advisory_unlock($1)', [ADVISORY.migrating]);
    await runner.release();
  }
}

@Global()
@Module({})
export class DatabaseModule {
  static register(sources: DataSources): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        {
          provide: Database,
          inject: [KeyRing],
          useFactory: (keyRing: KeyRing) => {
            keyRing.readCommittedFrom(sources.reader.manager);
            return new Database(sources);
          },
        },
      ],
      exports: [Database],
    };
  }
}
