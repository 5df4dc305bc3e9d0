import { postgresStore } from './postgres-store';
import { ConfigError } from './variables';

const production = (url: string) => postgresStore({ NODE_ENV: 'production', DATABASE_URL: url }, 'DATABASE_URL');
const elsewhere = (url: string) => postgresStore({ DATABASE_URL: url }, 'DATABASE_URL');

test.each([
  'postgres://ehr@db.example/ehr',
  'postgres://ehr@db.example/ehr?sslmode=disable',
  'postgres://ehr@10.1.2.3/ehr',
  'postgres://ehr@localhost/ehr?host=db.example',
  'postgres://ehr@127.0.0.1.db.example/ehr',
  'postgres://ehr@[fd00::1]/ehr',
])('SEC-89 in production a connection that leaves the machine without verify-full is refused: %s', (url) => {
  expect(() => production(url)).toThrow(
    new ConfigError('DATABASE_URL', 'must have sslmode=verify-full in production, for the connection leaves this machine'),
  );
  expect(elsewhere(url)?.tls).toBeNull();
});

test.each([
  'postgres://ehr@localhost/ehr',
  'postgres://ehr@127.0.0.1:5433/ehr',
  'postgres://ehr@[::1]/ehr',
  'postgres://ehr@/ehr?host=%2Frun%2Fpostgresql',
])('SEC-89 one that stays on it needs no TLS: %s', (url) => {
  expect(production(url)?.tls).toBeNull();
});

test.each([
  'sslmode=require',
  'sslmode=verify-ca',
  'sslmode=no-verify',
  'sslmode=prefer',
  'sslmode=verify-full&sslmode=disable',
  'sslmode=verify-full&sslmode=no-verify',
  'sslmode=verify-full&uselibpqcompat=true',
  'sslmode=verify-full&ssl=0',
  'sslmode=verify-full&rejectUnauthorized=false',
  'ssl=true',
  'user=other',
  'options=-c%20default_transaction_read_only=off',
])('SEC-89 ATTACK what sounds like verification and is none, or would undo our settings, is refused everywhere: %s', (parameters) => {
  for (const read of [production, elsewhere]) expect(() => read(`postgres://ehr@db.example/ehr?${parameters}`)).toThrow(ConfigError);
});

test('with verify-full the name is checked, by the system’s authorities or the one of the file; nothing of an address is in an error', () => {
  expect(production('postgres://ehr@db.example/ehr?sslmode=verify-full')).toMatchObject({
    host: 'db.example',
    port: 5432,
    tls: { ca: null },
  });
  const who = ['ehr', 'secret'].join(':');
  for (const url of [
    `mysql://${who}@x/y`,
    `postgres://${who.slice(3)}@x/y`,
    `postgres://${who}@x:port/y`,
    `postgres://${who}@x?port=secret`,
  ]) {
    expect(() => elsewhere(url)).toThrow(ConfigError);
    expect(() => elsewhere(url)).toThrow(/^(?!.*secret)/);
  }
});

test('the two pools have their own sizes', () => {
  const url = { DATABASE_URL: 'postgres://ehr@localhost/ehr' };
  expect(postgresStore({ ...url, DATABASE_POOL: '7' }, 'DATABASE_URL')).toMatchObject({ poolSize: 7, readPoolSize: 7 });
  expect(postgresStore({ ...url, DATABASE_READ_POOL: '3' }, 'DATABASE_URL')).toMatchObject({ poolSize: 10, readPoolSize: 3 });
});
