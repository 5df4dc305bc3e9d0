import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFoundations } from '../../src/app';
import { readConfig } from '../../src/config/config';
import { Database } from '../../src/database/database';
import { Authority } from '../support/certificates';
import { type OwnPostgres, ownPostgres } from '../support/own-postgres';
import { ask } from '../support/postgres-roles';
import { freePort } from '../support/servers';

let postgres: OwnPostgres;
let dir: string;
let port: number;
let authority: Authority;
beforeAll(async () => {
  postgres = ownPostgres();
  await ask(postgres.url(), 'CREATE DATABASE ehr', `ALTER ROLE ehr PASSWORD 'of the file'`);
  dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-tls-'));
  authority = new Authority(dir, 'authority');
  port = await freePort();
}, 60_000);
afterAll(() => {
  postgres.end();
  rmSync(dir, { recursive: true, force: true });
});

/** Starts PostgreSQL with a certificate, and lets in who comes over TLS with the password. */
async function serveAs({ certificate, key }: { certificate: string; key: string }): Promise<void> {
  await postgres.crash();
  const [cert, secret] = [join(postgres.data, 'tls.crt'), join(postgres.data, 'tls.key')];
  copyFileSync(certificate, cert);
  copyFileSync(key, secret);
  for (const file of [cert, secret]) {
    if (process.getuid?.() === 0) chownSync(file, postgres.uid, postgres.uid);
    chmodSync(file, 0o600);
  }
  writeFileSync(join(postgres.data, 'pg_hba.conf'), 'local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n');
  await postgres.start('ssl=on', `ssl_cert_file=${cert}`, `ssl_key_file=${secret}`, 'listen_addresses=127.0.0.1', `port=${port}`);
}

/** What a server in production says to it: who it is connected as, and how, or the error. */
async function tryStart(settings: Record<string, string> = {}): Promise<unknown> {
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, 'of the file\n', { mode: 0o600 });
  const config = readConfig({
    NODE_ENV: 'production',
    DATA_DIR: mkdtempSync(join(dir, 'data-')),
    DATABASE_URL: `postgres://ehr@localhost:${port}/ehr?sslmode=verify-full`,
    DATABASE_PASSWORD_FILE: passwordFile,
    DATABASE_CA_FILE: authority.file,
    ...settings,
  });
  const { sources } = await openFoundations(config);
  const database = new Database(sources);
  await database.peers.leads();
  const rows = await sources.reader.query<unknown[]>(
    `SELECT DISTINCT a.usename AS user, s.ssl, s.version FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.datname = 'ehr'`,
  );
  await database.onApplicationShutdown();
  return rows;
}

test('SEC-89 a server with the right name and authority: every connection is of TLS 1.2 or later', async () => {
  await serveAs(authority.issue('localhost'));
  expect(await tryStart()).toEqual([{ user: 'ehr', ssl: true, version: expect.stringMatching(/^TLSv1\.[23]$/) as string }]);
}, 60_000);

test('SEC-89 ATTACK a server in between, with a certificate for another name, or of another authority, or none: no connection, and no password', async () => {
  await serveAs(authority.issue('db.example'));
  await expect(tryStart()).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  await serveAs(new Authority(dir, 'other').issue('localhost'));
  await expect(tryStart()).rejects.toThrow(/unable to verify|self-signed|unable to get/);
  await expect(tryStart({ DATABASE_CA_FILE: '' })).rejects.toThrow(/unable to verify|self-signed|unable to get/);
  await postgres.crash();
  await postgres.start('ssl=off', 'listen_addresses=127.0.0.1', `port=${port}`);
  await expect(tryStart()).rejects.toThrow('does not support SSL');
}, 90_000);
