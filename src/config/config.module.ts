import { type DynamicModule, Global, Module } from '@nestjs/common';
import { Clock } from '../common/clock';
import { LOGS, openLogs } from '../common/logger';
import { CONFIG, type Config } from './config';

/** The settings, the logs opened from them, and the clock: what every module may ask for. */
@Global()
@Module({})
export class ConfigModule {
  static register(config: Config): DynamicModule {
    return {
      module: ConfigModule,
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: LOGS, useFactory: () => openLogs({ dir: config.logDir, level: config.logLevel, console: config.logConsole }) },
        Clock,
      ],
      exports: [CONFIG, LOGS, Clock],
    };
  }
}
