import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { dataSourceOptions } from '../../ormconfig';
import { type Config, ConfigError, readConfig } from '../config/config';
import { migratePostgres } from '../database/postgres-schema';
import { runProgram, say, tellUsage } from './program';

const USAGE = `Brings the schema of a PostgreSQL database up to date and gives the servers' role its rights. Run it before the first start and before each start of a
new version; servers need nothing but DATABASE_URL then.

  DATABASE_OWNER_URL=postgres://ehr_owner@… DATABASE_URL=postgres://ehr@… npm run migrate

DATABASE_OWNER_URL names the role that owns the tables, DATABASE_URL the one as which servers run: it can add rows, and change only what may be
changed. Passwords: DATABASE_OWNER_PASSWORD_FILE, DATABASE_PASSWORD_FILE. A SQLite file needs none of this: its server does it at each start.

Exit code: 0 done, 1 refused, 2 the command line is wrong.
`;

async function migrate({ postgres, postgresOwner: owner }: Config): Promise<void> {
  if (!postgres) throw new ConfigError('DATABASE_URL', 'must name the database and the role of the servers');
  if (!owner) throw new ConfigError('DATABASE_OWNER_URL', 'must name the role that owns the tables');
  if (owner.user === postgres.user) throw new ConfigError('DATABASE_OWNER_URL', 'must name another role than DATABASE_URL');
  if (owner.database !== postgres.database) throw new ConfigError('DATABASE_OWNER_URL', 'must name the same database as DATABASE_URL');
  const options = dataSourceOptions({ sqlitePath: '', postgres: owner });
  if (options.type !== 'postgres') return;
  const done = await migratePostgres(options, postgres.user);
  done.forEach((name) => say(`Done: ${name}`));
  say(`The schema is up to date, and ${postgres.user} has its rights.`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { help: { type: 'boolean' } } });
  if (values.help) return tellUsage(USAGE, true);
  await migrate(readConfig());
  return 0;
}

runProgram(main, { words: 'Refused: ', code: 1 });
