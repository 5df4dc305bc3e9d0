import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** Set by the global set-up of the PostgreSQL suites. */
const ADMIN = 'TEST_POSTGRES';

/** Databases by data folder: an app that starts again on a folder finds its data again. */
const names = new Map<string, string>();

/** Settings that give an app a store of its own. */
export async function storeOf(dir: string): Promise<Record<string, string>> {
  const admin = process.env[ADMIN];
  if (admin === undefined) return {};
  const name = names.get(dir) ?? (await create(admin));
  names.set(dir, name);
  return { DATABASE_URL: urlOf(admin, name) };
}

/** The address of a copy of a database that nobody uses. */
export async function copyOfStore(url: string): Promise<string> {
  const admin = process.env[ADMIN] ?? '';
  return urlOf(admin, await create(admin, /\/(ehr_\w+)\?/.exec(url)?.[1]));
}

export async function dropStore(dir: string): Promise<void> {
  const [admin, name] = [process.env[ADMIN], names.get(dir)];
  if (admin !== undefined && name !== undefined) await asAdmin(admin, `DROP DATABASE ${name} WITH (FORCE)`);
}

async function create(admin: string, template = 'template1'): Promise<string> {
  const name = `ehr_${randomBytes(8).toString('hex')}`;
  await asAdmin(admin, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return name;
}

const urlOf = (admin: string, name: string): string => admin.replace('/postgres?', `/${name}?`);

async function asAdmin(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
