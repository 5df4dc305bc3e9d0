import type { EntityManager } from 'typeorm';
import { selectRows } from '../database/rows';
import type { LeafMarks } from '../tlog/leaf-marks';
import type { LeafProver } from '../tlog/leaf-prover';
import { LeafEntity, LogEntity, PendingEntity } from '../tlog/tlog.entity';
import { HASH_BYTES, isBytes } from './core/bytes';
import { EntryKind } from './core/entry';
import { type Finding, MAX_FINDINGS } from './core/verdict';
import { BlockEntity, type ChainEntity } from './ledger.entity';

/** How the leaves of a chain are verified, beside that they are there. */
export interface LeafChecks {
  /** Notes every leaf that has its block. */
  readonly marks?: LeafMarks;
  /** Proves leaves of a log under its newest checkpoint; null when there is none. `invalid`: what in it cannot be believed. */
  readonly proverOf?: (logId: number) => Promise<LeafProver | { readonly invalid: string } | null>;
}

/** Where the newest block of a chain stands in its hospital's log. */
export interface HeadLeaf {
  readonly logId: number;
  readonly leafIndex: number;
}

/** What is known of a block from its own row. */
export type BlockRow = Pick<BlockEntity, 'height' | 'blockHash' | 'recordId'>;
type Leaf = Pick<LeafEntity, 'logId' | 'leafIndex' | 'kind'>;
type LeafRow = Leaf & Pick<BlockEntity, 'height'>;

/**
 * Holds the blocks of one chain against the leaves of its hospital's logs (invariants I3 and I4): each block has one leaf of kind block in a log, and the
 * indexes rise with the height. A block that still waits for its place is fine: it is queued in the transaction that seals it, and leaves the
 * queue only as a leaf.
 */
export class ChainLeaves {
  /** Where the newest block seen stands; null while it waits, or when it has no leaf. */
  head: HeadLeaf | null = null;
  private made = 0;
  private readonly last = new Map<number, number>();
  private readonly disbelieved = new Set<number>();

  constructor(
    private readonly manager: EntityManager,
    private readonly chain: Pick<ChainEntity, 'chainId' | 'hospitalId'>,
    private readonly checks: LeafChecks = {},
  ) {}

  /** What is wrong with the leaves of these blocks: a page of the chain, from above height `from`. Pages come in rising order. At most {@link MAX_FINDINGS} in all. */
  async findings(from: number, blocks: readonly BlockRow[]): Promise<Finding[]> {
    const leaves = byHeight(await this.page(from, blocks.at(-1)?.height ?? from));
    const waiting = await this.withoutLeaf(blocks.filter(({ height }) => !leaves.has(height)));
    const findings: Finding[] = [];
    for (const { height, blockHash, recordId } of blocks) {
      const own = leaves.get(height) ?? waiting.get(height);
      for (const { code, field } of own ? await this.judge(own, blockHash) : [MISSING]) findings.push({ code, height, field, recordId });
      const newest = own?.at(-1);
      this.head = newest ? { logId: newest.logId, leafIndex: newest.leafIndex } : null;
    }
    const kept = findings.slice(0, MAX_FINDINGS - this.made);
    this.made += kept.length;
    return kept;
  }

  private page(from: number, to: number): Promise<LeafRow[]> {
    const builder = this.manager
      .createQueryBuilder(BlockEntity, 'b')
      .innerJoin(LeafEntity, 'l', `l.hash = b.blockHash AND l.logId IN ${this.logs()}`, { hospitalId: this.chain.hospitalId })
      .select('b.height', 'height');
    for (const column of ['logId', 'leafIndex', 'kind']) builder.addSelect(`l.${column}`, column);
    return builder
      .where('b.chainId = :chainId AND b.height > :from AND b.height <= :to', { chainId: this.chain.chainId, from, to })
      .orderBy('b.height')
      .addOrderBy('l.logId')
      .addOrderBy('l.leafIndex')
      .getRawMany<LeafRow>();
  }

