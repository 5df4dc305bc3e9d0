import { checkCheckpoint, checkTrust, isLeaf, ProofOptions, readHeader, trustChecks } from './proof-checks';
import { ProofReport, ReportMaker } from './proof-report';
import { parseReceipt } from './receipt';

/**
 * Verifies a receipt alone (C2SP tlog-proof whose `extra` is the header of a block): the block stands in the log. It shows no content and
 * asks for none. Never throws for what is in the text.
 */
export function verifyReceipt(text: string, options: ProofOptions): ProofReport {
  const maker = new ReportMaker('receipt', ['form', 'header', 'checkpoint', 'inclusion', ...trustChecks(options)]);
  const receipt = maker.check('form', () => parseReceipt(text));
  if (receipt === undefined) return maker.report();
  const { extra, index, proof } = receipt;
  maker.facts.leafIndex = index;
  const header = maker.check('header', (say) => (extra === undefined ? void say('MALFORMED', 'receipt.extra') : readHeader(maker, extra)));
  if (header === undefined || extra === undefined) return maker.report();
  const checkpoint = checkCheckpoint(maker, receipt.checkpoint, header.ledgerId, options);
  if (checkpoint === undefined) return maker.report();
  maker.facts.origin = checkpoint.origin;
  maker.check('inclusion', (say) => (isLeaf(extra, index, proof, checkpoint) ? undefined : say('INCLUSION_INVALID', 'receipt.proof')));
  checkTrust(maker, checkpoint, options);
  return maker.report();
}
