import { type AuditSummary, isIntact } from './audit-data';
import { count } from './progress-bar';

/** Nothing that was verified contradicts anything. */
export function isWhole({ bad, badLogs, trail, rows }: AuditSummary): boolean {
  return bad === 0 && badLogs === 0 && (rows?.findings.length ?? 0) === 0 && (trail === null || isIntact(trail));
}

/** The verdict over the whole, in one line. @param how what was left out, in brackets */
export function verdictLine(summary: AuditSummary, how = ''): string {
  const { chains, blocks, bad, logs, leaves, badLogs, seconds } = summary;
  const time = `${seconds.toFixed(2)} s`;
  if (isWhole(summary))
    return `Intact: ${count(chains)} chains, ${count(blocks)} blocks, ${logs} logs, ${count(leaves)} leaves, ${time}${how}`;
  const trail = summary.trail === null ? '' : `, the trail is ${summary.trail.verdict}`;
  const rows = summary.rows?.findings.length ? `, ${summary.rows.findings.length} tagged rows or tables do not fit` : '';
  return `NOT INTACT: ${bad} of ${count(chains)} chains (${count(blocks)} blocks), ${badLogs} of ${logs} logs (${count(leaves)} leaves)${trail}${rows}, ${time}${how}`;
}
