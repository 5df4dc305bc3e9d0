import type { EntityManager } from 'typeorm';
import { KeyRing } from '../crypto/key-ring.service';
import { selectRows } from '../database/rows';
import { ledgerOriginOf } from '../hospital/hospitals.service';
import type { HeadLeaf } from './chain-leaves';
import { type StoredChainReport, type VerificationContext, verifyStoredChain } from './chain-verification';
import { b64u } from './core/bytes';
import { hiddenEventsOf } from './page-keys';
import { isOrigin } from './core/header';
import type { ChainVerdictBase } from './ledger.dto';
import type { RowKeeper } from './row-keeper';
import { BlockEntity, ChainEntity } from './ledger.entity';

const CHAINS_A_PAGE = 200;
/** Walks of one chain that others write to meanwhile. */
const MAX_WALKS = 3;
/** Stands in for a hospital that is gone or renamed to nonsense: no chain belongs to it, so the verdict says so. */
const NO_ORIGIN = 'unknown.invalid';

/** What a walk over chains may be given beside the rows. */
export type ChainChecks = Pick<VerificationContext, 'leaves' | 'signatures' | 'page' | 'pace'>;
/** Names one chain. */
export type ChainName = Pick<ChainEntity, 'chainId' | 'patientId' | 'hospitalId'>;

/** Verdict over one chain, with the place of its newest block in the log. */
export interface ChainVerdict extends ChainVerdictBase {
  /** Null while it waits for its place, or when it has none. */
  readonly leaf: HeadLeaf | null;
}

/**
 * Walks every chain of a ledger, or one patient's, one after another, and yields each verdict. It only reads, needs no running server, and may run beside one.
 * Without `keyRing` contents stay closed; hashes, links and signatures are checked all the same. Blocks whose chain is gone count as tampered.
 */
export async function* verifyLedger(
  manager: EntityManager,
  keyRing: KeyRing | null,
  keepers: readonly RowKeeper[],
  patientId?: string,
  checks: ChainChecks = {},
): AsyncGenerator<ChainVerdict> {
  const context = { ...verificationContext(manager, keyRing, keepers), ...checks };
  const sealedFor = await patientsWithSeals(manager, keepers);
  for await (const chain of chainsOf(manager, patientId)) {
    sealedFor.delete(chain.patientId);
    yield await verifyChain(manager, chain, context);
  }
  yield* verdictsWithoutChain(manager, sealedFor, patientId);
}

/** All chains, or those of one patient, with the heights of their heads. Chains that begin meanwhile may be among them. */
export async function* chainsOf(manager: EntityManager, patientId?: string): AsyncGenerator<ChainEntity> {
  for (let after: Buffer = Buffer.alloc(0); ;) {
    const builder = manager.createQueryBuilder(ChainEntity, 'c').where('c.chainId > :after', { after });
    if (patientId !== undefined) builder.andWhere('c.patientId = :patientId', { patientId });
    const chains = await builder.orderBy('c.chainId').limit(CHAINS_A_PAGE).getMany();
    yield* chains;
    const last = chains.at(-1);
    if (!last) return;
    after = last.chainId;
  }
}

/**
 * Walks one chain. A walk is no snapshot: what others seal and erase while it runs can look like a gap, so a verdict that is not good counts only when the
 * head stood still meanwhile.
 */
export async function verifyChain(manager: EntityManager, chain: ChainName, context: VerificationContext): Promise<ChainVerdict> {
  for (let walks = 1; ; walks += 1) {
    const before = await headOf(manager, chain.chainId);
    const verdict = toVerdict(chain.patientId, await verifyStoredChain(manager, chain, context));
    const good = verdict.findings.length === 0;
    if (good || walks === MAX_WALKS || before === (await headOf(manager, chain.chainId))) return verdict;
  }
}

async function headOf(manager: EntityManager, chainId: Buffer): Promise<string> {
  const [chain] = await selectRows(manager, ChainEntity, 'chainId', [chainId]);
  return chain ? `${chain.height}/${chain.headHash.toString('hex')}` : '';
}

/** Patients for whom rows say that something was sealed. Read before the chains: each of them then has one. */
export async function patientsWithSeals(manager: EntityManager, keepers: readonly RowKeeper[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const keeper of keepers) for (const patientId of await keeper.patients(manager)) found.add(patientId);
  return found;
}

/** Verdicts over blocks without a head row, and over patients (`sealedFor`) of whom there is no chain. */
export async function* verdictsWithoutChain(
  manager: EntityManager,
  sealedFor: Set<string>,
  patientId?: string,
): AsyncGenerator<ChainVerdict> {
  for await (const verdict of headless(manager, patientId)) {
    sealedFor.delete(verdict.patientId);
    yield verdict;
  }
  for (const id of sealedFor) if (patientId === undefined || id === patientId) yield vanished(id);
}

/** Rows say that something was sealed for this patient, and there is no chain. */
function vanished(patientId: string): ChainVerdict {
  const findings = [{ code: 'HEAD_MISMATCH', height: 0, field: 'chain', recordId: null }];
  return { patientId, verdict: 'TAMPERED', chainId: '', blocks: 0, height: null, headHash: null, leaf: null, findings };
}

/** What a verification needs beside the rows of a chain. */
export function verificationContext(manager: EntityManager, keyRing: KeyRing | null, keepers: readonly RowKeeper[]): VerificationContext {
  const originOf = async (hospitalId: string): Promise<string> => {
    const origin = await ledgerOriginOf(manager, hospitalId);
    return isOrigin(origin) ? origin : NO_ORIGIN;
  };
  return { originOf, hiddenEvents: hiddenEventsOf(manager, originOf), keyRing, keepers };
}

function toVerdict(patientId: string, report: StoredChainReport): ChainVerdict {
  return {
    patientId,
    verdict: report.verdict,
    chainId: report.chainId,
    blocks: report.blocks,
    height: report.head?.height ?? null,
    headHash: report.head?.hash.toString('hex') ?? null,
    leaf: report.leaf,
    findings: report.findings.map(({ code, height, field, recordId }) => ({ code, height, field, recordId: recordId ?? null })),
  };
}

/** Blocks without a chain: its row was deleted, which the server never does. The first block names the patient. */
async function* headless(manager: EntityManager, patientId?: string): AsyncGenerator<ChainVerdict> {
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
      leaf: null,
    };
    yield { ...place, verdict: 'TAMPERED', findings: [{ code: 'HEAD_MISMATCH', height: row.height, field: 'head', recordId: null }] };
  }
}