  /** All logs of the hospital: an older incarnation keeps the leaves that it has. */
  private logs(): string {
    const query = this.manager.createQueryBuilder().subQuery().select('g.id').from(LogEntity, 'g').where('g.hospitalId = :hospitalId');
    return query.getQuery();
  }

  /**
   * Blocks that had no leaf when the page was read and are queued, or have got their leaf meanwhile. First the queue is read, then the leaves:
   * entries move in this direction only, so none slips through.
   */
  private async withoutLeaf(blocks: readonly BlockRow[]): Promise<Map<number, Leaf[]>> {
    const heights = new Map<string, number>();
    for (const { height, blockHash } of blocks) if (isBytes(blockHash, HASH_BYTES)) heights.set(keyOf(blockHash), height);
    const hashes = blocks.map(({ blockHash }) => blockHash).filter((hash) => isBytes(hash, HASH_BYTES));
    const found = new Map<number, Leaf[]>();
    if (hashes.length === 0) return found;
    const own = new Set((await selectRows(this.manager, LogEntity, 'hospitalId', [this.chain.hospitalId])).map(({ id }) => id));
    for (const { logId, kind, hash } of await selectRows(this.manager, PendingEntity, 'hash', hashes)) {
      const height = heights.get(keyOf(hash));
      if (height !== undefined && own.has(logId) && kind === EntryKind.block) found.set(height, []);
    }
    for (const { hash, ...leaf } of await selectRows(this.manager, LeafEntity, 'hash', hashes)) {
      const height = heights.get(keyOf(hash));
      if (height !== undefined && own.has(leaf.logId)) found.set(height, [...(found.get(height) ?? []), leaf]);
    }
    return found;
  }

  private async judge(leaves: readonly Leaf[], hash: unknown): Promise<Misfit[]> {
    const found: Misfit[] = [];
    const seen = new Set<number>();
    for (const { logId, leafIndex, kind } of leaves) {
      if (kind !== EntryKind.block) found.push({ code: 'LEAF_MISMATCH', field: 'leaf.kind' });
      if (seen.has(logId)) found.push({ code: 'LEAF_MISMATCH', field: 'a second leaf' });
      else if (leafIndex <= (this.last.get(logId) ?? -1)) found.push({ code: 'LEAF_MISMATCH', field: 'leaf.index' });
      seen.add(logId);
      this.last.set(logId, Math.max(leafIndex, this.last.get(logId) ?? -1));
      if (kind === EntryKind.block) this.checks.marks?.mark(logId, leafIndex);
      if (isBytes(hash, HASH_BYTES)) found.push(...(await this.prove(logId, leafIndex, hash)));
    }
    return found;
  }

  /** A checkpoint that cannot be believed is said once for each chain. */
  private async prove(logId: number, leafIndex: number, hash: Buffer): Promise<Misfit[]> {
    const prover = await this.checks.proverOf?.(logId);
    if (!prover || this.disbelieved.has(logId)) return [];
    if ('invalid' in prover) {
      this.disbelieved.add(logId);
      return [{ code: 'CHECKPOINT_INVALID', field: prover.invalid }];
    }
    const holds = await prover.holds(leafIndex, { kind: EntryKind.block, hash });
    return holds === false ? [{ code: 'INCLUSION_INVALID', field: 'leaf' }] : [];
  }
}

type Misfit = Pick<Finding, 'code' | 'field'>;
const MISSING: Misfit = { code: 'LEAF_MISSING', field: 'header' };

const keyOf = (hash: Buffer): string => hash.toString('latin1');

function byHeight(rows: readonly LeafRow[]): Map<number, Leaf[]> {
  const leaves = new Map<number, Leaf[]>();
  for (const row of rows) {
    const known = leaves.get(row.height);
    if (known) known.push(row);
    else leaves.set(row.height, [row]);
  }
  return leaves;
}
