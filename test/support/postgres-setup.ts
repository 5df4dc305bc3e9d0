import { findPostgres } from './find-postgres';
import { type PostgresServer, startPostgres } from './postgres-server';

let server: PostgresServer | undefined;

/** Jest's global set-up and tear-down of the PostgreSQL suites: one server for all of them. */
export default function setUp(): void {
  const found = findPostgres();
  if (found === null)
    throw new Error('There is no PostgreSQL here: install the Debian package postgresql, or the development dependencies');
  server = startPostgres(found);
  process.env['TEST_POSTGRES'] = server.url('postgres');
  process.env['TEST_POSTGRES_DATA'] = server.data;
}

export function tearDown(): void {
  server?.stop();
  delete process.env['TEST_POSTGRES'];
}
