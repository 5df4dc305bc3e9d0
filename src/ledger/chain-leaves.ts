import type { EntityManager } from 'typeorm';
import { queryRows } from '../database/dialect';
import { storedRows, selectRows } from '../database/rows';
import type { LeafMarks } from '../tlog/leaf-marks';
import type { LeafProver } from '../tlog/leaf-prover';
import { waitingEntries } from '../tlog/log-store';
import { leafOrder, waitingOrder } from '../tlog/places';
import { LeafEntity, LogEntity } from '../tlog/tlog.entity';
import { HASH_BYTES, isBytes } from './core/bytes';
import { EntryKind } from './core/entry';
import { type Finding, MAX_FINDINGS } from './core/verdict';
import type { BlockEntity, ChainEntity } from './ledger.entity';

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

/** Of all logs of the hospital: an older incarnation keeps the leaves that it has. */
const LEAVES = `SELECT b."height" AS "height", l."logId" AS "logId", l."leafIndex" AS "leafIndex", l."kind" AS "kind"
  FROM "ledger_block" b JOIN "log_leaf" l ON l."hash" = b."blockHash" AND l."logId" IN (SELECT g."id" FROM "log" g WHERE g."hospitalId" = ?)
  WHERE b."chainId" = ? AND b."height" > ? AND b."height" <= ? ORDER BY b."height", l."logId", l."leafIndex"`;

/**
 * Holds the blocks of one chain against the leaves of its hospital's logs (invariants I3 and I4): each block has one leaf of kind block in a log, and the
 * indexes rise with the height. A block that still waits for its place is fine: it is queued in the transaction that seals it, and leaves the
 * queue only as a leaf.
 */
export class ChainLeaves {
  /** Where the newest block seen stands; null while it waits, or when it has no leaf. */
  head: HeadLeaf | null = null;
  /** By height; an empty list says that the block waits for its place. */
  private leaves = new Map<number, Leaf[]>();
  private orders = new Map<string, number>();
  private made = 0;
  private readonly last = new Map<number, number>();
  private readonly disbelieved = new Set<number>();

  constructor(
    private readonly manager: EntityManager,
    private readonly chain: Pick<ChainEntity, 'chainId' | 'hospitalId'>,
    private readonly checks: LeafChecks = {},
  ) {}

  /** Reads the leaves of the next blocks: a page of the chain, from above height `from`. Pages come in rising order. */
  async turn(from: number, blocks: readonly BlockRow[]): Promise<void> {
    this.leaves = new Map();
    this.orders = new Map();
    const to = blocks.at(-1)?.height;
    if (to === undefined) return;
    const { chainId, hospitalId } = this.chain;
    const hashes = new Map(blocks.map(({ height, blockHash }) => [height, isBytes(blockHash, HASH_BYTES) ? blockHash : null]));
    const logs = new Map((await storedRows(this.manager, LogEntity, 'hospitalId', [hospitalId])).map((log) => [log.id, log.incarnation]));
    for (const row of await queryRows<LeafRow>(this.manager, LEAVES, [hospitalId, chainId, from, to]))
      this.note(row.height, hashes.get(row.height), row, logs.get(row.logId));
    await this.lookForRest(blocks, logs);
  }

  /** What is wrong with the leaves of the blocks turned to. At most {@link MAX_FINDINGS} in all. */
  async findings(blocks: readonly BlockRow[]): Promise<Finding[]> {
    const findings: Finding[] = [];
    for (const { height, blockHash, recordId } of blocks) {
      const own = this.leaves.get(height);
      for (const { code, field } of own ? await this.judge(own, blockHash) : [MISSING]) findings.push({ code, height, field, recordId });
      const newest = own?.at(-1);
      this.head = newest ? { logId: newest.logId, leafIndex: newest.leafIndex } : null;
    }
    const kept = findings.slice(0, MAX_FINDINGS - this.made);
    this.made += kept.length;
    return kept;
  }

  /** Where one of the blocks turned to stands in the order of the logs (`LogPlace.order`), by its hash; undefined when it is in none. */
  orderOf(blockHash: Buffer): number | undefined {
    return this.orders.get(keyOf(blockHash));
  }

  /** @param incarnation of the leaf's log; undefined for one that began after the logs were listed, whose leaves older ones hold too */
  private note(height: number, hash: Buffer | null | undefined, leaf: Leaf, incarnation: number | undefined): void {
    const known = this.leaves.get(height);
    if (known) known.push(leaf);
    else this.leaves.set(height, [leaf]);
    if (hash && incarnation !== undefined && leaf.kind === EntryKind.block) this.order(hash, leafOrder(incarnation, leaf.leafIndex));
  }

  /** What several incarnations hold stands at the first. */
  private order(hash: Buffer, order: number): void {
    const key = keyOf(hash);
    if ((this.orders.get(key) ?? Infinity) > order) this.orders.set(key, order);
  }

  /**
   * Blocks that had no leaf when the page was read and are queued, or have got their leaf meanwhile. First the queue is read, then the leaves:
   * entries move in this direction only, so none slips through.
   */
  private async lookForRest(blocks: readonly BlockRow[], logs: ReadonlyMap<number, number>): Promise<void> {
    const rest = blocks.filter(({ height, blockHash }) => !this.leaves.has(height) && isBytes(blockHash, HASH_BYTES));
    if (rest.length === 0) return;
    const heights = new Map(rest.map(({ height, blockHash }) => [keyOf(blockHash), height]));
    const hashes = rest.map(({ blockHash }) => blockHash);
    for (const { id, logId, kind, hash } of await waitingEntries(this.manager, 'hash', hashes)) {
      const [height, incarnation] = [heights.get(keyOf(hash)), logs.get(logId)];
      if (height === undefined || incarnation === undefined || kind !== EntryKind.block) continue;
      this.leaves.set(height, []);
      this.order(hash, waitingOrder(incarnation, id));
    }
    for (const leaf of await selectRows(this.manager, LeafEntity, 'hash', hashes)) {
      const [height, incarnation] = [heights.get(keyOf(leaf.hash)), logs.get(leaf.logId)];
      if (height !== undefined && incarnation !== undefined) this.note(height, leaf.hash, leaf, incarnation);
    }
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
