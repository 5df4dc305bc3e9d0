import { randomBytes } from 'node:crypto';
import { Client, type QueryResult } from 'pg';
import { runProgram } from './tools';

/** A database as an operator sets it up: one role owns it, servers run as another. */
export interface RoledStore {
  readonly ownerUrl: string;
  readonly serverUrl: string;
  readonly owner: string;
  readonly server: string;
  /** Runs `npm run migrate`. */
  migrate(): ReturnType<typeof runProgram>;
  drop(): Promise<void>;
}

export async function ask(url: string, ...statements: string[]): Promise<QueryResult> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let last: QueryResult | undefined;
    for (const statement of statements) last = await client.query(statement);
    if (!last) throw new Error('nothing was asked');
    return last;
  } finally {
    await client.end();
  }
}

/** @param admin address of the database `postgres` as a superuser */
export async function createRoledStore(admin = process.env['TEST_POSTGRES'] ?? ''): Promise<RoledStore> {
  const name = randomBytes(8).toString('hex');
  const [owner, server, database] = [`owner_${name}`, `server_${name}`, `ehr_${name}`];
  await ask(admin, `CREATE ROLE ${owner} LOGIN`, `CREATE ROLE ${server} LOGIN`, `CREATE DATABASE ${database} OWNER ${owner}`);
  const urlAs = (role: string) => admin.replace('/postgres?', `/${database}?`).replace('//ehr@', `//${role}@`);
  const [ownerUrl, serverUrl] = [urlAs(owner), urlAs(server)];
  return {
    ownerUrl,
    serverUrl,
    owner,
    server,
    migrate: () => runProgram('tools/migrate', [], { DATABASE_OWNER_URL: ownerUrl, DATABASE_URL: serverUrl }),
    async drop() {
      await ask(admin, `DROP DATABASE ${database} WITH (FORCE)`, `DROP ROLE ${owner}`, `DROP ROLE ${server}`);
    },
  };
}
