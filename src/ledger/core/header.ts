import { FormatError, HASH_BYTES, ID_BYTES, ZERO_HASH, label, requireBytes, sha256, u64be } from './bytes';

/** What a block says, by its number in the header. Closed: a verifier refuses a kind that it does not know. */
export const BlockKind = {
  'open-chain': 1,
  record: 2,
  amendment: 3,
  erase: 4,
  consent: 5,
  'link-to-foreign-chain': 6,
  reseal: 7,
  profile: 8,
  answer: 9,
} as const;
export type BlockKindName = keyof typeof BlockKind;
export type BlockKind = (typeof BlockKind)[BlockKindName];

/** Whether `value` is the number of a known kind. */
export function isBlockKind(value: unknown): value is BlockKind {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 9;
}

/** Size in bytes of an encoded header. */
export const HEADER_BYTES = 274;

/**
 * The header of one block; hashes are 32 bytes, `chainId` 16. A hash that does not apply is {@link ZERO_HASH}.
 *
 * `height` and `sealedAt` are u64 on the wire but `number` here: both also pass through JSON and SQL columns as numbers, a chain never nears
 * 2^53 blocks, and 2^53 ms is the year 287396. Reading refuses what is not a safe integer, so no value is ever rounded.
 */
export interface BlockHeader {
  readonly kind: BlockKind;
  readonly ledgerId: Buffer;
  readonly chainId: Buffer;
  /** Position in the chain, from 0. */
  readonly height: number;
  /** Time of sealing, ms since the epoch (UTC). */
  readonly sealedAt: number;
  /** Hash of the block below; of height 0 the {@link genesisHash}. */
  readonly prevHash: Buffer;
  readonly contentCommit: Buffer;
  readonly ciphertextHash: Buffer;
  readonly attestationHash: Buffer;
  /** RFC 7638 thumbprint of the author's key. */
  readonly authorKeyId: Buffer;
  /** The amended or erased block (to erase the whole chain: the {@link genesisHash}), or the foreign receipt; else zeros. */
  readonly refHash: Buffer;
}

const LABEL = label('blk');
const HASH_FIELDS = [
  ['prevHash', 82],
  ['contentCommit', 114],
  ['ciphertextHash', 146],
  ['attestationHash', 178],
  ['authorKeyId', 210],
  ['refHash', 242],
] as const;

/** The 274 bytes whose SHA-256 is the block hash. @throws RangeError on a field of wrong size or range */
export function encodeHeader(header: BlockHeader): Buffer {
  if (!isBlockKind(header.kind)) throw new RangeError(`unknown block kind: ${String(header.kind)}`);
  requireBytes('ledgerId', header.ledgerId, HASH_BYTES);
  requireBytes('chainId', header.chainId, ID_BYTES);
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.set(LABEL, 0);
  bytes[16] = header.kind;
  bytes.set(header.ledgerId, 18);
  bytes.set(header.chainId, 50);
  bytes.set(u64be(header.height), 66);
  bytes.set(u64be(header.sealedAt), 74);
  for (const [name, offset] of HASH_FIELDS) {
    requireBytes(name, header[name], HASH_BYTES);
    bytes.set(header[name], offset);
  }
  return bytes;
}

/**
 * Strict inverse of {@link encodeHeader}: whatever it accepts encodes back to the same bytes.
 * The buffers of the result are views of `bytes`, not copies; who keeps one keeps (and must not change) the whole.
 * @throws FormatError whose `field` is `header` or `header.<name>`
 */
export function decodeHeader(bytes: Buffer): BlockHeader {
  if (bytes.length !== HEADER_BYTES) throw new FormatError('header', `must have ${HEADER_BYTES} bytes`);
  if (!bytes.subarray(0, 16).equals(LABEL)) throw new FormatError('header.label', 'is not that of a block');
  const kind = bytes[16];
  if (!isBlockKind(kind)) throw new FormatError('header.kind', 'is unknown');
  if (bytes[17] !== 0) throw new FormatError('header.flags', 'must be zero');
  const at = (offset: number): Buffer => bytes.subarray(offset, offset + HASH_BYTES);
  return {
    kind,
    ledgerId: at(18),
    chainId: bytes.subarray(50, 66),
    height: readSafe(bytes, 66, 'header.height'),
    sealedAt: readSafe(bytes, 74, 'header.sealedAt'),
    prevHash: at(82),
    contentCommit: at(114),
    ciphertextHash: at(146),
    attestationHash: at(178),
    authorKeyId: at(210),
    refHash: at(242),
  };
}

function readSafe(bytes: Buffer, offset: number, field: string): number {
  const value = bytes.readUInt32BE(offset) * 0x1_0000_0000 + bytes.readUInt32BE(offset + 4);
  if (!Number.isSafeInteger(value)) throw new FormatError(field, 'is beyond 2^53-1');
  return value;
}

/** SHA-256 of the 274 header bytes as they are stored. */
export function blockHash(header: Uint8Array): Buffer {
  return sha256(header);
}

/** Whether a header field says "does not apply". */
export function isZero(hash: Buffer): boolean {
  return hash.equals(ZERO_HASH);
}

const ORIGIN = /^[!#-*,-[\]-~]{1,255}$/;

/** Whether `value` can name a log: 1 to 255 visible ASCII characters without `+` (C2SP signed-note), `"` and `\` (plain in JSON). */
export function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && ORIGIN.test(value);
}

/** SHA-256 of the origin, the schema-less name of one hospital's log. @throws RangeError unless {@link isOrigin} */
export function ledgerId(origin: string): Buffer {
  if (!isOrigin(origin)) throw new RangeError('an origin has 1 to 255 visible ASCII characters, none of + " \\');
  return sha256(origin);
}

/** What stands below height 0: binds the first block to its ledger and its chain. @throws RangeError on a wrong size */
export function genesisHash(ledger: Uint8Array, chainId: Uint8Array): Buffer {
  requireBytes('ledgerId', ledger, HASH_BYTES);
  requireBytes('chainId', chainId, ID_BYTES);
  return sha256(Buffer.concat([label('gen'), ledger, chainId]));
}
