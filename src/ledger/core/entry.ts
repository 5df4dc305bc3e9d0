import { FormatError, HASH_BYTES, isBytes, requireBytes, sha256 } from './bytes';

/** What an entry of the log is about, by its number in the entry. Closed: a verifier refuses a kind that it does not know. */
export const EntryKind = {
  /** The hash is a block hash. */
  block: 1,
  'head-map': 2,
  'key-event': 3,
  /** A batch of the access log. */
  'access-log': 4,
  /** A policy or a configuration. */
  policy: 5,
  incarnation: 6,
} as const;
export type EntryKindName = keyof typeof EntryKind;
export type EntryKind = (typeof EntryKind)[EntryKindName];

const KINDS: ReadonlySet<unknown> = new Set(Object.values(EntryKind));

/** Whether `value` is the number of a known kind. */
export function isEntryKind(value: unknown): value is EntryKind {
  return KINDS.has(value);
}

/** Size in bytes of an encoded entry: label (16), kind (1), hash (32). */
export const ENTRY_BYTES = 49;

/** One entry of a hospital's log; its {@link encodeEntry} is the input of the leaf hash. `hash` has 32 bytes; `kind` says of what. */
export interface LogEntry {
  readonly kind: EntryKind;
  readonly hash: Buffer;
}

const LABEL = Buffer.from('bjwt-ehr/ent/v1\n', 'ascii');
const KIND_AT = LABEL.length;
const HASH_AT = KIND_AT + 1;

/** The 49 bytes of an entry. @throws RangeError on an unknown kind, or a hash of another size */
export function encodeEntry(entry: LogEntry): Buffer {
  if (!isEntryKind(entry.kind)) throw new RangeError(`unknown entry kind: ${String(entry.kind)}`);
  requireBytes('hash', entry.hash, HASH_BYTES);
  return Buffer.concat([LABEL, Buffer.of(entry.kind), entry.hash], ENTRY_BYTES);
}

/** The byte that marks a leaf (RFC 6962 section 2.1), and an entry: one buffer serves all of them, for hashing keeps nothing of it. */
const LEAF = Buffer.concat([Buffer.of(0), LABEL], 1 + ENTRY_BYTES);

/** The leaf hash of an entry, SHA-256(0x00 || {@link encodeEntry}), without making the entry. @throws RangeError as {@link encodeEntry} */
export function entryHash({ kind, hash }: LogEntry): Buffer {
  if (!isEntryKind(kind)) throw new RangeError(`unknown entry kind: ${String(kind)}`);
  // A text of a doctored row also has a length, and would be set as zeros.
  if (!isBytes(hash, HASH_BYTES)) throw new RangeError(`hash must have ${HASH_BYTES} bytes`);
  LEAF[1 + KIND_AT] = kind;
  LEAF.set(hash, 1 + HASH_AT);
  return sha256(LEAF);
}

/**
 * Strict inverse of {@link encodeEntry}: whatever it accepts encodes back to the same bytes. The hash of the result is a copy.
 * @throws FormatError `entry` (size, label) or `entry.kind`
 */
export function decodeEntry(bytes: Uint8Array): LogEntry {
  if (bytes.length !== ENTRY_BYTES) throw new FormatError('entry', `must have ${ENTRY_BYTES} bytes`);
  if (!LABEL.equals(bytes.subarray(0, KIND_AT))) throw new FormatError('entry', 'has another label');
  const kind = bytes[KIND_AT];
  if (!isEntryKind(kind)) throw new FormatError('entry.kind', 'is unknown');
  return { kind, hash: Buffer.from(bytes.subarray(HASH_AT)) };
}
