import { BlockKind } from '../ledger/core/header';
import type { CheckName, ProofCheck, ProofFinding, ProofFormat, ProofReport } from '../ledger/core/proof-report';
import type { FindingCode } from '../ledger/core/verdict';

const FORMATS: Readonly<Record<ProofFormat, string>> = { receipt: 'receipt', bundle: 'bundle', chain: 'exported chain' };

/** What is so when a check passes. */
const CHECKED: Readonly<Record<CheckName, string>> = {
  form: 'the file is well-formed',
  header: 'the header of the block is well-formed and belongs to this ledger',
  content: 'the content is the one that was sealed',
  attestation: 'the author signed this block',
  chain: 'the blocks follow one another, and each fits its content and its author’s signature',
  checkpoint: 'the log signed the checkpoint',
  inclusion: 'the log contains it',
  head: 'the chain contains the head that you named',
  trust: 'the log continues what you saw of it before',
};

const CODES: Readonly<Record<FindingCode, string>> = {
  CONTENT_MISMATCH: 'the content is not the one that was sealed',
  CIPHERTEXT_MISMATCH: 'the ciphertext is missing or not the one that was sealed',
  HEADER_MISMATCH: 'the header says something else',
  BROKEN_LINK: 'the block does not follow the one below',
  HEIGHT_GAP: 'blocks are missing, repeated or out of order',
  LEAF_MISSING: 'the log does not have the block',
  LEAF_MISMATCH: 'the log has it in another place',
  INCLUSION_INVALID: 'the proof does not show that the log contains the block',
  CONSISTENCY_INVALID: 'it is not shown that the log continues what you saw before',
  ATTESTATION_INVALID: 'the author’s signature does not cover this block',
  KEY_UNKNOWN: 'the author’s key is not known',
  KEY_REVOKED: 'the author’s key was revoked before',
  CHECKPOINT_INVALID: 'the checkpoint is not one that your policy accepts',
  HEAD_MISMATCH: 'the chain is not the one that you know',
  ROLLBACK: 'the checkpoint is older than what you saw before, and no proof connects the two',
  MALFORMED: 'it is not in the format',
};

const MARKS: Readonly<Record<ProofCheck['result'], string>> = { passed: 'ok ', failed: 'BAD', skipped: '-  ' };
const KIND_NAMES = new Map<number, string>(Object.entries(BlockKind).map(([name, number]) => [number, name]));

/** The report of one file for people: what it is about, one line for each check, one for each finding. */
export function humanLines(file: string, report: ProofReport): string[] {
  const checks = report.checks.map(
    ({ check, result }) => `  ${MARKS[result]} ${CHECKED[check]}${result === 'skipped' ? ' (not looked at)' : ''}`,
  );
  const more = report.omitted === 0 ? [] : [`      and ${report.omitted} more findings`];
  return [
    `${file}: ${report.verdict} (${FORMATS[report.format]})`,
    ...factLines(report),
    ...checks,
    `  ${report.witnessed ? 'ok ' : '-  '} ${witnessWords(report)}`,
    ...report.findings.map(findingLine),
    ...more,
  ];
}

function findingLine({ code, field, height, recordId }: ProofFinding): string {
  const place = [height === null ? '' : `height ${height}`, recordId === undefined ? '' : `record ${recordId}`].filter(
    (part) => part !== '',
  );
  return `      ${code} ${field}: ${CODES[code]}${place.length === 0 ? '' : ` (${place.join(', ')})`}`;
}

function factLines({ facts, checkpoint }: ProofReport): string[] {
  const { origin, chainId, height, recordId, version, kind, sealedAt, author, leafIndex, blocks, opened = 0, erased = 0 } = facts;
  const block = height === undefined ? '' : ` block ${height}${kind === undefined ? '' : ` (${KIND_NAMES.get(kind) ?? kind})`}`;
  const lines = [
    origin === undefined ? '' : `ledger ${origin}`,
    chainId === undefined
      ? ''
      : `chain ${chainId}${blocks === undefined ? block : `, ${blocks} blocks, ${opened} opened, ${erased} erased`}`,
    recordId === undefined ? '' : `record ${recordId} version ${version ?? '?'}`,
    sealedAt === undefined ? '' : `sealed ${timeText(sealedAt)} by the server’s clock`,
    author === undefined ? '' : `author’s key ${author.kid}, ${custodyWords(author.custody)}`,
    leafIndex === undefined ? '' : `leaf ${leafIndex}`,
    checkpoint === undefined ? '' : `checkpoint of ${checkpoint.size} leaves, root ${checkpoint.root.toString('base64')}`,
  ];
  return lines.filter((line) => line !== '').map((line) => `      ${line}`);
}

/** A header may hold a time that no calendar has. */
function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms after 1970` : date.toISOString();
}

function custodyWords(custody: string): string {
  return custody === 'server' ? 'kept by the server, so it cannot bind the server’s operator' : 'kept by the author, so the file says';
}

function witnessWords({ witnessed, checkpoint }: ProofReport): string {
  const names = checkpoint?.cosigners.map(({ name }) => name).join(', ') ?? '';
  if (witnessed) return `enough witnesses saw this checkpoint: ${names}`;
  return names === '' ? 'no witness vouches for this checkpoint' : `not enough witnesses vouch for this checkpoint: ${names}`;
}

/** The report of one file for machines: numbers of the log as text, hashes in hex, roots in base64. */
export function jsonLine(file: string, report: ProofReport): string {
  const { checkpoint, facts, ...rest } = report;
  const { leafIndex, ...plain } = facts;
  return JSON.stringify({
    file,
    ...rest,
    facts: { ...plain, ...(leafIndex === undefined ? {} : { leafIndex: leafIndex.toString() }) },
    ...(checkpoint === undefined
      ? {}
      : {
          checkpoint: {
            origin: checkpoint.origin,
            size: checkpoint.size.toString(),
            root: checkpoint.root.toString('base64'),
            cosigners: checkpoint.cosigners.map(({ name, timestamp }) => ({ name, timestamp: timestamp.toString() })),
          },
        }),
  });
}
