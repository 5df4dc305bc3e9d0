import { checkAttestation, StoredBlock } from './block';
import { b64u, b64uDecode, HASH_BYTES, isUuid } from './bytes';
import { contentCommit } from './content';
import { Field, parseExactJson } from './exact-json';
import { blockHash, BlockHeader, genesisHash, isOrigin, ledgerId } from './header';
import { PublicJwk } from './jwk';
import { checkCheckpoint, checkTrust, isLeaf, ProofOptions, readHeader, trustChecks } from './proof-checks';
import { ProofReport, ReportMaker } from './proof-report';
import { parseReceipt, Receipt } from './receipt';
import { b64, b64Decode } from './vkey';

/** Who keeps the private key, by the word of the server. */
export type Custody = 'server' | 'client';

/** An author's public key as files carry it. */
export interface CarriedKey {
  /** RFC 7638 thumbprint, base64url. */
  readonly kid: string;
  /** `x` of the Ed25519 JWK (RFC 8037). */
  readonly x: string;
  readonly custody: Custody;
}

/** One sealed record with all that proves it, without the key that opens anything else. */
export interface Bundle {
  /** Name of the ledger. */
  readonly origin: string;
  readonly recordId: string;
  readonly version: number;
  /** The exact bytes that were sealed. */
  readonly payload: Buffer;
  /** Key of the commitment: 32 bytes. */
  readonly opening: Buffer;
  /** The 274 bytes of the block. */
  readonly header: Buffer;
  /** Compact JWS of the author. */
  readonly attestation: string;
  readonly author: CarriedKey;
  /** C2SP tlog-proof, whose `extra` is the header. */
  readonly receipt: string;
}

const SCHEMA = 'bjwt.bundle/1';
const NAMES = ['schema', 'origin', 'recordId', 'version', 'payload', 'opening', 'header', 'attestation', 'author', 'receipt'] as const;
/** Largest accepted file, in bytes. */
export const MAX_BUNDLE_BYTES = 64 * 1024 * 1024;

/** Prints a bundle as JSON in its one order of members. */
export function formatBundle(bundle: Bundle): string {
  const { origin, recordId, version, payload, opening, header, attestation, author, receipt } = bundle;
  return JSON.stringify({
    schema: SCHEMA,
    origin,
    recordId,
    version,
    payload: b64(payload),
    opening: b64(opening),
    header: b64(header),
    attestation,
    author: { kid: author.kid, x: author.x, custody: author.custody },
    receipt,
  });
}

/** Reads a bundle, strictly; nothing in it is verified. @throws FormatError `bundle` or the name of a member */
export function parseBundle(bytes: Uint8Array): Bundle {
  return readBundle(parseExactJson(bytes, 'bundle', MAX_BUNDLE_BYTES));
}

function readBundle(value: unknown): Bundle {
  const fields = new Field(value, '').object(NAMES);
  if (fields.schema.value !== SCHEMA) throw fields.schema.refuse(`is not ${SCHEMA}`);
  return {
    origin: readOrigin(fields.origin),
    recordId: readUuid(fields.recordId),
    version: fields.version.count(0xffff_ffff),
    payload: readBytes(fields.payload),
    opening: readBytes(fields.opening, HASH_BYTES),
    header: readBytes(fields.header),
    attestation: fields.attestation.text(),
    author: readKey(fields.author),
    receipt: fields.receipt.text(),
  };
}

/** The name of a ledger. @throws FormatError */
export function readOrigin(field: Field): string {
  const text = field.text();
  if (!isOrigin(text)) throw field.refuse('is not an origin');
  return text;
}

/** A UUID as text. @throws FormatError */
export function readUuid(field: Field): string {
  const text = field.text();
  if (!isUuid(text)) throw field.refuse('is not a lower-case UUID');
  return text;
}

/** Bytes in base64. @throws FormatError */
export function readBytes(field: Field, size?: number): Buffer {
  return b64Decode(field.text(), field.name, size);
}

