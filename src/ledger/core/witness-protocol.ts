import { FormatError } from './bytes';
import { Checkpoint, formatDecimal, parseCheckpointText, parseDecimal, parseProofLines, proofLines } from './checkpoint';
import { MAX_NOTE_BYTES, Note, noteSignedBy, parseNote, signaturesOf } from './note';
import { EMPTY_ROOT, verifyConsistency } from './tree';
import { NoteKey } from './vkey';

/** A log's request to a witness (C2SP tlog-witness, add-checkpoint). */
export interface AddCheckpoint {
  /** Size of the checkpoint that the witness cosigned last, as far as the log knows; 0 when none. */
  readonly oldSize: bigint;
  /** Consistency proof from there: at most 63 hashes of 32 bytes. */
  readonly proof: readonly Buffer[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
}

/**
 * Status of the answer (tlog-witness): 200 store the checkpoint and cosign it; 400 malformed or smaller than the old size; 403 not signed by
 * a trusted key; 404 origin unknown; 409 another size was cosigned last, which is `size`; 422 not consistent with what was cosigned.
 * The note of a 200 carries only signatures of trusted keys, one for each, so there is room to add ours.
 */
export type WitnessAnswer =
  | { readonly status: 200; readonly note: Note; readonly checkpoint: Checkpoint }
  | { readonly status: 400 | 403 | 404 | 422; readonly reason: string }
  | { readonly status: 409; readonly size: bigint };

/** Largest text before the checkpoint, in characters: `old`, a size and 63 hashes. */
const MAX_HEAD = 4096;

/** Prints the body of a request. @throws FormatError as {@link parseAddCheckpoint}, for a request that it would refuse */
export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  parseCheckpointText(parseNote(checkpoint).text);
  return `old ${formatDecimal(oldSize, 'request.old')}\n${proofLines(proof, 'request.proof')}\n${checkpoint}`;
}

/**
 * Reads the body of a request; what is accepted prints back to the same text. The checkpoint within must be one.
 * @throws FormatError `request`, `request.old`, `request.proof`, `note…` or `checkpoint…`
 */
export function parseAddCheckpoint(body: string): AddCheckpoint {
  const { oldSize, proof, noteText } = splitRequest(body);
  parseCheckpointText(parseNote(noteText).text);
  return { oldSize, proof, checkpoint: noteText };
}

/**
 * Decides one request against what is stored for its origin. Pure: the caller compares again, stores and only then signs, all in one step;
 * two requests that are judged against the same stored checkpoint must not both be stored.
 * @param logKeys the trusted keys (type 1) of an origin; empty when the origin is unknown
 * @param stored the checkpoint that was cosigned last for an origin; undefined when none was
 */
export function judgeAddCheckpoint(
  body: string,
  logKeys: (origin: string) => readonly NoteKey[],
  stored: (origin: string) => Checkpoint | undefined,
): WitnessAnswer {
  const request = readRequest(body);
  if ('reason' in request) return { status: 400, reason: request.reason };
  const { checkpoint, oldSize, proof } = request;
  const keys = logKeys(checkpoint.origin);
  if (keys.length === 0) return { status: 404, reason: 'the origin of the checkpoint is unknown' };
  const note = trustedPart(request.note, keys);
  if ('reason' in note) return { status: 403, reason: note.reason };
  if (oldSize > checkpoint.size) return { status: 400, reason: 'the old size is larger than that of the checkpoint' };
  const last = stored(checkpoint.origin) ?? { size: 0n, root: EMPTY_ROOT };
  if (oldSize !== last.size) return { status: 409, size: last.size };
  // This also demands an empty proof where there is nothing to prove, equal roots of equal sizes and the empty root of an empty tree.
  if (!verifyConsistency(oldSize, checkpoint.size, proof, last.root, checkpoint.root)) {
    return { status: 422, reason: 'the checkpoint is not consistent with the one cosigned last' };
  }
  return { status: 200, note, checkpoint };
}

/** The body of a 409: the size that was cosigned last. Its media type is `text/x.tlog.size`. @throws FormatError `size` */
export function formatSizeAnswer(size: bigint): string {
  return `${formatDecimal(size, 'size')}\n`;
}

/** The inverse of {@link formatSizeAnswer}. @throws FormatError `size` */
export function parseSizeAnswer(body: string): bigint {
  if (!body.endsWith('\n')) throw new FormatError('size', 'does not end with a newline');
  return parseDecimal(body.slice(0, -1), 'size');
}

interface ReadRequest {
  readonly oldSize: bigint;
  readonly proof: readonly Buffer[];
  readonly note: Note;
  readonly checkpoint: Checkpoint;
}

function readRequest(body: string): ReadRequest | { readonly reason: string } {
  try {
    const { oldSize, proof, noteText } = splitRequest(body);
    const note = parseNote(noteText);
    const { origin, size, root } = parseCheckpointText(note.text);
    return { oldSize, proof, note, checkpoint: { origin, size, root } };
  } catch (error) {
    if (error instanceof FormatError) return { reason: error.message };
    throw error;
  }
}

function splitRequest(body: string): { readonly oldSize: bigint; readonly proof: Buffer[]; readonly noteText: string } {
  if (body.length > MAX_HEAD + MAX_NOTE_BYTES) throw new FormatError('request', 'is too long');
  const split = body.indexOf('\n\n');
  if (split < 0 || split > MAX_HEAD) throw new FormatError('request', 'has no empty line before its checkpoint');
  const [old = '', ...hashes] = body.slice(0, split).split('\n');
  if (!old.startsWith('old ')) throw new FormatError('request.old', 'is missing');
  return {
    oldSize: parseDecimal(old.slice(4), 'request.old'),
    proof: parseProofLines(hashes, 'request.proof'),
    noteText: body.slice(split + 2),
  };
}

/** The note with one signature of each trusted key that signed it. */
function trustedPart(note: Note, keys: readonly NoteKey[]): Note | { readonly reason: string } {
  const signed = keys.map((key) => ({ key, fits: noteSignedBy(note, key) }));
  if (signed.some(({ fits }) => fits === false)) return { reason: 'a signature of a trusted key does not fit' };
  const signatures = signed.flatMap(({ key, fits }) => (fits === true ? signaturesOf(note, key).slice(0, 1) : []));
  if (signatures.length === 0) return { reason: 'no signature is of a trusted key' };
  return { text: note.text, signatures };
}
