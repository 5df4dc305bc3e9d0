import { HASH_BYTES, FormatError, b64u, isBytes, isU32, isUuid, sha256 } from './bytes';
import { ContentPlace, contentCommit, decryptContent, opening } from './content';
import { AttestationClaims, ParsedAttestation, parseAttestation, signatureFits } from './attestation';
import { BlockHeader, BlockKind, isZero } from './header';
import { AuthorKey, PublicJwk, authorKey } from './jwk';
import { FindingCode } from './verdict';

/** One block as it lies in the database, with copies of header fields in columns of their own. */
export interface StoredBlock {
  readonly height: number;
  readonly blockHash: Buffer;
  readonly prevHash?: Buffer;
  /** The 274 bytes as stored; only these are hashed. */
  readonly header: Buffer;
  /** UUID as text, lower case. */
  readonly recordId: string;
  readonly version: number;
  /** Compact JWS as stored; null for a block that no author signed (only `open-chain` may). */
  readonly attestation: string | null;
  /** nonce, ciphertext and tag as stored; null when erased, or when the block carries no content. */
  readonly ciphertext: Buffer | null;
  /** Plain payload from elsewhere, to be held against the commitment; needs `recordKey`. */
  readonly payload?: Buffer;
  /** Unwrapped record key (32 bytes): when given, the content is decrypted and its commitment checked. */
  readonly recordKey?: Buffer;
}

/** Notes one finding about the block at hand. */
export type Say = (code: FindingCode, field: string) => void;

/**
 * How far a clock may be off, ms: the author's `iat` from the `sealedAt` of its block, and a `sealedAt` behind the highest one below it. Ten minutes
 * are enough for clocks that nobody tends, and too few to slip a block into another day.
 */
export const CLOCK_LEEWAY_MS = 600_000;

/** Where the log puts blocks and the events of keys, as numbers that rise in the order of the log. Undefined: it is not in the log. */
export interface KeyOrder {
  readonly placeOf: (blockHash: Buffer) => number | undefined;
  readonly registeredAt: (kid: string) => number | undefined;
  readonly revokedAt: (kid: string) => number | undefined;
}

/** What the checks of one block need to know about its ledger, its chain and the blocks below. */
export interface BlockContext {
  readonly ledgerId: Buffer;
  readonly chainId: Buffer;
  readonly signatures: boolean;
  readonly keyOf: (kid: string) => PublicJwk | undefined;
  /** Without it keys are taken as registered for ever. */
  readonly keyOrder?: KeyOrder;
  /** Whether `hash` (base64url) is the block at `height` of this chain, below the block at hand. */
  readonly wasBelow: (height: number, hash: string) => boolean;
}

/** Kinds whose meaning is their content; the others may go without. */
const NEEDS_CONTENT: ReadonlySet<BlockKind> = new Set([
  BlockKind.record,
  BlockKind.amendment,
  BlockKind.erase,
  BlockKind.consent,
  BlockKind.profile,
  BlockKind.answer,
]);

/** The first column of a row that has not even the right type or size; a database is hostile input. */
export function malformedColumn(row: StoredBlock): string | undefined {
  if (!Number.isSafeInteger(row.height) || row.height < 0) return 'height';
  if (!Buffer.isBuffer(row.header)) return 'header';
  if (!isBytes(row.blockHash, HASH_BYTES)) return 'blockHash';
  if (row.prevHash !== undefined && !isBytes(row.prevHash, HASH_BYTES)) return 'prevHash';
  if (!isUuid(row.recordId)) return 'recordId';
  if (!isU32(row.version)) return 'version';
  if (row.attestation !== null && typeof row.attestation !== 'string') return 'attestation';
  if (row.ciphertext !== null && !Buffer.isBuffer(row.ciphertext)) return 'ciphertext';
  if (row.payload !== undefined && !Buffer.isBuffer(row.payload)) return 'payload';
  if (row.recordKey !== undefined && !isBytes(row.recordKey, HASH_BYTES)) return 'recordKey';
  return undefined;
}

/**
 * Checks the content of one block. Without a ciphertext there is nothing to hold against the header: whether it may be missing is known
 * only when the whole chain was seen.
 * @returns whether the ciphertext is missing
 */
export function checkContent(row: StoredBlock, header: BlockHeader, say: Say): boolean {
  const empty = isZero(header.contentCommit) && isZero(header.ciphertextHash);
  if (empty ? NEEDS_CONTENT.has(header.kind) : isZero(header.contentCommit) || isZero(header.ciphertextHash)) {
    say('MALFORMED', isZero(header.contentCommit) ? 'header.contentCommit' : 'header.ciphertextHash');
  }
  const { ciphertext, payload, recordKey } = row;
  if (ciphertext !== null && !sha256(ciphertext).equals(header.ciphertextHash)) say('CIPHERTEXT_MISMATCH', 'ciphertext');
  else if (ciphertext !== null && recordKey !== undefined) {
    const { ledgerId, chainId } = header;
    checkOpened(decryptContent({ ...placeOf(row, recordKey), ledgerId, chainId, ciphertext }), recordKey, header, say);
  }
  if (payload !== undefined && recordKey !== undefined && !commits(header, recordKey, payload)) say('CONTENT_MISMATCH', 'payload');
  return ciphertext === null && !empty;
}

