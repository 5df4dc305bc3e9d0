import { type EntityManager, MoreThan } from 'typeorm';
import { ApiError } from '../common/errors';
import { insertRow } from '../database/rows';
import { ledgerOriginOf } from '../hospital/hospitals.service';
import { sha256 } from '../ledger/core/bytes';
import { EntryKind, isEntryKind } from '../ledger/core/entry';
import { formatIncarnation } from '../ledger/core/incarnation';
import { type Checkpoint, checkpointText } from '../ledger/core/checkpoint';
import { formatNote, signNote } from '../ledger/core/note';
import { type Policy, verifyCheckpoint } from '../ledger/core/policy';
import { CompactRange } from '../ledger/core/tree';
import { cosignedNote, newestCheckpoint } from './checkpoint-store';
import type { LogKeys } from './log-keys';
import { beginLog, currentLog, queueEntry, waitingEntries } from './log-store';
import { IncarnationEntity, LeafEntity, type LogEntity, PendingEntity } from './tlog.entity';
import { TreeReader } from './tree-reader';

/** So many leaves are read at once. */
const LEAVES_AT_ONCE = 1_000;

/** The log that was begun. */
export interface BegunLog {
  readonly log: LogEntity;
  readonly former: LogEntity;
  /** Size of the former log that was witnessed last; after a restore, the largest that is known to be signed. */
  readonly witnessedSize: bigint;
}

interface Trust {
  readonly keys: LogKeys;
  readonly policy: Policy;
}

/**
 * Lets a hospital go on after a restore from an old copy: a new log, whose first entry names the former one and its last witnessed checkpoint, followed by all
 * that the copy still has and all that waited. Everything is queued only; the server sequences it as usual. The ledger's own origin, that of blocks and
 * headers, stays. No server may run on the database: it would go on queueing for the former log.
 * @param checkpoint the former log's last checkpoint as a witness shows it, a signed note
 * @throws ApiError `not_found` (no log), `invalid_request` (not a witnessed checkpoint of this log), `conflict` (the log lost nothing)
 */
export async function beginIncarnation(
  tx: EntityManager,
  { keys, policy }: Trust,
  hospitalId: string,
  checkpoint: string,
): Promise<BegunLog> {
  const former = await currentLog(tx, hospitalId);
  const ledgerOrigin = await ledgerOriginOf(tx, hospitalId);
  if (!former || ledgerOrigin === null) throw new ApiError('not_found', 'This hospital has no log');
  const ofFormer = { ...policy, logs: [{ key: keys.log(former.origin).key }] };
  const witnessed = lastWitnessed(ofFormer, checkpoint);
  if (await isSound(tx, former, ofFormer, witnessed))
    throw new ApiError('conflict', 'The log fits what was witnessed: it can go on as it is');
  const log = await beginAfter(tx, former, `${ledgerOrigin}/${former.incarnation + 1}`, checkpoint);
  return { log, former, witnessedSize: witnessed.size };
}

const MINUTE_MS = 60_000;

/**
 * The same when the data were restored from a backup, and more may have been signed since: also for a log that looks sound, and for one that has not begun,
 * because the former server may have begun it. Who restores one backup twice must not give two logs one name, and the backup does not know of the first
 * time: so the name of the new log has the number of the minute in it.
 * @param shown newest checkpoints as others show them, signed notes; those of other logs are passed over
 * @param now ms since the epoch
 */
export async function beginAfterRestore(
  tx: EntityManager,
  { keys, policy }: Trust,
  hospitalId: string,
  shown: readonly string[],
  now: number,
): Promise<BegunLog> {
  const ledgerOrigin = await ledgerOriginOf(tx, hospitalId);
  if (ledgerOrigin === null) throw new ApiError('not_found', 'There is no such hospital');
  const former = (await currentLog(tx, hospitalId)) ?? (await beginLog(tx, { hospitalId, incarnation: 1, origin: ledgerOrigin }));
  const signer = keys.log(former.origin);
  const nothing = checkpointText({ origin: former.origin, size: 0n, root: CompactRange.empty().root() }); // contradicts no tree
  let newest = { note: formatNote({ text: nothing, signatures: [signNote(nothing, signer)] }), size: 0n };
  const own = await newestCheckpoint(tx, former.id);
  for (const note of [...(own ? [await cosignedNote(tx, own)] : []), ...shown]) {
    const verdict = verifyCheckpoint(note, { ...policy, logs: [{ key: signer.key }] });
    if (!('invalid' in verdict) && verdict.checkpoint.size > newest.size) newest = { note, size: verdict.checkpoint.size };
  }
  const last = Number(/\/([0-9]+)$/.exec(former.origin.slice(ledgerOrigin.length))?.[1] ?? 1);
  const number = Math.max(last + 1, Math.floor(now / MINUTE_MS));
  const log = await beginAfter(tx, former, `${ledgerOrigin}/${number}`, newest.note);
  return { log, former, witnessedSize: newest.size };
}

async function beginAfter(tx: EntityManager, former: LogEntity, origin: string, checkpoint: string): Promise<LogEntity> {
  const log = await beginLog(tx, { hospitalId: former.hospitalId, incarnation: former.incarnation + 1, origin });
  const statement = formatIncarnation({ origin, formerOrigin: former.origin, survivors: BigInt(former.size), checkpoint });
  await insertRow(tx, IncarnationEntity, { logId: log.id, statement });
  await queueEntry(tx, log.id, { kind: EntryKind.incarnation, hash: sha256(statement) });
  await queueAgain(tx, former.id, log.id);
  return log;
}

function lastWitnessed(policy: Policy, checkpoint: string): Checkpoint {
  const verdict = verifyCheckpoint(checkpoint, policy);
  if ('invalid' in verdict) throw new ApiError('invalid_request', `This is no checkpoint of the hospital's log (${verdict.invalid})`);
  if (policy.witnesses.length > 0 && verdict.cosigners.length === 0)
    throw new ApiError('invalid_request', 'No witness of the policy cosigned this checkpoint');
  return verdict.checkpoint;
}

/** Whether the stored tree has all that was witnessed and all that this server signed. */
async function isSound(tx: EntityManager, log: LogEntity, policy: Policy, witnessed: Checkpoint): Promise<boolean> {
  const newest = await newestCheckpoint(tx, log.id);
  const own = newest && verifyCheckpoint(newest.note, policy);
  if (!own || 'invalid' in own) return false;
  const tree = new TreeReader(tx, log.id);
  for (const { size, root } of [witnessed, own.checkpoint]) {
    if (size > BigInt(log.size)) return false;
    const stored = await tree.root(size).catch(() => null);
    if (!stored?.equals(root)) return false;
  }
  return true;
}

/** Leaves first, then what waited, each in its order; each entry gets a tag of its own in the new log. */
async function queueAgain(tx: EntityManager, from: number, to: number): Promise<void> {
  for (let after = -1; ;) {
    const where = { logId: from, leafIndex: MoreThan(after) };
    const page = await tx.getRepository(LeafEntity).find({ where, order: { leafIndex: 'ASC' }, take: LEAVES_AT_ONCE });
    for (const { kind, hash } of page) if (isEntryKind(kind)) await queueEntry(tx, to, { kind, hash });
    const last = page.at(-1);
    if (!last) break;
    after = last.leafIndex;
  }
  const waiting = await waitingEntries(tx, 'logId', [from]);
  for (const { kind, hash } of waiting.sort((a, b) => a.id - b.id)) if (isEntryKind(kind)) await queueEntry(tx, to, { kind, hash });
  await tx.getRepository(PendingEntity).delete({ logId: from });
}
