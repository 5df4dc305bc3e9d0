import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../common/clock';
import { LOGS, type Logs } from '../common/logger';
import { Database } from '../database/database';
import { ConfigError } from '../config/config';
import { MAX_SIGNATURES } from '../ledger/core/note';
import { type Policy, verifyCheckpoint } from '../ledger/core/policy';
import { lastCosigned, newestCheckpoint, storeCosignature } from './checkpoint-store';
import { LogKeys } from './log-keys';
import { POLICY } from './policy-file';
import { LogEntity, type CheckpointEntity } from './tlog.entity';
import { Trees } from './tree-reader';
import { checkpointAt, idOf, offerCheckpoint, type Witness, type WitnessReply } from './witness-client';

const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Why a log signs nothing more. `ROLLBACK`: a witness has seen a later state than ours, or another one of the same size. `LOG_ALTERED`: somebody else
 * wrote the log's own row, its size or its edge.
 */
export type Halt = 'ROLLBACK' | 'CHECKPOINT_INVALID' | 'CONSISTENCY_INVALID' | 'LOG_ALTERED';

interface Acquaintance {
  /** What it has cosigned last, as far as we know. */
  size: number;
  failures: number;
  /** Not asked before this instant. */
  notBefore: number;
  asking: boolean;
}

/** Asks the witnesses of the policy: for cosignatures, and at the start for what they saw last. */
@Injectable()
export class WitnessingService {
  private readonly known = new Map<string, Acquaintance>();

  constructor(
    private readonly database: Database,
    private readonly keys: LogKeys,
    private readonly trees: Trees,
    private readonly clock: Clock,
    @Inject(LOGS) private readonly logs: Logs,
    @Inject(POLICY) private readonly policy: Policy,
  ) {
    // One line of a note is the log's own: with more cosignatures no verifier could read it.
    if (policy.witnesses.length >= MAX_SIGNATURES)
      throw new ConfigError('LEDGER_POLICY', `names more than ${MAX_SIGNATURES - 1} witnesses`);
  }

  /** The witnesses that can be asked. */
  get witnesses(): readonly Witness[] {
    return this.policy.witnesses.filter((witness) => witness.url !== undefined);
  }

  /** All witnesses of the policy, with a URL or without. When there are any, checkpoints are expected to be witnessed. */
  get expected(): readonly Witness[] {
    return this.policy.witnesses;
  }

  /** The policy under which a checkpoint of this log is witnessed. */
  policyFor(origin: string): Policy {
    return { ...this.policy, logs: [{ key: this.keys.log(origin).key }] };
  }

  /**
   * Compares our last checkpoint with the stored tree and with what the witnesses saw (start-up after a restore from an old copy). A witness that does not
   * answer is no reason to stop: it will refuse when it is asked for a cosignature.
   */
  async examine(log: Pick<LogEntity, 'id' | 'origin'>): Promise<Halt | null> {
    const { reader } = this.database;
    const newest = await newestCheckpoint(reader, log.id);
    const own = newest && verifyCheckpoint(newest.note, { ...this.policyFor(log.origin), witnesses: [] });
    if (own && ('invalid' in own || own.checkpoint.origin !== log.origin)) return 'CHECKPOINT_INVALID';
    const current = (await reader.getRepository(LogEntity).findOneByOrFail({ id: log.id })).size;
    if (own && (own.checkpoint.size > BigInt(current) || !(await this.fits(log.id, own.checkpoint.size, own.checkpoint.root))))
      return 'CONSISTENCY_INVALID';
    const contradicted = await Promise.all(this.witnesses.map((witness) => this.contradicts(witness, log)));
    return contradicted.includes(true) ? 'ROLLBACK' : null;
  }

  /** Asks every witness that has not cosigned this checkpoint and may be asked again; calls `stored` after each new cosignature. */
  async gather(log: Pick<LogEntity, 'id' | 'origin'>, checkpoint: CheckpointEntity, stored: () => void): Promise<Halt | null> {
    const halts = await Promise.all(this.witnesses.map((witness) => this.askOnce(witness, log, checkpoint, stored)));
    return halts.find((halt) => halt !== null) ?? null;
  }