function placeOf(row: StoredBlock, recordKey: Buffer): Pick<ContentPlace, 'recordKey' | 'recordId' | 'version'> {
  return { recordKey, recordId: row.recordId, version: row.version };
}

function checkOpened(payload: Buffer | null, recordKey: Buffer, header: BlockHeader, say: Say): void {
  if (payload === null) return say('CONTENT_MISMATCH', 'ciphertext');
  if (!commits(header, recordKey, payload)) say('CONTENT_MISMATCH', 'header.contentCommit');
  payload.fill(0);
}

function commits(header: BlockHeader, recordKey: Buffer, payload: Buffer): boolean {
  return contentCommit(opening(recordKey), payload).equals(header.contentCommit);
}

/**
 * Checks the author's attestation of one block: stored bytes, form, what it is about, key and signature, in this order.
 * @param block its header, and the hash of that header as computed
 */
export function checkAttestation(
  row: StoredBlock,
  { header, hash }: { readonly header: BlockHeader; readonly hash: Buffer },
  context: BlockContext,
  say: Say,
): void {
  if (row.attestation === null) {
    const unsigned = header.kind === BlockKind['open-chain'] && isZero(header.attestationHash) && isZero(header.authorKeyId);
    return unsigned ? undefined : say('ATTESTATION_INVALID', 'attestation');
  }
  if (!sha256(row.attestation).equals(header.attestationHash)) return say('ATTESTATION_INVALID', 'attestation');
  if (!context.signatures) return; // unsigned claims prove nothing, so reading them would only cost time
  const parsed = parsedOrSay(row.attestation, say);
  if (parsed === undefined) return;
  if (parsed.kid !== b64u(header.authorKeyId)) return say('ATTESTATION_INVALID', 'attestation.kid');
  for (const claim of foreignClaims(parsed.claims, row, header, context)) say('ATTESTATION_INVALID', `attestation.${claim}`);
  checkSignature(parsed, context, say);
  if (context.keyOrder) checkOrder(parsed.kid, hash, context.keyOrder, say);
}

function parsedOrSay(jws: string, say: Say): ParsedAttestation | undefined {
  try {
    return parseAttestation(jws);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    say('ATTESTATION_INVALID', error.field);
    return undefined;
  }
}

/** The claims that are about something else than this block: what a replayed attestation gives itself away by. */
function foreignClaims(claims: AttestationClaims, row: StoredBlock, header: BlockHeader, context: BlockContext): string[] {
  const fits: Record<keyof AttestationClaims, boolean> = {
    iss: sha256(claims.iss).equals(context.ledgerId),
    sub: claims.sub === b64u(context.chainId),
    jti: claims.jti === row.recordId,
    ver: claims.ver === row.version,
    knd: claims.knd === header.kind,
    iat: isNear(claims.iat, header.sealedAt),
    cmt: claims.cmt === b64u(header.contentCommit),
    seen: context.wasBelow(claims.seen.h, claims.seen.b),
  };
  return Object.entries(fits).flatMap(([claim, fit]) => (fit ? [] : [claim]));
}

/** Whether a time of signing, in seconds, is close enough to a time of sealing, in ms. */
export function isNear(iat: number, sealedAt: number): boolean {
  return Math.abs(iat * 1000 - sealedAt) <= CLOCK_LEEWAY_MS;
}

/** A key counts from its registration to its revocation, by the order of the log and nobody's clock. What is in no log came after all that is. */
function checkOrder(kid: string, hash: Buffer, order: KeyOrder, say: Say): void {
  const place = order.placeOf(hash) ?? Infinity;
  const [from, until] = [order.registeredAt(kid), order.revokedAt(kid)];
  if (from !== undefined && place < from) say('KEY_UNKNOWN', 'header.authorKeyId');
  if (until !== undefined && place > until) say('KEY_REVOKED', 'header.authorKeyId');
}

function checkSignature(parsed: ParsedAttestation, context: BlockContext, say: Say): void {
  const jwk = context.keyOf(parsed.kid);
  if (jwk === undefined) return say('KEY_UNKNOWN', 'header.authorKeyId');
  let key: AuthorKey;
  try {
    key = authorKey(jwk);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return say('ATTESTATION_INVALID', error.field); // a weak key: anybody can sign under it
  }
  if (key.kid !== parsed.kid) return say('KEY_UNKNOWN', 'header.authorKeyId');
  if (!signatureFits(parsed, key)) say('ATTESTATION_INVALID', 'attestation.signature');
}
