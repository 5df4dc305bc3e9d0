import { type DynamicModule, Global, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../common/clock';
import { LOGS, type Logs, openLogs } from '../common/logger';
import { OtlpExporter } from '../common/otlp';
import { Tracer } from '../common/tracing';
import { version } from '../common/version';
import { CONFIG, type Config } from './config';

/** Writes out what the log files still hold when the server stops. */
@Injectable()
class LogCloser implements OnApplicationShutdown {
  constructor(@Inject(LOGS) private readonly logs: Logs) {}

  onApplicationShutdown(): Promise<void> {
    return this.logs.close();
  }
}

/** Sends the last spans when the server stops. */
@Injectable()
export class TraceExport implements OnApplicationShutdown {
  readonly exporter: OtlpExporter | null;

  constructor(@Inject(CONFIG) { tracing }: Config) {
    this.exporter = tracing && new OtlpExporter(tracing, version);
  }

  onApplicationShutdown(): Promise<void> | undefined {
    return this.exporter?.close();
  }
}

function tracerOf({ exporter }: TraceExport, { tracing }: Config): Tracer {
  return new Tracer(exporter && ((span) => exporter.record(span)), tracing?.ratio);
}

/** The settings, the logs and the tracer opened from them, and the clock: what every module may ask for. */
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
        TraceExport,
        { provide: Tracer, inject: [TraceExport, CONFIG], useFactory: tracerOf },
        Clock,
        LogCloser,
      ],
      exports: [CONFIG, LOGS, Clock, Tracer, TraceExport],
    };
  }
}
