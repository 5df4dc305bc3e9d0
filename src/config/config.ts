import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { type Role, ROLES } from '../common/actor';
import { postgresStore } from './postgres-store';
import { traceSettings } from './trace-settings';
import { ConfigError, type Env, flag, integer, isLoopback, list, oneOf, path, text } from './variables';

export { ConfigError } from './variables';
export type { PostgresStore } from './postgres-store';

/** The token that holds the root key, or null when key files do. */
function pkcs11(env: Env) {
  if (oneOf(env, 'KEY_PROVIDER', 'files', ['files', 'pkcs11']) === 'files') return null;
  return {
    module: text(env, 'PKCS11_MODULE', ''),
    tokenLabel: text(env, 'PKCS11_TOKEN_LABEL', ''),
    keyLabel: text(env, 'PKCS11_KEY_LABEL', 'bjwt-ehr'),
    pinFile: resolve(text(env, 'PKCS11_PIN_FILE', '')),
  };
}

/** In production plain HTTP leaves the machine only when somebody said that it may: a proxy with TLS is named, or the network is trusted. */
function host(env: Env): string {
  const address = text(env, 'HOST', '127.0.0.1');
  const isProxied = (env['TRUSTED_PROXIES'] ?? '').trim() !== '' || flag(env, 'ALLOW_PLAIN_HTTP', false);
  if (env['NODE_ENV'] === 'production' && !isLoopback(address) && !isProxied)
    throw new ConfigError(
      'HOST',
      'must be loopback in production unless TRUSTED_PROXIES names a proxy with TLS or ALLOW_PLAIN_HTTP is true',
    );
  return address;
}

function roles(env: Env, name: string): readonly Role[] {
  return list(env, name).map((item) => {
    const found = ROLES.find((role) => role === item);
    if (!found) throw new ConfigError(name, `must be some of ${ROLES.join(', ')}`);
    return found;
  });
}

/** Web origins as browsers write them (RFC 6454): no wildcard, no `null`, no path, TLS unless it is this machine. */
function origins(env: Env, name: string, fallback = ''): string[] {
  const items = list(env, name, fallback);
  for (const item of items) {
    const url = URL.canParse(item) ? new URL(item) : null;
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname));
    if (url?.origin !== item || !isSafe || item.includes('*'))
      throw new ConfigError(name, 'must be origins like https://ehr.example, comma separated');
  }
  return items;
}

/** The site whose pages make and use WebAuthn credentials: a key is good for one RP ID, and for pages of it or below it only. */
function webauthn(env: Env, port: number) {
  const rpId = text(env, 'WEBAUTHN_RP_ID', 'localhost');
  const pages = origins(env, 'WEBAUTHN_ORIGINS', new URL(`http://localhost:${port}`).origin);
  const fits = (origin: string): boolean => `.${new URL(origin).hostname}`.endsWith(`.${rpId}`);
  if (pages.length === 0 || !pages.every(fits)) throw new ConfigError('WEBAUTHN_ORIGINS', 'must be origins of WEBAUTHN_RP_ID or below it');
  return { rpId, origins: pages };
}

/** Processes that serve together: how many, and which of them this is; null for a server that is one process, and for the primary. */
function cluster(env: Env) {
  const own = integer(env, 'CLUSTER_WORKER', 0, 0, 1024);
  return { processes: integer(env, 'CLUSTER_PROCESSES', availableParallelism(), 1, 1024), worker: own === 0 ? null : own };
}

/** Each process has its own log files: two that rotate one file would lose lines. */
function logDir(env: Env, dataDir: string): string {
  const dir = resolve(text(env, 'LOG_DIR', join(dataDir, 'logs')));
  const { worker } = cluster(env);
  return worker === null ? dir : join(dir, `worker-${worker}`);
}

/**
 * Reads every setting of the server from the environment (R22: keys and connections come from configuration). The README's table lists them.
 * Times are in seconds, sizes in bytes unless the name says otherwise.
 */