  private async askOnce(
    witness: Witness,
    log: Pick<LogEntity, 'id' | 'origin'>,
    checkpoint: CheckpointEntity,
    stored: () => void,
  ): Promise<Halt | null> {
    const peer = await this.acquaintance(witness, log.id);
    if (peer.asking || peer.size >= checkpoint.size || this.clock.now() < peer.notBefore) return null;
    peer.asking = true;
    try {
      return await this.offer(witness, peer, log, checkpoint, stored);
    } finally {
      peer.asking = false;
    }
  }

  private async offer(
    witness: Witness,
    peer: Acquaintance,
    log: Pick<LogEntity, 'id' | 'origin'>,
    checkpoint: CheckpointEntity,
    stored: () => void,
  ): Promise<Halt | null> {
    let reply = await this.send(witness, peer.size, log.id, checkpoint);
    if (reply.said === 'other-size' && reply.size <= BigInt(checkpoint.size)) {
      // For this offer only: anybody on the line can say a size, and what we believe to be cosigned is not offered again.
      reply = await this.send(witness, Number(reply.size), log.id, checkpoint);
    }
    if (reply.said === 'other-size' || reply.said === 'inconsistent') {
      // Anybody on the line can claim that: only a checkpoint with our own signature on it stops us.
      if (await this.contradicts(witness, log)) return this.tell(witness, log, 'it has seen another tree', 'ROLLBACK');
    }
    if (reply.said !== 'cosigned') {
      peer.failures += 1;
      peer.notBefore = this.clock.now() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(peer.failures - 1, 10));
      return this.tell(witness, log, reply.said === 'nothing' ? reply.reason : reply.said, null);
    }
    const { line } = reply;
    const row = { logId: log.id, size: checkpoint.size, witness: idOf(witness), line };
    await this.database.transaction((tx) => storeCosignature(tx, row));
    Object.assign(peer, { size: checkpoint.size, failures: 0, notBefore: 0 });
    stored();
    return null;
  }

  private async send(witness: Witness, from: number, logId: number, checkpoint: CheckpointEntity): Promise<WitnessReply> {
    const tree = this.trees.of(this.database.reader, logId);
    const proof = from === 0 || from === checkpoint.size ? [] : await tree.consistency(BigInt(from), BigInt(checkpoint.size));
    return offerCheckpoint(witness, BigInt(from), proof, checkpoint.note);
  }

  private async acquaintance(witness: Witness, logId: number): Promise<Acquaintance> {
    const key = `${logId}/${idOf(witness)}`;
    const found = this.known.get(key);
    if (found) return found;
    const size = await lastCosigned(this.database.reader, logId, idOf(witness));
    const made = this.known.get(key) ?? { size, failures: 0, notBefore: 0, asking: false };
    this.known.set(key, made);
    return made;
  }

  /** What a witness saw of a log, if it says so under its own signature and ours. */
  private async seenBy(witness: Witness, origin: string): Promise<{ size: bigint; root: Buffer } | null> {
    const note = await checkpointAt(witness, origin);
    if (note === undefined) this.tell(witness, { origin }, 'it does not answer at the start', null);
    if (typeof note !== 'string') return null;
    const verdict = verifyCheckpoint(note, this.policyFor(origin));
    if ('invalid' in verdict || verdict.checkpoint.origin !== origin) return null;
    return verdict.cosigners.some(({ name }) => name === witness.name) ? verdict.checkpoint : null;
  }

  /** Whether a witness holds a checkpoint, signed by us, that is larger than any that we have or of another tree than ours. */
  private async contradicts(witness: Witness, log: Pick<LogEntity, 'id' | 'origin'>): Promise<boolean> {
    const seen = await this.seenBy(witness, log.origin);
    if (seen === null) return false;
    // Read after the answer: it may have been held back, and what was signed meanwhile, here or by another process, contradicts nothing.
    const newest = await newestCheckpoint(this.database.reader, log.id);
    return seen.size > BigInt(newest?.size ?? 0) || !(await this.fits(log.id, seen.size, seen.root));
  }

  private async fits(logId: number, size: bigint, root: Buffer): Promise<boolean> {
    return (
      (
        await this.trees
          .of(this.database.reader, logId)
          .root(size)
          .catch(() => null)
      )?.equals(root) ?? false
    );
  }

  private tell<T extends Halt | null>(witness: Witness, log: { origin: string }, reason: string, halt: T): T {
    this.logs.app[halt ? 'error' : 'warn']({ witness: witness.key.name, origin: log.origin, reason, halt }, 'witness');
    return halt;
  }
}
