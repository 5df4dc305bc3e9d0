import { readFileSync } from 'node:fs';
import { FormatError } from '../ledger/core/bytes';
import { parseCheckpointText } from '../ledger/core/checkpoint';
import { parseNote } from '../ledger/core/note';
import { verifyCheckpoint } from '../ledger/core/policy';
import type { LogTrust } from '../tlog/log-checkpoints';
import type { LogReport } from '../tlog/log-report';
import { LogVerification, type LogSnapshot, segmentsOf, type TrustedCheckpoint } from '../tlog/verify-log';
import type { AuditRunner } from './audit-pool';
import { AuditError } from './audit-source';

/** A checkpoint that the auditor kept. */
export interface KeptCheckpoint extends TrustedCheckpoint {
  readonly origin: string;
  /** Whether the log's key signed it; true also when no key is known, for then the auditor's word counts. */
  readonly signed: boolean;
}

/** Reads a signed checkpoint that the auditor kept from earlier. @throws AuditError when the file is none */
export function readKept(file: string, trust: LogTrust): KeptCheckpoint {
  try {
    const note = readFileSync(file, 'utf8');
    const { origin, size, root } = parseCheckpointText(parseNote(note).text);
    const policy = trust.policyFor(origin);
    const signed = policy === null || !('invalid' in verifyCheckpoint(note, policy));
    return { origin, size: Number(size), root, signed };
  } catch (error) {
    throw new AuditError(`${file} is no signed checkpoint${error instanceof FormatError ? ` (${error.message})` : ' that can be read'}`);
  }
}

/** Verifies one log, its segments on as many threads as there are; they are put together in their order. */
export async function auditLog(
  runner: AuditRunner,
  verification: LogVerification,
  log: LogSnapshot,
  trusted: readonly TrustedCheckpoint[],
  done: () => void,
): Promise<LogReport> {
  const count = segmentsOf(log);
  const running: ReturnType<AuditRunner['run']>[] = [];
  for (let number = 0; number < count; number += 1) {
    while (running.length < Math.min(2 * runner.width, count - number))
      running.push(runner.run({ kind: 'segment', log, number: number + running.length, trusted }));
    const result = await running.shift();
    if (result?.kind === 'segment') await verification.add(result.report);
    done();
  }
  return verification.finish();
}

/** What the kept checkpoints of this origin say beside their roots. `here`: whether there is such a log. */
export function judgeKept(report: LogReport, kept: readonly KeptCheckpoint[]): LogReport {
  const unsigned = kept.filter(({ signed }) => !signed);
  if (unsigned.length === 0) return report;
  const findings = unsigned.map(({ size }) => ({ code: 'CHECKPOINT_INVALID' as const, index: size, field: 'trusted checkpoint' }));
  return { ...report, verdict: 'TAMPERED', findings: [...report.findings, ...findings] };
}

/** The log of a kept checkpoint is not there at all. */
export function lostLog({ origin, size }: KeptCheckpoint): LogReport {
  const findings = [{ code: 'ROLLBACK' as const, index: size, field: 'trusted checkpoint' }];
  return { origin, verdict: 'TAMPERED', size: 0, signedSize: 0, witnessedSize: 0, signaturesChecked: false, findings, omitted: 0 };
}
