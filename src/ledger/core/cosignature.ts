import { parseCheckpointText } from './checkpoint';
import { MAX_TREE_SIZE } from './tree';
import { Note, NoteSignature, NoteSigner, signMessage, signaturesOf } from './note';
import { NoteKey, signatureOfKey } from './vkey';

const TIMESTAMP_BYTES = 8;
const SIGNATURE_BYTES = TIMESTAMP_BYTES + 64;

/**
 * Cosigns a checkpoint (C2SP tlog-cosignature, Ed25519): "at that time this was the largest consistent tree that I saw of this log". Whether
 * that is so, is the caller's business: see `judgeAddCheckpoint`.
 * @param text of a checkpoint, with extension lines if it has any
 * @param timestamp seconds since the epoch (POSIX), from 1: a cosignature without a time says nothing about the newest tree (tlog-witness)
 * @throws FormatError `checkpoint…` when the text is not that of a checkpoint
 * @throws RangeError on a key that is not of type 4, on a private key that is not its other half, and on a timestamp beyond 2^63-1
 */
export function signCosignature(text: string, signer: NoteSigner, timestamp: bigint): NoteSignature {
  parseCheckpointText(text);
  if (signer.key.type !== 4) throw new RangeError('a cosignature is made with a key of type 4');
  if (timestamp < 1n || timestamp > MAX_TREE_SIZE) throw new RangeError(`not a time in seconds: ${timestamp}`);
  const time = Buffer.alloc(TIMESTAMP_BYTES);
  time.writeBigUInt64BE(timestamp);
  return { name: signer.key.name, id: signer.key.id, signature: Buffer.concat([time, signMessage(cosigned(text, timestamp), signer)]) };
}

/**
 * Whether a key of type 4 cosigned the note, and when by its own clock; the newest time when it did so more than once. That the text is a
 * checkpoint is for the caller to check.
 * @returns undefined when no signature has the key's name and id; false when any that has them does not fit: then the whole note is to be
 * refused (signed-note, Signatures)
 * @throws RangeError for a key of type 1
 */
export function cosignedBy(note: Note, key: NoteKey): { readonly timestamp: bigint } | false | undefined {
  if (key.type !== 4) throw new RangeError('a cosignature is verified with a key of type 4');
  let newest: bigint | undefined;
  for (const { signature } of signaturesOf(note, key)) {
    const timestamp = verifiedTime(note.text, key, signature);
    if (timestamp === undefined) return false;
    if (newest === undefined || timestamp > newest) newest = timestamp;
  }
  return newest === undefined ? undefined : { timestamp: newest };
}

function verifiedTime(text: string, key: NoteKey, signature: Buffer): bigint | undefined {
  if (signature.length !== SIGNATURE_BYTES) return undefined;
  const timestamp = signature.readBigUInt64BE(0);
  if (timestamp > MAX_TREE_SIZE) return undefined;
  return signatureOfKey(key, cosigned(text, timestamp), signature.subarray(TIMESTAMP_BYTES)) ? timestamp : undefined;
}

/** The message under an Ed25519 cosignature: two lines that keep it apart from a note's, then the text of the checkpoint. */
function cosigned(text: string, timestamp: bigint): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${timestamp}\n${text}`, 'utf8');
}