/** An author's key; whether it is one that may verify anything is checked where it is used. @throws FormatError */
export function readKey(field: Field): CarriedKey {
  const { kid, x, custody } = field.object(['kid', 'x', 'custody']);
  const word = custody.text();
  if (word !== 'server' && word !== 'client') throw custody.refuse('is neither server nor client');
  const [kidText, xText] = [kid.text(), x.text()];
  b64uDecode(kidText, kid.name, HASH_BYTES);
  b64uDecode(xText, x.name, HASH_BYTES);
  return { kid: kidText, x: xText, custody: word };
}

/** The key for a thumbprint: one that the file carries, and that the verifier knows too if it knows any. */
export function keyDirectory(carried: readonly CarriedKey[], { keys }: ProofOptions): (kid: string) => PublicJwk | undefined {
  const byKid = new Map(carried.map(({ kid, x }): [string, PublicJwk] => [kid, { kty: 'OKP', crv: 'Ed25519', x }]));
  if (keys === undefined) return (kid) => byKid.get(kid);
  return (kid) => (byKid.get(kid)?.x === keys.get(kid)?.x ? keys.get(kid) : undefined);
}

/**
 * Verifies a bundle: this payload was sealed by this author in this block, and the block stands in the log. Never throws for what is in the
 * file. What a bundle alone cannot show: that the record still holds (it may have been corrected later), and the ciphertext.
 */
export function verifyBundle(bytes: Uint8Array, options: ProofOptions): ProofReport {
  const planned = ['form', 'header', 'content', 'attestation', 'checkpoint', 'inclusion'] as const;
  const maker = new ReportMaker('bundle', [...planned, ...trustChecks(options)]);
  const read = maker.check('form', () => {
    const bundle = parseBundle(bytes);
    return { bundle, receipt: parseReceipt(bundle.receipt) };
  });
  if (read === undefined) return maker.report();
  const { bundle, receipt } = read;
  const { origin, recordId, version, author } = bundle;
  Object.assign(maker.facts, { origin, recordId, version, author: { kid: author.kid, custody: author.custody }, leafIndex: receipt.index });
  const header = checkHeader(maker, bundle, receipt);
  if (header === undefined) return maker.report();
  maker.check('content', (say) => {
    if (!contentCommit(bundle.opening, bundle.payload).equals(header.contentCommit)) say('CONTENT_MISMATCH', 'payload');
  });
  maker.check('attestation', (say) => {
    checkAttestation(rowOf(bundle), { header, hash: blockHash(bundle.header) }, contextOf(bundle, header, options), say);
  });
  const checkpoint = checkCheckpoint(maker, receipt.checkpoint, ledgerId(origin), options);
  if (checkpoint === undefined) return maker.report();
  maker.check('inclusion', (say) => {
    if (!isLeaf(bundle.header, receipt.index, receipt.proof, checkpoint)) say('INCLUSION_INVALID', 'receipt.proof');
  });
  checkTrust(maker, checkpoint, options);
  return maker.report();
}

function checkHeader(maker: ReportMaker, bundle: Bundle, { extra }: Receipt): BlockHeader | undefined {
  return maker.check('header', (say) => {
    const header = readHeader(maker, bundle.header);
    if (!header.ledgerId.equals(ledgerId(bundle.origin))) say('HEADER_MISMATCH', 'header.ledgerId');
    if (extra === undefined || !extra.equals(bundle.header)) say('HEADER_MISMATCH', 'receipt.extra');
    return header;
  });
}

function rowOf({ header, recordId, version, attestation }: Bundle): StoredBlock {
  return { height: 0, blockHash: blockHash(header), header, recordId, version, attestation, ciphertext: null };
}

/** Of the blocks below only the one directly below is known, by `prevHash`, and the beginning of the chain. Others must just stand below. */
function contextOf(bundle: Bundle, header: BlockHeader, options: ProofOptions): Parameters<typeof checkAttestation>[2] {
  const { chainId, height, prevHash } = header;
  const ledger = ledgerId(bundle.origin);
  const wasBelow = (seenHeight: number, seen: string): boolean => {
    if (seenHeight >= height) return false;
    if (seenHeight === height - 1) return seen === b64u(prevHash);
    return seenHeight >= 0 || seen === b64u(genesisHash(ledger, chainId));
  };
  return { ledgerId: ledger, chainId, signatures: true, keyOf: keyDirectory([bundle.author], options), wasBelow };
}
