import { type DynamicModule, Global, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../common/clock';
import { LOGS, type Logs, openLogs } from '../common/logger';
import { CONFIG, type Config } from './config';

/** Writes out what the log files still hold when the server stops. */
@Injectable()
class LogCloser implements OnApplicationShutdown {
  constructor(@Inject(LOGS) private readonly logs: Logs) {}

  onApplicationShutdown(): Promise<void> {
    return this.logs.close();
  }
}

/** The settings, the logs opened from them, and the clock: what every module may ask for. */
@Global()
@Module({})
export class ConfigModule {
  static register(config: Config): DynamicModule {
    return {
      module: ConfigModule,
      providers: [
        { provide: CONFIG, useValue: config },
        {
          provide: LOGS,
          useFactory: () =>
            openLogs({ dir: config.logDir, level: config.logLevel, console: config.logConsole, worker: config.cluster.worker }),
        },
        Clock,
        LogCloser,
      ],
      exports: [CONFIG, LOGS, Clock],
    };
  }
}
