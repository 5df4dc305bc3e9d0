import { storedRows } from '../database/rows';
import { FormatError } from '../ledger/core/bytes';
import { type CertifiedErasure, readCertificate } from '../ledger/core/erasure-certificate';
import { BlockKind } from '../ledger/core/header';
import type { Finding } from '../ledger/core/verdict';
import { rowFindings, type RowKeeper } from '../ledger/row-keeper';
import { ErasureEntity } from './erasure.entity';
import { signedForApprover } from './erasure-signer';

/** The certificate of an executed erasure, or null when it is not whole or says something else than the row. */
export function certifiedBy(row: ErasureEntity): CertifiedErasure | null {
  let certified: CertifiedErasure;
  try {
    certified = readCertificate(JSON.parse(row.certificate ?? 'null'));
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError) return null;
    throw error;
  }
  const { certificate, statement } = certified;
  const [first, second] = statement.approvedBy;
  const fits =
    certificate.recordId === row.id &&
    statement.erases === row.recordId &&
    statement.reason === row.reason &&
    first === row.firstApprovedBy &&
    second === row.secondApprovedBy;
  return fits ? certified : null;
}

/**
 * The executed erasures. The author of an ERASE block signs its content and not what the header refers to; whoever rewrites the newest block could so turn the
 * erasure of one record into that of the whole patient. The certificate holds the content, whoever else can open it or not.
 */
export const erasureRows: RowKeeper = {
  kinds: [BlockKind.erase],

  async findings(manager, patientId, facts, chain) {
    const ids = facts.map((fact) => fact.recordId);
    const rows = await storedRows(manager, ErasureEntity, 'id', ids);
    const byId = new Map(rows.map((row) => [row.id, row]));
    const findings: Finding[] = [];
    for (const fact of facts) {
      const row = byId.get(fact.recordId);
      const certified = row && certifiedBy(row);
      const fits = row && {
        patientId: row.patientId === patientId,
        state: row.state === 'executed',
        certificate: certified?.blockHash.toString('hex') === fact.blockHash,
        signer: !!certified && (await signedForApprover(manager, chain, certified)),
      };
      findings.push(...rowFindings(fact, 'erasure', fits));
    }
    return findings;
  },

  count: (manager, patientId) => manager.getRepository(ErasureEntity).countBy({ patientId, state: 'executed' }),

  async patients(manager) {
    const rows = await manager.getRepository(ErasureEntity).find({ where: { state: 'executed' }, select: { patientId: true } });
    return [...new Set(rows.map((row) => row.patientId))];
  },
};
