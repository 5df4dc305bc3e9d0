import { postgresBinaries, type PostgresServer, startPostgres } from './postgres-server';

let server: PostgresServer | undefined;

/** Jest's global set-up and tear-down of the PostgreSQL suites: one server for all of them. */
export default function setUp(): void {
  const binaries = postgresBinaries();
  if (binaries === null)
    throw new Error('There is no PostgreSQL here: install the Debian package postgresql, or put initdb and pg_ctl on the PATH');
  server = startPostgres(binaries);
  process.env['TEST_POSTGRES'] = server.url('postgres');
}

export function tearDown(): void {
  server?.stop();
  delete process.env['TEST_POSTGRES'];
}
