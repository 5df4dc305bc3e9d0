import { KeyObject, sign } from 'node:crypto';
import { FormatError, isU32, u32be } from './bytes';
import { NoteKey, b64, b64Decode, isKeyName, isNoteText, signatureOfKey } from './vkey';

/** One signature line of a note: by which key, and what. */
export interface NoteSignature {
  readonly name: string;
  /** u32 */
  readonly id: number;
  /** The bytes after the key id; their meaning is the key's. At least one. */
  readonly signature: Buffer;
}

/** A signed note (C2SP signed-note). Nothing in it may be believed before a known key's signature has been verified. */
export interface Note {
  /** Ends with a newline. */
  readonly text: string;
  /** 1 to {@link MAX_SIGNATURES}. */
  readonly signatures: readonly NoteSignature[];
}

/** A key with its private half, which signs notes or, for a key of type 4, cosigns checkpoints. */
export interface NoteSigner {
  readonly key: NoteKey;
  /** Ed25519. */
  readonly privateKey: KeyObject;
}

/** Most signatures that a note may carry here. The specification demands at least 16. */
export const MAX_SIGNATURES = 32;
/** Largest accepted note, in bytes of UTF-8. */
export const MAX_NOTE_BYTES = 65_536;

const LINE = /^— ([^ ]+) ([A-Za-z0-9+/]+={0,2})$/;
const ID_SIZE = 4;

/**
 * Takes a note apart: the text up to the last empty line, then signature lines. Whatever is accepted prints back to the same text.
 * @throws FormatError `note`, `note.text` or `note.signature`
 */
export function parseNote(note: string): Note {
  requireNoteText(note, 'note', MAX_NOTE_BYTES);
  const split = note.lastIndexOf('\n\n');
  if (split < 0) throw new FormatError('note', 'has no empty line before its signatures');
  return { text: note.slice(0, split + 1), signatures: parseSignatureLines(note.slice(split + 2)) };
}

/** Prints a note. @throws FormatError as {@link parseNote}, for a note that it would refuse */
export function formatNote(note: Note): string {
  const printed = `${note.text}\n${note.signatures.map(signatureLine).join('')}`;
  // Reading it again is the one rule for both directions: what leaves here is what every verifier of ours accepts.
  if (parseNote(printed).text !== note.text) throw new FormatError('note.text', 'does not end with a newline');
  return printed;
}

/** Prints one signature line with its final newline. @throws FormatError `note.signature` */
export function signatureLine(s: NoteSignature): string {
  if (!isKeyName(s.name) || !isU32(s.id) || s.signature.length === 0) {
    throw new FormatError('note.signature', 'needs a key name, a 32-bit key id and a value');
  }
  return `— ${s.name} ${b64(Buffer.concat([u32be(s.id), s.signature]))}\n`;
}

/** Reads 1 to {@link MAX_SIGNATURES} signature lines and nothing else: the end of a note, or a witness' answer. @throws FormatError `note.signature` */
export function parseSignatureLines(lines: string): NoteSignature[] {
  const field = 'note.signature';
  requireNoteText(lines, field, MAX_NOTE_BYTES);
  // One more than allowed is enough to know that there are too many.
  const parts = lines.slice(0, -1).split('\n', MAX_SIGNATURES + 1);
  if (parts.length > MAX_SIGNATURES) throw new FormatError(field, `stands more than ${MAX_SIGNATURES} times`);
  return parts.map((line) => {
    const [, name, encoded] = LINE.exec(line) ?? [];
    if (name === undefined || encoded === undefined || !isKeyName(name))
      throw new FormatError(field, 'is not a dash, a key name and base64');
    const bytes = b64Decode(encoded, field);
    if (bytes.length <= ID_SIZE) throw new FormatError(field, 'is too short');
    return { name, id: bytes.readUInt32BE(0), signature: bytes.subarray(ID_SIZE) };
  });
}

/**
 * Refuses what can be no part of a note: too long, not UTF-8, with control characters, or without the final newline.
 * @param most largest size in bytes of UTF-8
 * @throws FormatError naming `field`
 */
export function requireNoteText(text: string, field: string, most: number): void {
  // The number of characters is known at once; it bounds the work for a hostile text.
  if (text.length > most || Buffer.byteLength(text, 'utf8') > most) throw new FormatError(field, `has more than ${most} bytes`);
  if (!isNoteText(text)) throw new FormatError(field, 'is not UTF-8 without control characters');
  if (!text.endsWith('\n')) throw new FormatError(field, 'does not end with a newline');
}

/**
 * Signs a text as a note (type 1: Ed25519 over the bytes of the text).
 * @throws FormatError `note.text` on a text that no note can carry
 * @throws RangeError when the key is not of type 1, or the private key is not its other half
 */
export function signNote(text: string, signer: NoteSigner): NoteSignature {
  requireNoteText(text, 'note.text', MAX_NOTE_BYTES);
  if (signer.key.type !== 1) throw new RangeError('a note is signed with a key of type 1');
  return { name: signer.key.name, id: signer.key.id, signature: signMessage(Buffer.from(text, 'utf8'), signer) };
}

/** 64 bytes of Ed25519 over `message`. @throws RangeError when the private key is not the other half of the public one */
export function signMessage(message: Buffer, signer: NoteSigner): Buffer {
  const signature = sign(null, message, signer.privateKey);
  // A wrong pair in the configuration, or a computing fault, must not leave the process as a signature in the log's name.
  if (!signatureOfKey(signer.key, message, signature)) throw new RangeError('the private key does not belong to the key');
  return signature;
}

/**
 * Whether a key of type 1 signed the note.
 * @returns undefined when no signature has the key's name and id; false when any that has them does not fit: then the whole note is to be
 * refused (signed-note, Signatures)
 * @throws RangeError for a key of type 4
 */
export function noteSignedBy(note: Note, key: NoteKey): boolean | undefined {
  if (key.type !== 1) throw new RangeError('a note is verified with a key of type 1');
  const named = signaturesOf(note, key);
  if (named.length === 0) return undefined;
  const message = Buffer.from(note.text, 'utf8');
  return named.every(({ signature }) => signatureOfKey(key, message, signature));
}

/** The signatures that name a key, in the order of the note. */
export function signaturesOf(note: Note, key: NoteKey): readonly NoteSignature[] {
  return note.signatures.filter(({ name, id }) => name === key.name && id === key.id);
}
