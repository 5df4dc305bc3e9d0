import { isUtf8 } from 'node:buffer';
import { FormatError } from './bytes';
import { verifyBundle } from './bundle';
import { verifyChainExport } from './chain-export';
import { ProofOptions } from './proof-checks';
import { ProofFormat, ProofReport, ReportMaker } from './proof-report';
import { verifyReceipt } from './receipt-proof';

const RECEIPT = 'c2sp.org/tlog-proof@v1\n';
/** Where the schema is looked for: it stands first in what we write, but need not in what somebody re-formatted. */
const SCHEMA = /"schema"\s*:\s*"bjwt\.(bundle|chain)\/1"/;

/** Which of the formats a file claims to be in; undefined when none. Says nothing about whether it is. */
export function formatOf(bytes: Buffer): ProofFormat | undefined {
  if (bytes.subarray(0, RECEIPT.length).equals(Buffer.from(RECEIPT))) return 'receipt';
  const ends = [bytes.subarray(0, 4096), bytes.subarray(-4096)];
  for (const part of ends) {
    const [, name] = SCHEMA.exec(part.toString('latin1')) ?? [];
    if (name === 'bundle' || name === 'chain') return name;
  }
  return undefined;
}

/**
 * Verifies a receipt, a bundle or an exported chain. Never throws for what is in the file.
 * @throws FormatError `file` when it is none of the three: then there is nothing to give a verdict on
 */
export function verifyProofFile(bytes: Buffer, options: ProofOptions): ProofReport {
  switch (formatOf(bytes)) {
    case 'receipt':
      return isUtf8(bytes) ? verifyReceipt(bytes.toString('utf8'), options) : notText();
    case 'bundle':
      return verifyBundle(bytes, options);
    case 'chain':
      return verifyChainExport(bytes, options);
    case undefined:
      throw new FormatError('file', 'is neither a receipt nor a bundle nor an exported chain');
  }
}

function notText(): ProofReport {
  const maker = new ReportMaker('receipt', ['form']);
  maker.check('form', (say) => say('MALFORMED', 'receipt'));
  return maker.report();
}
