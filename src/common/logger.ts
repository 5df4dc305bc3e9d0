import type { LoggerService } from '@nestjs/common';
import { mkdirSync } from 'node:fs';
import type { Writable } from 'node:stream';
import pino, { type Logger } from 'pino';
import { createStream } from 'rotating-file-stream';
import { ApiError } from './errors';

export interface Logs {
  /** The server's log: errors, requests, start and stop. */
  readonly app: Logger;
  /** A copy of the audit trail, one line per event (R20). Metadata only. */
  readonly audit: Logger;
  close(): Promise<void>;
}

/** Injection token of `Logs`. */
export const LOGS = Symbol('LOGS');

/**
 * What may be said of an error in a log. Messages of foreign errors can carry input (a JSON parser echoes text, a database driver its parameters),
 * so only our own errors speak; of all others the type, the code and the stack frames are kept.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const code: unknown = Reflect.get(error, 'code') ?? Reflect.get((Reflect.get(error, 'driverError') as object | undefined) ?? {}, 'code');
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error instanceof ApiError ? { message: error.message } : {}),
    stack: frames.slice(0, 12).map((line) => line.trim()),
  };
}

/** Hands the lines of one turn of the event loop to the file together: a write for each line costs more than the line. */
class Lines {
  private waiting = '';

  constructor(private readonly file: Writable) {}

  write(line: string): void {
    if (this.waiting === '') setImmediate(() => this.flush());
    this.waiting += line;
  }

  flush(): void {
    if (this.waiting !== '') this.file.write(this.waiting);
    this.waiting = '';
  }
}

/** Opens the log files (`ehr.log`, `audit.log`, JSON lines, rotated at 10 MB, ten kept). With `console`, the server's log also goes to standard output. Workers of a cluster name themselves. */
export function openLogs(options: { dir: string; level: string; console: boolean; worker?: number | null }): Logs {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  const file = (name: string) => createStream(name, { path: options.dir, size: '10M', maxFiles: 10, mode: 0o600 });
  const [appFile, auditFile] = [file('ehr.log'), file('audit.log')];
  const { worker = null } = options;
  const common = {
    base: worker === null ? null : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError },
  };
  const [appLines, auditLines] = [new Lines(appFile), new Lines(auditFile)];
  const level = options.level as pino.Level;
  const targets = [appLines, process.stdout].map((stream) => ({ level, stream }));
  const app = pino({ ...common, level }, options.console ? pino.multistream(targets) : appLines);
  const audit = pino({ ...common, level: 'info' }, auditLines);
  for (const stream of [appFile, auditFile]) stream.on('error', () => undefined); // a full disk or a line after the end must not stop the server
  const close = async (): Promise<void> => {
    for (const lines of [appLines, auditLines]) lines.flush();
    await Promise.all([appFile, auditFile].map((stream) => new Promise<void>((done) => stream.end(() => done()))));
  };
  return { app, audit, close };
}

/** Lets Nest speak through the server's log. */
export class NestLog implements LoggerService {
  constructor(private readonly logger: Logger) {}
  log(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }
  warn(message: unknown, context?: unknown): void {
    this.logger.warn({ context }, String(message));
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error(
      { err: message instanceof Error ? message : undefined, context: rest.at(-1) },
      message instanceof Error ? message.name : String(message),
    );
  }
}
