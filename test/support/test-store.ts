import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** Whether this run is about PostgreSQL; else each test app has a SQLite file of its own. */
export const onPostgres = process.env['TEST_POSTGRES'] !== undefined;

/** Settings that give an app a store of its own. */
export async function newStore(): Promise<Record<string, string>> {
  const admin = process.env['TEST_POSTGRES'];
  if (admin === undefined) return {};
  const name = `ehr_${randomBytes(8).toString('hex')}`;
  await asAdmin(admin, `CREATE DATABASE ${name}`);
  return { DATABASE_URL: admin.replace('/postgres?', `/${name}?`) };
}

export async function dropStore(url: string | undefined): Promise<void> {
  const admin = process.env['TEST_POSTGRES'];
  const name = /\/(ehr_[0-9a-f]{16})\?/.exec(url ?? '')?.[1];
  if (admin !== undefined && name !== undefined) await asAdmin(admin, `DROP DATABASE ${name} WITH (FORCE)`);
}

async function asAdmin(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