export function readConfig(env: Env = process.env) {
  const ledgerOriginBase = text(env, 'LEDGER_ORIGIN_BASE', 'ledger.bjwt-ehr.invalid');
  const dataDir = resolve(text(env, 'DATA_DIR', './data'));
  const port = integer(env, 'PORT', 3000, 0, 65535);
  return {
    host: host(env),
    port,
    production: env['NODE_ENV'] === 'production',
    dataDir,
    keysDir: resolve(text(env, 'KEYS_DIR', join(dataDir, 'keys'))),
    pkcs11: pkcs11(env),
    logDir: logDir(env, dataDir),
    logLevel: oneOf(env, 'LOG_LEVEL', 'info', ['debug', 'info', 'warn', 'error']),
    logConsole: flag(env, 'LOG_CONSOLE', true),
    cluster: cluster(env),
    /** Null unless traces were asked for. */
    tracing: traceSettings(env),
    shutdown: {
      /** How long new connections are still taken after the server was told to end, for load balancers that look at its readiness now and then. */
      delaySeconds: integer(env, 'SHUTDOWN_DELAY_SECONDS', 0, 0, 600),
      /** How long running requests may then still take. */
      seconds: integer(env, 'SHUTDOWN_SECONDS', 20, 1, 600),
    },
    /** A PostgreSQL database in place of the SQLite file; null without DATABASE_URL. */
    postgres: postgresStore(env, 'DATABASE_URL'),
    /** The same database, as the role that owns the tables: for `npm run migrate`. Servers do without. */
    postgresOwner: postgresStore(env, 'DATABASE_OWNER_URL'),
    sqlitePath: resolve(text(env, 'SQLITE_PATH', join(dataDir, 'ehr.sqlite'))),
    token: {
      issuer: text(env, 'TOKEN_ISSUER', 'urn:bjwt-ehr'),
      audience: text(env, 'TOKEN_AUDIENCE', 'urn:bjwt-ehr:api'),
      clientId: text(env, 'TOKEN_CLIENT_ID', 'bjwt-ehr'),
      accessSeconds: integer(env, 'ACCESS_TOKEN_SECONDS', 600, 1, 600),
      refreshIdleSeconds: integer(env, 'REFRESH_IDLE_SECONDS', 1800, 1, 86_400),
      sessionSeconds: integer(env, 'SESSION_SECONDS', 43_200, 1, 86_400),
    },
    login: {
      maxAttempts: integer(env, 'LOGIN_MAX_ATTEMPTS', 10, 3, 100),
      counterSeconds: integer(env, 'LOGIN_COUNTER_SECONDS', 86_400, 60, 31_536_000),
      codeSeconds: integer(env, 'ACTIVATION_CODE_SECONDS', 604_800, 60, 2_592_000),
      passwordMinLength: integer(env, 'PASSWORD_MIN_LENGTH', 15, 15, 64),
      /** Roles whose accounts can do nothing but add a second factor until they have one. */
      secondFactorRoles: roles(env, 'SECOND_FACTOR_ROLES'),
      webauthn: webauthn(env, port),
      argon2MemoryKib: integer(env, 'ARGON2_MEMORY_KIB', 19_456, 8, 1_048_576),
      argon2Passes: integer(env, 'ARGON2_PASSES', 2, 1, 20),
    },
    http: {
      bodyLimit: integer(env, 'BODY_LIMIT', 65_536, 1024, 16_777_216),
      bundleLimit: integer(env, 'BUNDLE_LIMIT', 8_388_608, 65_536, 268_435_456),
      attachmentLimit: integer(env, 'ATTACHMENT_LIMIT', 26_214_400, 1024, 268_435_456),
      requestsPerMinute: integer(env, 'REQUESTS_PER_MINUTE', 600, 1, 100_000_000),
      loginsPerMinute: integer(env, 'LOGINS_PER_MINUTE', 30, 1, 100_000_000),
      loginsPerMinuteAll: integer(env, 'LOGINS_PER_MINUTE_ALL', 1200, 1, 100_000_000),
      /** How long a client may keep an exchange waiting, in seconds, before a least rate applies; half of it for the headers. */
      slowClientSeconds: integer(env, 'SLOW_CLIENT_SECONDS', 30, 1, 600),
      /** Connections at once; more are closed unread. */
      maxConnections: integer(env, 'MAX_CONNECTIONS', 4096, 1, 1_000_000),
      /** Whose pages may call the API from a browser. */
      corsOrigins: origins(env, 'CORS_ORIGINS'),
      /** File with the bearer token that `/metrics` asks for. None: in production there is no `/metrics`, else it is open. */
      metricsTokenFile: path(env, 'METRICS_TOKEN_FILE'),
      docs: flag(env, 'DOCS_ENABLED', env['NODE_ENV'] !== 'production'),
      /** Addresses of the proxies in front, comma separated (IP or CIDR); empty trusts nobody's X-Forwarded-For. */
      trustedProxies: list(env, 'TRUSTED_PROXIES'),
    },
    /** First part of every hospital's ledger origin: `<base>/<hospital id>`. */
    ledgerOriginBase,
    ledger: {
      /** Time between two checkpoints of one log, in ms. */
      checkpointMs: integer(env, 'LEDGER_CHECKPOINT_MS', 1000, 10, 3_600_000),
      /** How long a seal waits for its proof before it answers without one. */
      waitSeconds: integer(env, 'LEDGER_WAIT_SECONDS', 10, 1, 60),
      /** File in the form of C2SP tlog-policy: the logs this server witnesses, the witnesses it asks, the quorum. None: no witnesses. */
      policyFile: path(env, 'LEDGER_POLICY'),
      /** Name of the key with which this server cosigns the logs of others. */
      witnessName: text(env, 'WITNESS_NAME', `${ledgerOriginBase}/witness`),
      /** Time between two batches of the trail in the logs. */
      trailSeconds: integer(env, 'LEDGER_TRAIL_SECONDS', 60, 1, 86_400),
      /** Blocks that the scrub reads again in a second; 0 turns it off. */
      scrubBlocks: integer(env, 'LEDGER_SCRUB_BLOCKS', 50, 0, 100_000),
    },
  } as const;
}

export type Config = ReturnType<typeof readConfig>;
/** Injection token of `Config`. */
export const CONFIG = Symbol('CONFIG');
