import { MAX_TREE_SIZE } from './tree';
import { FormatError, HASH_BYTES } from './bytes';
import { requireNoteText } from './note';
import { b64, b64Decode } from './vkey';

/** The head of one log (C2SP tlog-checkpoint). Two roots for one origin and size are proof of a split view. */
export interface Checkpoint {
  /** Name of the log, never empty. */
  readonly origin: string;
  /** Number of leaves, 0 to {@link MAX_TREE_SIZE}. */
  readonly size: bigint;
  /** RFC 6962 root at that size, 32 bytes. */
  readonly root: Buffer;
}

/** A checkpoint as it was read, with the lines that follow the three. */
export type ParsedCheckpoint = Checkpoint & { readonly extensions: readonly string[] };

/** Most hashes of a proof in these texts, one a line: the bound that tlog-witness names. */
export const MAX_PROOF_LINES = 63;
/** Largest text of a checkpoint, in bytes of UTF-8. It leaves room for all signatures within a note. */
const MAX_CHECKPOINT_BYTES = 16_384;
const DECIMAL = /^(?:0|[1-9][0-9]{0,18})$/;

/** The text that is signed: origin, size and root, one a line. No extension lines. @throws FormatError `checkpoint.<part>` */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  if (origin.includes('\n')) throw new FormatError('checkpoint.origin', 'has a newline');
  if (root.length !== HASH_BYTES) throw new FormatError('checkpoint.root', `must have ${HASH_BYTES} bytes`);
  const text = `${origin}\n${size}\n${b64(root)}\n`;
  parseCheckpointText(text);
  return text;
}

/**
 * Reads the text of a checkpoint: a note's text, without signatures. That a tree without leaves has the empty root is not checked here.
 * @throws FormatError `checkpoint`, `checkpoint.origin`, `checkpoint.size`, `checkpoint.root` or `checkpoint.extension`
 */
export function parseCheckpointText(text: string): ParsedCheckpoint {
  requireNoteText(text, 'checkpoint', MAX_CHECKPOINT_BYTES);
  const [origin, size, root, ...extensions] = text.slice(0, -1).split('\n');
  if (origin === undefined || size === undefined || root === undefined) throw new FormatError('checkpoint', 'has fewer than three lines');
  if (origin === '') throw new FormatError('checkpoint.origin', 'is empty');
  if (extensions.includes('')) throw new FormatError('checkpoint.extension', 'is empty');
  return {
    origin,
    size: parseDecimal(size, 'checkpoint.size'),
    root: b64Decode(root, 'checkpoint.root', HASH_BYTES),
    extensions,
  };
}

/** A number from 0 to {@link MAX_TREE_SIZE} in ASCII decimal without leading zeros. @throws FormatError naming `field` */
export function parseDecimal(text: string, field: string): bigint {
  const value = DECIMAL.test(text) ? BigInt(text) : undefined;
  if (value === undefined || value > MAX_TREE_SIZE) throw new FormatError(field, 'is not a decimal number below 2^63');
  return value;
}

/** The inverse of {@link parseDecimal}. @throws FormatError naming `field` */
export function formatDecimal(value: bigint, field: string): string {
  const text = value.toString();
  parseDecimal(text, field);
  return text;
}

/** The hashes of a proof, base64, one a line, each with its newline. @throws FormatError naming `field` */
export function proofLines(proof: readonly Buffer[], field: string): string {
  const lines = proof.map(b64);
  parseProofLines(lines, field);
  return lines.map((line) => `${line}\n`).join('');
}

/** The inverse of {@link proofLines}, from lines without their newlines. @throws FormatError naming `field` */
export function parseProofLines(lines: readonly string[], field: string): Buffer[] {
  if (lines.length > MAX_PROOF_LINES) throw new FormatError(field, `has more than ${MAX_PROOF_LINES} hashes`);
  return lines.map((line) => b64Decode(line, field, HASH_BYTES));
}
