import type { EntityManager } from 'typeorm';
import { KeyRing } from '../crypto/key-ring.service';
import { ledgerOriginOf } from '../hospital/hospitals.service';
import { type VerificationContext, verifyStoredChain } from './chain-verification';
import { b64u } from './core/bytes';
import { hiddenEventsOf } from './page-keys';
import { isOrigin } from './core/header';
import type { ChainReport } from './core/verdict';
import type { ChainVerdictResponse } from './ledger.dto';
import type { RowKeeper } from './row-keeper';
import { BlockEntity, ChainEntity } from './ledger.entity';

const CHAINS_A_PAGE = 200;
/** Stands in for a hospital that is gone or renamed to nonsense: no chain belongs to it, so the verdict says so. */
const NO_ORIGIN = 'unknown.invalid';

/**
 * Walks every chain of a ledger, or one patient's, one after another, and yields each verdict. It only reads, needs no running server, and may run beside one.
 * Without `keyRing` contents stay closed; hashes, links and signatures are checked all the same. Blocks whose chain is gone count as tampered.
 */
export async function* verifyLedger(
  manager: EntityManager,
  keyRing: KeyRing | null,
  keepers: readonly RowKeeper[],
  patientId?: string,
): AsyncGenerator<ChainVerdictResponse> {
  const context = verificationContext(manager, keyRing, keepers);
  const sealedFor = new Set((await Promise.all(keepers.map((keeper) => keeper.patients(manager)))).flat());
  for (let after: Buffer = Buffer.alloc(0); ;) {
    const builder = manager.createQueryBuilder(ChainEntity, 'c').where('c.chainId > :after', { after });
    if (patientId !== undefined) builder.andWhere('c.patientId = :patientId', { patientId });
    const chains = await builder.orderBy('c.chainId').limit(CHAINS_A_PAGE).getMany();
    for (const chain of chains) {
      sealedFor.delete(chain.patientId);
      yield toVerdict(chain.patientId, await verifyStoredChain(manager, chain, context));
    }
    const last = chains.at(-1);
    if (!last) break;
    after = last.chainId;
  }
  for await (const verdict of headless(manager, patientId)) {
    sealedFor.delete(verdict.patientId);
    yield verdict;
  }
  for (const id of sealedFor) if (patientId === undefined || id === patientId) yield vanished(id);
}

/** Rows say that something was sealed for this patient, and there is no chain. */
function vanished(patientId: string): ChainVerdictResponse {
  const findings = [{ code: 'HEAD_MISMATCH', height: 0, field: 'chain', recordId: null }];
  return { patientId, verdict: 'TAMPERED', chainId: '', blocks: 0, height: null, headHash: null, findings };
}

/** What a verification needs beside the rows of a chain. */
function verificationContext(manager: EntityManager, keyRing: KeyRing | null, keepers: readonly RowKeeper[]): VerificationContext {
  const originOf = async (hospitalId: string): Promise<string> => {
    const origin = await ledgerOriginOf(manager, hospitalId);
    return isOrigin(origin) ? origin : NO_ORIGIN;
  };
  return { originOf, hiddenEvents: hiddenEventsOf(manager), keyRing, keepers };
}

function toVerdict(patientId: string, report: ChainReport): ChainVerdictResponse {
  return {
    patientId,
    verdict: report.verdict,
    chainId: report.chainId,
    blocks: report.blocks,
    height: report.head?.height ?? null,
    headHash: report.head?.hash.toString('hex') ?? null,
    findings: report.findings.map(({ code, height, field, recordId }) => ({ code, height, field, recordId: recordId ?? null })),
  };
}

/** Blocks without a chain: its row was deleted, which the server never does. The first block names the patient. */
async function* headless(manager: EntityManager, patientId?: string): AsyncGenerator<ChainVerdictResponse> {
  const rows = await manager
    .createQueryBuilder(BlockEntity, 'b')
    .leftJoin(ChainEntity, 'c', 'c.chainId = b.chainId')
    .select('b.chainId', 'chainId')
    .addSelect('COUNT(*)', 'blocks')
    .addSelect('MAX(b.height)', 'height')
    .addSelect('MAX(CASE WHEN b.height = 0 THEN b.recordId END)', 'patientId')
    .where('c.chainId IS NULL')
    .groupBy('b.chainId')
    .getRawMany<{ chainId: Buffer; blocks: number | string; height: number; patientId: string | null }>();
  for (const row of rows) {
    if (patientId !== undefined && row.patientId !== patientId) continue;
    const place = {
      patientId: row.patientId ?? '',
      chainId: b64u(row.chainId),
      blocks: Number(row.blocks),
      height: row.height,
      headHash: null,
    };
    yield { ...place, verdict: 'TAMPERED', findings: [{ code: 'HEAD_MISMATCH', height: row.height, field: 'head', recordId: null }] };
  }
}
