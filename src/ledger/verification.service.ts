import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService } from '../access/access.service';
import type { Actor } from '../common/actor';
import { isoTime } from '../common/clock';
import { invalid, notFound } from '../common/errors';
import { cursorId, toPage } from '../common/page';
import { KeyRing } from '../crypto/key-ring.service';
import { LogProvers } from '../tlog/log-provers';
import { WitnessingService } from '../tlog/witnessing.service';
import { b64u } from './core/bytes';
import { BlockKind, decodeHeader, isZero } from './core/header';
import { BlockEntity } from './ledger.entity';
import type { BlockResponse, ChainQuery, ChainResponse, ChainVerdictResponse } from './ledger.dto';
import { consentRows } from './consent-rows';
import type { RowKeeper } from './row-keeper';
import { chainAt } from './stored-rows';
import { type ChainVerdict, verifyLedger } from './verify-ledger';

const KIND_NAMES = new Map<number, string>(Object.entries(BlockKind).map(([name, number]) => [number, name]));

/** Proves or disproves that nothing sealed was changed (R17), and shows chains without their content. */
@Injectable()
export class VerificationService {
  private readonly keepers: RowKeeper[] = [consentRows];

  constructor(
    private readonly access: AccessService,
    private readonly keyRing: KeyRing,
    private readonly witnessing: WitnessingService,
  ) {}

  /** A module whose rows about sealed things are compared with the blocks. */
  keep(keeper: RowKeeper): void {
    this.keepers.push(keeper);
  }

  /**
   * Walks the patient's chain: every hash, link, content and signature, the rows that are made of them, and the leaves, each proven under the newest
   * checkpoint of the log. VALID with no blocks: nothing was sealed.
   */
  verify(actor: Actor, patientId: string): Promise<ChainVerdictResponse> {
    return this.access.read(actor, 'chain.verify', { patientId }, async (manager, grant) => {
      const provers = new LogProvers(manager, (origin) => this.witnessing.policyFor(origin));
      const leaves = { proverOf: (logId: number) => provers.of(logId) };
      const verdicts: ChainVerdict[] = [];
      for await (const verdict of verifyLedger(manager, this.keyRing, this.keepers, patientId, { leaves })) verdicts.push(verdict);
      const worst = verdicts.find((item) => item.verdict === 'TAMPERED') ?? verdicts[0];
      grant.note({ count: worst?.blocks ?? 0, ...(typeof worst?.height === 'number' ? { headHeight: worst.height } : {}) });
      return worst ? this.proven(worst, provers) : nothingSealed(patientId);
    });
  }

  /** Walks every chain, one after another; yields each verdict. */
  verifyAll(manager: EntityManager): AsyncGenerator<ChainVerdict> {
    return verifyLedger(manager, this.keyRing, this.keepers);
  }

  /** Whose rows are compared with the blocks. */
  get rowKeepers(): readonly RowKeeper[] {
    return this.keepers;
  }

  /** Says under which checkpoint a chain is proven. With witnesses configured, only one that satisfies the policy makes it VALID. */
  private async proven({ leaf, ...verdict }: ChainVerdict, provers: LogProvers): Promise<ChainVerdictResponse> {
    const prover = leaf && (await provers.of(leaf.logId));
    const checkpoint = prover && leaf && !('invalid' in prover) ? await prover.checkpointOver(leaf.leafIndex) : null;
    const lacking = verdict.verdict === 'VALID' && this.witnessing.expected.length > 0 && checkpoint?.witnessed !== true;
    return { ...verdict, verdict: lacking ? 'VALID_UNWITNESSED' : verdict.verdict, checkpoint };
  }

  /** The blocks of a chain, without their content. The cursor is the record id of the last block shown. */
  chain(actor: Actor, patientId: string, query: ChainQuery): Promise<ChainResponse> {
    return this.access.read(actor, 'chain.read', { patientId }, async (manager, grant) => {
      const chain = await chainAt(manager, grant);
      if (!chain) throw notFound();
      const builder = manager
        .createQueryBuilder(BlockEntity, 'b')
        .where('b.chainId = :chainId', { chainId: chain.chainId })
        .orderBy('b.height')
        .limit(query.limit + 1);
      const after = cursorId(query);
      if (after !== undefined) builder.andWhere('b.height > :from', { from: await this.heightOf(manager, chain.chainId, after) });
      const page = toPage(await builder.getMany(), query.limit, (row) => row.recordId, toBlock);
      grant.note({ headHeight: chain.height, count: page.items.length });
      return { patientId, chainId: b64u(chain.chainId), height: chain.height, ...page };
    });
  }

  private async heightOf(manager: EntityManager, chainId: Buffer, recordId: string): Promise<number> {
    const row = (await manager.getRepository(BlockEntity).findBy({ recordId })).find((block) => block.chainId.equals(chainId));
    if (!row) throw invalid('cursor', 'must be a nextCursor that this list gave');
    return row.height;
  }
}

function nothingSealed(patientId: string): ChainVerdictResponse {
  return { patientId, verdict: 'VALID', chainId: '', blocks: 0, height: null, headHash: null, findings: [], checkpoint: null };
}

function toBlock(row: BlockEntity): BlockResponse {
  const header = decodeHeader(row.header);
  return {
    height: row.height,
    kind: KIND_NAMES.get(header.kind) ?? String(header.kind),
    recordId: row.recordId,
    version: row.version,
    blockHash: row.blockHash.toString('hex'),
    prevHash: row.prevHash.toString('hex'),
    sealedAt: isoTime(header.sealedAt),
    authorKeyId: isZero(header.authorKeyId) ? null : b64u(header.authorKeyId),
  };
}
