import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, chownSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A PostgreSQL server of its own, for tests: on a socket in a scratch folder, gone afterwards. */
export interface PostgresServer {
  /** Of a database of this name. */
  url(database: string): string;
  stop(): void;
}

/** Folder with `initdb` and `pg_ctl`: on the PATH, or where Debian installs them. Null: there is none. */
export function postgresBinaries(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const places = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env['PATH'] ?? '').split(delimiter)];
  return places.find((place) => existsSync(join(place, 'initdb')) && existsSync(join(place, 'pg_ctl'))) ?? null;
}

/** PostgreSQL refuses to run as root: then the user `postgres`, whom its package makes, runs it. */
function run(dir: string, program: string, ...parameters: string[]): void {
  const isRoot = process.getuid?.() === 0;
  const [command, ...rest] = isRoot ? ['runuser', '-u', 'postgres', '--', program, ...parameters] : [program, ...parameters];
  execFileSync(command ?? program, rest, { cwd: dir, stdio: 'pipe' });
}

/** Durable as in production: the tests hold it to its word. */
export function startPostgres(binaries: string): PostgresServer {
  const dir = mkdtempSync(join(tmpdir(), 'ehr-pg-'));
  if (process.getuid?.() === 0) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })));
    chownSync(dir, uid ?? 0, gid ?? 0);
  }
  chmodSync(dir, 0o755);
  const data = join(dir, 'data');
  run(dir, join(binaries, 'initdb'), '-D', data, '-U', 'ehr', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync');
  const settings = `-c listen_addresses='' -c unix_socket_directories='${dir}' -c max_connections=400 -c max_pred_locks_per_transaction=256`;
  run(dir, join(binaries, 'pg_ctl'), '-D', data, '-w', '-l', join(dir, 'log'), '-o', settings, 'start');
  return {
    url: (database) => `postgres://ehr@/${database}?host=${encodeURIComponent(dir)}`,
    stop() {
      spawnSync(process.getuid?.() === 0 ? 'runuser' : join(binaries, 'pg_ctl'), stopArguments(binaries, data), { cwd: dir });
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function stopArguments(binaries: string, data: string): string[] {
  const stop = ['-D', data, '-m', 'immediate', 'stop'];
  return process.getuid?.() === 0 ? ['-u', 'postgres', '--', join(binaries, 'pg_ctl'), ...stop] : stop;
}
