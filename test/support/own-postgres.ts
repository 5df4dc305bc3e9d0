import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from './postgres-roles';
import { findPostgres } from './find-postgres';
import { startPostgres } from './postgres-server';

/** A PostgreSQL server of one test alone, which it may stop and start again. */
export interface OwnPostgres {
  readonly data: string;
  /** Whom it runs as. */
  readonly uid: number;
  url(database?: string): string;
  /** Stops it as a crash does: nothing is finished, every connection breaks. */
  crash(): Promise<void>;
  /** Starts it again on its data, with these settings more. @param settings `name=value` */
  start(...settings: string[]): Promise<void>;
  end(): void;
}

export function ownPostgres(): OwnPostgres {
  const found = findPostgres();
  if (found === null) throw new Error('There is no PostgreSQL here');
  const server = startPostgres(found);
  let port = '5432'; // the socket's name holds it
  const url = (database = 'postgres') => `${server.url(database)}&port=${port}`;
  const folder = decodeURIComponent(/host=(.*)$/.exec(server.url(''))?.[1] ?? '');
  const data = join(folder, 'data');
  const { uid, gid } = statSync(data);
  const pid = () => Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  return {
    data,
    uid,
    url,
    async crash() {
      const running = pid();
      process.kill(running, 'SIGQUIT');
      while (isAlive(running)) await sleep(10);
    },
    async start(...settings) {
      // How it was started, each argument in quotes.
      const command = readFileSync(join(data, 'postmaster.opts'), 'utf8').trim();
      const [program = '', ...rest] = command.split(/ (?=")/).map((part) => part.replace(/^"|"$/g, ''));
      const more = settings.flatMap((setting) => ['-c', setting]);
      port = settings.find((setting) => setting.startsWith('port='))?.slice('port='.length) ?? port;
      const isRoot = process.getuid?.() === 0;
      spawn(program, [...rest, ...more], { cwd: folder, stdio: 'ignore', detached: true, ...(isRoot && { uid, gid }) }).unref();
      while (!(await answers(url()))) await sleep(20);
    },
    end: () => server.stop(),
  };
}

async function answers(url: string): Promise<boolean> {
  return ask(url, 'SELECT 1').then(
    () => true,
    () => false,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
