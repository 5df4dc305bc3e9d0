import { readFileSync } from 'node:fs';
import { parse } from 'pg-connection-string';
import { ConfigError, type Env, integer, isLoopback, path } from './variables';

/** How to reach a PostgreSQL database, and as whom. Every value is given, so that the driver takes none from its own environment variables (`PG…`). */
export interface PostgresStore {
  /** As it was given. */
  readonly url: string;
  /** A name or an address; a folder when it begins with a slash: the socket is there. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** TLS with the server's name and certificate verified, or none. */
  readonly tls: { readonly ca: string | null } | null;
  /** Connections of the writing pool and of the reading one. */
  readonly poolSize: number;
  readonly readPoolSize: number;
  /** The schema of the tables; without one, the first of the role's own search path. */
  readonly schema?: string;
}

const PARAMETERS = ['host', 'port', 'sslmode'];
/** What libpq knows between these two encrypts and does not say to whom. */
const MODES = ['disable', 'verify-full'];

/**
 * The database that a variable names as `postgres://user@host:port/database?sslmode=verify-full`, or `postgres://user@/database?host=/folder` for a
 * socket. The password may stand in it, better in the file that `<PREFIX>_PASSWORD_FILE` names.
 * @returns null when it is not set
 * @throws ConfigError also in production when the connection would leave the machine without `sslmode=verify-full` (SEC-89)
 */
export function postgresStore(env: Env, name: 'DATABASE_URL' | 'DATABASE_OWNER_URL'): PostgresStore | null {
  const url = env[name] ?? '';
  if (url === '') return null;
  if (!/^postgres(ql)?:\/\//.test(url)) throw new ConfigError(name, 'must begin with postgres://');
  const { user, database, host, port, password } = parsed(name, url);
  if (!user || !database) throw new ConfigError(name, 'must name a user and a database: postgres://user@host/database');
  const parameters = new URLSearchParams(url.split('?').slice(1).join('?'));
  const unknown = [...parameters.keys()].some((key) => !PARAMETERS.includes(key));
  if (unknown) throw new ConfigError(name, `knows no parameters but ${PARAMETERS.join(', ')}`);
  const modes = parameters.getAll('sslmode');
  if (!modes.every((mode) => MODES.includes(mode)) || modes.length > 1)
    throw new ConfigError(name, 'must have sslmode=verify-full, or sslmode=disable on this machine');
  const place = host || 'localhost';
  const isVerified = modes[0] === 'verify-full';
  const isLocal = place.startsWith('/') || isLoopback(place);
  if (env['NODE_ENV'] === 'production' && !isLocal && !isVerified)
    throw new ConfigError(name, 'must have sslmode=verify-full in production, for the connection leaves this machine');
  if (!/^\d{0,5}$/.test(port ?? '')) throw new ConfigError(name, 'must have a port of digits');
  const poolSize = integer(env, 'DATABASE_POOL', 10, 3, 200);
  return {
    url,
    host: place,
    port: Number(port || 5432),
    user,
    password: secretFrom(env, name.replace('_URL', '_PASSWORD_FILE')) ?? password ?? '',
    database,
    tls: isVerified ? { ca: secretFrom(env, 'DATABASE_CA_FILE') } : null,
    poolSize,
    readPoolSize: integer(env, 'DATABASE_READ_POOL', poolSize, 2, 200),
  };
}

/** As the driver's own parser reads it. */
function parsed(name: string, url: string): ReturnType<typeof parse> {
  try {
    return parse(url.replace(/\bsslmode=[^&]*/g, '')); // what TLS there is, is said by us
  } catch {
    throw new ConfigError(name, 'is not an address like postgres://user@host:port/database');
  }
}

function secretFrom(env: Env, name: string): string | null {
  const file = path(env, name);
  try {
    return file === null ? null : readFileSync(file, 'utf8').trimEnd();
  } catch {
    throw new ConfigError(name, 'must name a file that can be read');
  }
}
