import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { KeyRing } from '../crypto/key-ring.service';
import { Database, type DataSources } from './database';

/** Opens both connections and brings the schema up to date. The options come from ormconfig.ts, which knows every entity. */
export async function openDataSources(writerOptions: DataSourceOptions, readerOptions: DataSourceOptions): Promise<DataSources> {
  const writer = await new DataSource(writerOptions).initialize();
  await writer.runMigrations();
  const reader = await new DataSource(readerOptions).initialize();
  return { writer, reader };
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
