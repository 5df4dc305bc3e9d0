import { MAX_PROOF_LINES, formatDecimal, parseCheckpointText, parseDecimal, parseProofLines, proofLines } from './checkpoint';
import { FormatError } from './bytes';
import { MAX_NOTE_BYTES, parseNote } from './note';
import { b64, b64Decode } from './vkey';

/** Proof, for use offline, that an entry stands in a log (C2SP tlog-proof). Well-formed only: nothing of it is verified yet. */
export interface Receipt {
  /** Data of the application, never empty, covered by no signature: here the header of a block. */
  readonly extra?: Buffer;
  /** Place of the entry in the log, from 0. */
  readonly index: bigint;
  /** RFC 6962 audit path from the leaf's sibling up: at most 63 hashes of 32 bytes. */
  readonly proof: readonly Buffer[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
}

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
/** Largest data of the application, in bytes. */
const MAX_EXTRA_BYTES = 32_768;
/** Largest text before the checkpoint, in characters: fixed words, the data in base64, the index and the hashes. */
const MAX_HEAD = 128 + Math.ceil(MAX_EXTRA_BYTES / 3) * 4 + MAX_PROOF_LINES * 45;

/** Prints a receipt. @throws FormatError as {@link parseReceipt}, for a receipt that it would refuse */
export function formatReceipt({ extra, index, proof, checkpoint }: Receipt): string {
  requireCheckpoint(checkpoint);
  const extraLine = extra === undefined ? '' : `extra ${b64(checkExtra(extra))}\n`;
  const indexLine = `index ${formatDecimal(index, 'receipt.index')}\n`;
  return `${FIRST_LINE}\n${extraLine}${indexLine}${proofLines(proof, 'receipt.proof')}\n${checkpoint}`;
}

/**
 * Reads a receipt; what is accepted prints back to the same text. The checkpoint within must be one, but its signatures, the proof and
 * whether the index lies in the tree are for the verifier.
 * @throws FormatError `receipt`, `receipt.extra`, `receipt.index`, `receipt.proof`, `note…` or `checkpoint…`
 */
export function parseReceipt(text: string): Receipt {
  if (text.length > MAX_HEAD + MAX_NOTE_BYTES) throw new FormatError('receipt', 'is too long');
  const split = text.indexOf('\n\n');
  if (split < 0) throw new FormatError('receipt', 'has no empty line before its checkpoint');
  if (split > MAX_HEAD) throw new FormatError('receipt', 'is too long');
  const [first, ...lines] = text.slice(0, split).split('\n');
  if (first !== FIRST_LINE) throw new FormatError('receipt', 'does not begin as a tlog-proof of version 1');
  const extra = lines[0]?.startsWith('extra ') ? checkExtra(b64Decode(lines[0].slice(6), 'receipt.extra')) : undefined;
  const [indexLine, ...hashes] = extra === undefined ? lines : lines.slice(1);
  if (!indexLine?.startsWith('index ')) throw new FormatError('receipt.index', 'is missing');
  const index = parseDecimal(indexLine.slice(6), 'receipt.index');
  const proof = parseProofLines(hashes, 'receipt.proof');
  const checkpoint = text.slice(split + 2);
  requireCheckpoint(checkpoint);
  return { ...(extra === undefined ? {} : { extra }), index, proof, checkpoint };
}

function requireCheckpoint(note: string): void {
  parseCheckpointText(parseNote(note).text);
}

function checkExtra(extra: Buffer): Buffer {
  if (extra.length === 0) throw new FormatError('receipt.extra', 'is empty: leave it out');
  if (extra.length > MAX_EXTRA_BYTES) throw new FormatError('receipt.extra', `has more than ${MAX_EXTRA_BYTES} bytes`);
  return extra;
}
