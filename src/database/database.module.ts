import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { KeyRing } from '../crypto/key-ring.service';
import { whileBusy } from './busy';
import { Database, type DataSources } from './database';
import { queryDirectly } from './direct-queries';
import { migratePostgres } from './postgres-schema';
import { withBytea } from './postgres-options';

/** Opens both connections and brings the schema up to date. The options come from ormconfig.ts, which knows every entity. */
export async function openDataSources(writerOptions: DataSourceOptions, readerOptions: DataSourceOptions): Promise<DataSources> {
  if (writerOptions.type === 'postgres') await migratePostgres(writerOptions, null);
  // Another process may be at work on the file: a server that starts waits its turn.
  const writer = await whileBusy(() => withBytea(new DataSource(writerOptions)).initialize());
  if (writerOptions.type !== 'postgres') await whileBusy(() => writer.runMigrations());
  const reader = await whileBusy(() => withBytea(new DataSource(readerOptions)).initialize());
  return { writer: queryDirectly(writer), reader: queryDirectly(reader) };
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
