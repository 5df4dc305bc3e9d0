import { Injectable } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { selectRows } from '../database/rows';
import { formatReceipt } from '../ledger/core/receipt';
import { cosignedNote, newestCheckpoint, witnessedCheckpoints } from './checkpoint-store';
import { currentLog } from './log-store';
import { LeafEntity, type LogEntity } from './tlog.entity';
import { Trees } from './tree-reader';
import { WitnessingService } from './witnessing.service';

/** Where an entry stands, and what proves it. */
export interface ProvenEntry {
  /** `witnessed`: the checkpoint satisfies the server's policy. */
  readonly state: 'logged' | 'witnessed';
  readonly leafIndex: number;
  /** RFC 6962 audit path. */
  readonly proof: readonly Buffer[];
  /** Signed note with its cosignatures. */
  readonly checkpoint: string;
}

type Checkpoint = Pick<ProvenEntry, 'state' | 'checkpoint'> & { readonly size: number };

/** Entries of one log. */
interface Found {
  readonly log: LogEntity;
  /** In the order of the hashes; null: it is not there. */
  readonly leaves: readonly (LeafEntity | null)[];
  /** The newest checkpoint that satisfies the policy, and the newest of all; none that is not there. */
  readonly checkpoints: readonly Checkpoint[];
}

const HASHES_A_QUERY = 500;
/** After so many proofs other requests get a turn. */
const TURN = 64;

/** Proves that entries are in a hospital's log, one or many at the cost of little more than one. */
@Injectable()
export class LogProofs {
  constructor(
    private readonly witnessing: WitnessingService,
    private readonly trees: Trees,
  ) {}

  /**
   * Each entry's proof under the newest checkpoint over it that satisfies the policy, else under the newest one; null for one that is not logged yet. In
   * the order of `hashes`.
   */
  async each(manager: EntityManager, hospitalId: string, hashes: readonly Buffer[]): Promise<(ProvenEntry | null)[]> {
    const found = await this.find(manager, hospitalId, hashes);
    if (!found) return hashes.map(() => null);
    const proven = new Map<LeafEntity, ProvenEntry>();
    for (const checkpoint of found.checkpoints) {
      const leaves = found.leaves.filter((leaf) => leaf !== null).filter((leaf) => isOver(checkpoint, leaf) && !proven.has(leaf));
      for await (const entry of this.prove(manager, found.log, leaves, checkpoint)) proven.set(entry.leaf, entry);
    }
    return found.leaves.map((leaf) => (leaf && proven.get(leaf)) ?? null);
  }

  /** The proof of one entry, as in `each`. */
  async one(manager: EntityManager, hospitalId: string, hash: Buffer): Promise<ProvenEntry | null> {
    return (await this.each(manager, hospitalId, [hash]))[0] ?? null;
  }

  /**
   * Proofs of entries, all under one checkpoint: the newest that satisfies the policy, else the newest one. In the order of `hashes`; null when one of them is
   * not logged yet.
   */
  async together(manager: EntityManager, hospitalId: string, hashes: readonly Buffer[]): Promise<ProvenEntry[] | null> {
    const found = await this.find(manager, hospitalId, hashes);
    const leaves = found?.leaves.filter((leaf) => leaf !== null) ?? [];
    const checkpoint = found?.checkpoints.find((item) => leaves.every((leaf) => isOver(item, leaf)));
    if (!found || !checkpoint || leaves.length < hashes.length) return null;
    const proven: ProvenEntry[] = [];
    for await (const entry of this.prove(manager, found.log, leaves, checkpoint)) proven.push(entry);
    return proven;
  }

  /** Null when none of the entries is in the log that grows now, under a checkpoint or not yet. */
  private async find(manager: EntityManager, hospitalId: string, hashes: readonly Buffer[]): Promise<Found | null> {
    const known = new Map<string, LeafEntity[]>();
    for (let at = 0; at < hashes.length; at += HASHES_A_QUERY) {
      for (const leaf of await selectRows(manager, LeafEntity, 'hash', hashes.slice(at, at + HASHES_A_QUERY))) {
        const key = leaf.hash.toString('latin1');
        known.set(key, [...(known.get(key) ?? []), leaf]);
      }
    }
    const log = known.size === 0 ? null : await currentLog(manager, hospitalId);
    if (!log) return null;
    const leaves = hashes.map((hash) => known.get(hash.toString('latin1'))?.find(({ logId }) => logId === log.id) ?? null);
    const lowest = Math.min(...leaves.map((leaf) => leaf?.leafIndex ?? Infinity));
    return { log, leaves, checkpoints: lowest === Infinity ? [] : await this.checkpointsOver(manager, log, lowest) };
  }

  private async checkpointsOver(manager: EntityManager, log: LogEntity, lowest: number): Promise<Checkpoint[]> {
    const newest = await newestCheckpoint(manager, log.id);
    if (!newest || newest.size <= lowest) return [];
    const last: Checkpoint = { state: 'logged', size: newest.size, checkpoint: await cosignedNote(manager, newest) };
    const policy = this.witnessing.policyFor(log.origin);
    for await (const { note, size } of witnessedCheckpoints(manager, log.id, lowest, policy))
      return [{ state: 'witnessed', size, checkpoint: note }, last]; // older ones are over less
    return [last];
  }

  private async *prove(
    manager: EntityManager,
    log: LogEntity,
    leaves: readonly LeafEntity[],
    { state, size, checkpoint }: Checkpoint,
  ): AsyncGenerator<ProvenEntry & { readonly leaf: LeafEntity }> {
    if (leaves.length === 0) return;
    const tree = this.trees.of(manager, log.id);
    const indexes = leaves.map(({ leafIndex }) => BigInt(leafIndex));
    let made = 0;
    for await (const proof of tree.inclusions(indexes, BigInt(size))) {
      const leaf = leaves[made];
      if (!leaf) return;
      yield { leaf, state, leafIndex: leaf.leafIndex, proof, checkpoint };
      made += 1;
      if (made % TURN === 0) await nextTurn();
    }
  }
}

/** A receipt as text (C2SP tlog-proof). @param extra of the application */
export function receiptOf({ leafIndex, proof, checkpoint }: ProvenEntry, extra?: Buffer): string {
  return formatReceipt({ ...(extra && { extra }), index: BigInt(leafIndex), proof, checkpoint });
}

function isOver({ size }: Checkpoint, { leafIndex }: LeafEntity): boolean {
  return size > leafIndex;
}
