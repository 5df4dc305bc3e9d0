import type { EntityManager } from 'typeorm';
import { insertRow } from '../database/rows';
import { MAX_SIGNATURES } from '../ledger/core/note';
import type { Checkpoint } from '../ledger/core/checkpoint';
import { type Policy, verifyCheckpoint } from '../ledger/core/policy';
import { CheckpointEntity, CosignatureEntity, LogEntity, PendingEntity } from './tlog.entity';

/** Cosigned checkpoints that are tried when the newest do not satisfy a policy. */
const CANDIDATES = 8;

/** What one log needs to have done to it. */
export interface LogWork {
  readonly id: number;
  readonly hospitalId: string;
  /** 1, 2, … */
  readonly incarnation: number;
  readonly origin: string;
  readonly size: number;
  /** Entries without a place. */
  readonly pending: number;
  /** Size of the newest checkpoint; -1 before the first. */
  readonly signedSize: number;
}

/** All logs that still grow: of each hospital the newest incarnation. One statement, whatever their number. */
export async function workOf(manager: EntityManager): Promise<LogWork[]> {
  const rows = await manager
    .createQueryBuilder(LogEntity, 'l')
    .select('l.id', 'id')
    .addSelect('l.hospitalId', 'hospitalId')
    .addSelect('l.incarnation', 'incarnation')
    .addSelect('l.origin', 'origin')
    .addSelect('l.size', 'size')
    .addSelect((query) => query.select('COUNT(*)').from(PendingEntity, 'p').where('p.logId = l.id'), 'pending')
    .addSelect((query) => query.select('MAX(c.size)').from(CheckpointEntity, 'c').where('c.logId = l.id'), 'signedSize')
    .where((query) => {
      const newest = query.subQuery().select('MAX(n.incarnation)').from(LogEntity, 'n').where('n.hospitalId = l.hospitalId').getQuery();
      return `l.incarnation = ${newest}`;
    })
    .orderBy('l.id')
    .getRawMany<Record<keyof LogWork, string | number | null>>();
  return rows.map((row) => ({
    id: Number(row.id),
    hospitalId: String(row.hospitalId),
    incarnation: Number(row.incarnation),
    origin: String(row.origin),
    size: Number(row.size),
    pending: Number(row.pending),
    signedSize: Number(row.signedSize ?? -1),
  }));
}

/** The newest checkpoint of a log; null before the first. */
export async function newestCheckpoint(manager: EntityManager, logId: number): Promise<CheckpointEntity | null> {
  const [newest] = await manager.getRepository(CheckpointEntity).find({ where: { logId }, order: { size: 'DESC' }, take: 1 });
  return newest ?? null;
}

/** The checkpoint that was signed for one size. */
export function checkpointOf(manager: EntityManager, logId: number, size: number): Promise<CheckpointEntity | null> {
  return manager.getRepository(CheckpointEntity).findOneBy({ logId, size });
}

export function storeCheckpoint(tx: EntityManager, checkpoint: CheckpointEntity): Promise<void> {
  return insertRow(tx, CheckpointEntity, checkpoint);
}

/** Keeps a cosignature. The first one of a witness for a size stays: a later one says the same about another second. */
export async function storeCosignature(tx: EntityManager, row: CosignatureEntity): Promise<void> {
  const { logId, size, witness } = row;
  if (!(await tx.getRepository(CosignatureEntity).existsBy({ logId, size, witness }))) await insertRow(tx, CosignatureEntity, row);
}

/** A checkpoint with the cosignatures that are stored for it, as one signed note: of no more than a note may carry, beside the log's own signature. */
export async function cosignedNote(manager: EntityManager, { logId, size, note }: CheckpointEntity): Promise<string> {
  const lines = await manager
    .getRepository(CosignatureEntity)
    .find({ where: { logId, size }, order: { witness: 'ASC' }, take: MAX_SIGNATURES - 1 });
  return note + lines.map(({ line }) => line).join('');
}

/** A stored checkpoint that satisfies a policy and that somebody cosigned. */
export interface WitnessedCheckpoint {
  readonly size: number;
  /** With its cosignatures, as one signed note. */
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

/** The checkpoints over the leaf at `index` that satisfy the policy, newest first; looked for among the newest few that were cosigned. */
export async function* witnessedCheckpoints(
  manager: EntityManager,
  logId: number,
  index: number,
  policy: Policy,
): AsyncGenerator<WitnessedCheckpoint> {
  for (const candidate of await cosignedCheckpoints(manager, logId, index)) {
    const note = await cosignedNote(manager, candidate);
    const verdict = verifyCheckpoint(note, policy);
    if (!('invalid' in verdict) && verdict.witnessed) yield { size: candidate.size, note, checkpoint: verdict.checkpoint };
  }
}

/** The newest checkpoints above `index` that at least one witness cosigned, newest first. */
function cosignedCheckpoints(manager: EntityManager, logId: number, index: number): Promise<CheckpointEntity[]> {
  return manager
    .createQueryBuilder(CheckpointEntity, 'c')
    .where('c.logId = :logId AND c.size > :index', { logId, index })
    .andWhere((query) => {
      const cosigned = query.subQuery().select('1').from(CosignatureEntity, 's').where('s.logId = c.logId AND s.size = c.size').getQuery();
      return `EXISTS ${cosigned}`;
    })
    .orderBy('c.size', 'DESC')
    .limit(CANDIDATES)
    .getMany();
}

/** The largest size of this log that a witness has cosigned here; 0 when none. */
export async function lastCosigned(manager: EntityManager, logId: number, witness: string): Promise<number> {
  return (await manager.getRepository(CosignatureEntity).maximum('size', { logId, witness })) ?? 0;
}
