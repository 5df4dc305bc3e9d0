import type { EntityManager } from 'typeorm';
import { FormatError } from '../ledger/core/bytes';
import { type Checkpoint, parseCheckpointText } from '../ledger/core/checkpoint';
import { parseNote } from '../ledger/core/note';
import { type Policy, verifyCheckpoint } from '../ledger/core/policy';
import { type LogFindings } from './log-report';
import { CheckpointEntity, CosignatureEntity } from './tlog.entity';

/** Whom a verification of stored logs believes. */
export interface LogTrust {
  /** The key of the log of this origin (alone under `logs`) with the witnesses and the quorum; null when its key is not known. */
  policyFor(origin: string): Policy | null;
}

/** A stored checkpoint that says what its row says, under a good signature. */
export interface ReadCheckpoint {
  readonly size: number;
  readonly root: Buffer;
  /** It satisfies the policy, and somebody cosigned it. */
  readonly witnessed: boolean;
}

/**
 * Reads the stored checkpoints of a log from size `from` to size `to` (both included) with their cosignatures, and verifies every signature.
 * What cannot be believed is a finding and left out.
 */
export async function readCheckpoints(
  manager: EntityManager,
  log: { readonly id: number; readonly origin: string },
  range: { readonly from: number; readonly to: number },
  trust: LogTrust,
  found: LogFindings,
): Promise<ReadCheckpoint[]> {
  const policy = trust.policyFor(log.origin);
  const lines = await cosignatures(manager, log.id, range);
  const rows = await manager
    .createQueryBuilder(CheckpointEntity, 'c')
    .where('c.logId = :logId AND c.size >= :from AND c.size <= :to', { logId: log.id, ...range })
    .orderBy('c.size')
    .getMany();
  const read: ReadCheckpoint[] = [];
  for (const { size, note } of rows) {
    const checkpoint = readCheckpoint(note + (lines.get(size) ?? []).join(''), log.origin, size, policy);
    if ('invalid' in checkpoint) found.say('CHECKPOINT_INVALID', size, checkpoint.invalid);
    else read.push(checkpoint);
  }
  return read;
}

/**
 * One stored checkpoint with its cosignatures, held against the log and the size that its row names.
 * @param policy null when the log's key is not known: then the signatures are not looked at
 * @returns `invalid` names what cannot be believed
 */
export function readCheckpoint(
  note: string,
  origin: string,
  size: number,
  policy: Policy | null,
): ReadCheckpoint | { readonly invalid: string } {
  const verdict = judge(note, policy);
  if ('invalid' in verdict) return { invalid: verdict.invalid };
  if (verdict.checkpoint.origin !== origin) return { invalid: 'checkpoint.origin' };
  if (verdict.checkpoint.size !== BigInt(size)) return { invalid: 'checkpoint.size' };
  return { size, root: verdict.checkpoint.root, witnessed: verdict.witnessed };
}

async function cosignatures(
  manager: EntityManager,
  logId: number,
  range: { readonly from: number; readonly to: number },
): Promise<Map<number, string[]>> {
  const rows = await manager
    .createQueryBuilder(CosignatureEntity, 's')
    .where('s.logId = :logId AND s.size >= :from AND s.size <= :to', { logId, ...range })
    .orderBy('s.size')
    .addOrderBy('s.witness')
    .getMany();
  const lines = new Map<number, string[]>();
  for (const { size, line } of rows) lines.set(size, [...(lines.get(size) ?? []), line]);
  return lines;
}

/** Without a key only the form can be judged. */
function judge(note: string, policy: Policy | null): { checkpoint: Checkpoint; witnessed: boolean } | { invalid: string } {
  if (policy) return verifyCheckpoint(note, policy);
  try {
    return { checkpoint: parseCheckpointText(parseNote(note).text), witnessed: false };
  } catch (error) {
    if (error instanceof FormatError) return { invalid: error.field.startsWith('checkpoint') ? error.field : 'checkpoint' };
    throw error;
  }
}
