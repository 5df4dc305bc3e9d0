import type { EntityManager } from 'typeorm';
import { openFoundations } from '../app';
import type { SystemAction } from '../audit/actions';
import { AuditService } from '../audit/audit.service';
import { Clock, isoTime, isoTimeOrNull } from '../common/clock';
import { isId, newId } from '../common/ids';
import { openLogs } from '../common/logger';
import type { Config } from '../config/config';
import { KekRotation, kekStates } from '../crypto/kek-rotation';
import { openKeyStore } from '../crypto/open-root-keys';
import type { RootKeys } from '../crypto/root-keys';
import { TokenKeys } from '../crypto/token-keys';
import { endedTokenKeys, retireTokenKeys, rotateTokenKey, type RotationTimes } from '../crypto/token-rotation';
import { Database, type DataSources } from '../database/database';
import { assertDatabase, OperatorError } from './operator';

type Tell = (line: string) => void;

/** What is done to keys and backups, for the trail: by whoever has a shell on the machine, so it has no actor. */
export interface OperatorAct {
  readonly action: Extract<SystemAction, 'key.rotate' | 'key.rewrap' | 'key.retire' | 'backup.make' | 'backup.restore'>;
  /** Of a key; of a backup the store that it was made of. */
  readonly kind: 'kek' | 'root' | 'token' | 'sqlite' | 'postgres';
  /** The backup. */
  readonly subjectId?: string;
  readonly reason?: string;
  readonly tenantId?: string;
  readonly count?: number;
}

/** A data folder, opened for an operator's command; a server may run on it. */
export interface Workplace {
  readonly keys: RootKeys;
  readonly database: Database;
  /** Puts an act on the trail, in the transaction that does it. */
  readonly note: (tx: EntityManager, act: OperatorAct) => Promise<void>;
}

/** Opens a data folder, works and closes it. @throws OperatorError, CryptoError */
export async function atWork<T>(config: Config, work: (place: Workplace) => Promise<T>): Promise<T> {
  await assertDatabase(config);
  const { keys, sources } = await openFoundations(config);
  return withTrail(config, sources, (database, note) => work({ keys, database, note }));
}

/** Works on opened connections, and closes them. */
export async function withTrail<T>(
  config: Config,
  sources: DataSources,
  work: (database: Database, note: Workplace['note']) => Promise<T>,
): Promise<T> {
  const database = new Database(sources);
  const logs = openLogs({ dir: config.logDir, level: config.logLevel, console: false });
  const audit = new AuditService(database, new Clock(), logs);
  const note: Workplace['note'] = (tx, { tenantId, ...act }) =>
    audit.append(tx, {
      ...act,
      outcome: 'ok',
      actor: null,
      requestId: newId(),
      hospitalId: tenantId !== undefined && isId(tenantId) ? tenantId : null,
    });
  try {
    return await work(database, note);
  } finally {
    await database.onApplicationShutdown();
    await logs.close();
  }
}

/** Every key-encryption key with its state. */
export function keyStatus(config: Config, tell: Tell): Promise<void> {
  return atWork(config, async ({ database }) => {
    for (const { tenantId, version, state, dataKeys, createdAt } of await kekStates(database.reader))
      tell(`${tenantId}  version ${version}  ${state}  wraps ${dataKeys} data keys  since ${isoTime(createdAt)}`);
  });
}

/**
 * Gives a hospital, or all, a new key-encryption key and wraps every data key by it, beside running servers.
 * @param tenantId null: all
 */
export function rotateKeks(config: Config, tenantId: string | null, tell: Tell): Promise<void> {
  return atWork(config, async (place) => {
    const all = [...new Set((await kekStates(place.database.reader)).map((kek) => kek.tenantId))];
    const chosen = tenantId === null ? all : all.filter((tenant) => tenant === tenantId);
    if (chosen.length === 0) throw new OperatorError('No such hospital has keys');
    for (const tenant of chosen) await rotateKek(place, tenant, tell);
  });
}

async function rotateKek({ keys, database, note }: Workplace, tenantId: string, tell: Tell): Promise<void> {
  const rotation = new KekRotation(keys.root);
  const { version, isNew } = await database.transaction(async (tx) => {
    const begun = await rotation.begin(tx, tenantId);
    if (begun.isNew) await note(tx, { action: 'key.rotate', kind: 'kek', tenantId });
    return begun;
  });
  tell(`${tenantId}: ${isNew ? 'new version' : 'going on with version'} ${version}`);
  let total = 0;
  for (let after: string | undefined = ''; after !== undefined;) {
    const from: string = after;
    const { moved, last } = await database.transaction((tx) => rotation.rewrapPage(tx, tenantId, from));
    total += moved;
    after = last;
  }
  await database.transaction((tx) => note(tx, { action: 'key.rewrap', kind: 'kek', tenantId, count: total }));
  tell(`${tenantId}: ${total} data keys rewrapped to version ${version}`);
}

/** Destroys a key-encryption key that wraps nothing any more, and takes its bytes out of the files. */
export function retireKek(config: Config, tenantId: string, version: number, tell: Tell): Promise<void> {
  return atWork(config, async ({ keys, database, note }) => {
    await database.transaction(async (tx) => {
      await new KekRotation(keys.root).retire(tx, tenantId, version);
      await note(tx, { action: 'key.retire', kind: 'kek', tenantId });
    });
    tell(`${tenantId}: version ${version} is destroyed. Backups made before still hold it.`);
    if (!(await database.purge()))
      tell('Its bytes are still in the files: they go with the next checkpoint (SQLite) or VACUUM (PostgreSQL).');
  });
}

/** The keys that sign access tokens. */
export function tokenStatus(config: Config, tell: Tell): void {
  for (const { kid, state, signsFrom, verifiesUntil } of new TokenKeys(openKeyStore(config)).states(Date.now()))
    tell(`${kid}  ${state}  signs from ${timeOf(signsFrom)}  verifies until ${isoTimeOrNull(verifiesUntil) ?? 'it has a successor'}`);
}

/*
 * Files cannot be part of a transaction. So the act is on the trail first: one without its effect can be explained and repeated, an effect without its row
 * cannot.
 */

/** Publishes a new key for access tokens; running servers follow within a second. */
export function rotateToken(config: Config, times: RotationTimes, tell: Tell): Promise<void> {
  return atWork(config, async ({ database, note }) => {
    await database.transaction((tx) => note(tx, { action: 'key.rotate', kind: 'token' }));
    const { kid, signsFrom } = rotateTokenKey(openKeyStore(config), Date.now(), times);
    tell(`${kid} is published and signs from ${isoTime(signsFrom)}; former keys verify until ${isoTime(signsFrom + times.overlapMs)}`);
  });
}

/** Removes the token keys that have ended; with a kid, that one at once. */
export function retireToken(config: Config, kid: string | undefined, tell: Tell): Promise<void> {
  return atWork(config, async ({ database, note }) => {
    const [store, now] = [openKeyStore(config), Date.now()];
    const count = endedTokenKeys(store, now, kid).length;
    if (count === 0) return tell('No key has ended.');
    await database.transaction((tx) => note(tx, { action: 'key.retire', kind: 'token', count }));
    tell(`Removed: ${retireTokenKeys(store, now, kid).join(', ')}`);
  });
}

const timeOf = (ms: number): string => (ms === Number.MAX_SAFE_INTEGER ? 'never (no plan names it)' : isoTime(ms));
