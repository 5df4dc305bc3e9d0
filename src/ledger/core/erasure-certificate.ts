import { b64u, b64uDecode, FormatError, HASH_BYTES, ID_BYTES, isU32, isUuid, sha256 } from './bytes';
import { checkAttestation, StoredBlock } from './block';
import { contentCommit } from './content';
import { erasureRef, type ErasureStatement, parseErasure } from './erasure';
import { blockHash, BlockHeader, BlockKind, decodeHeader, HEADER_BYTES, isOrigin } from './header';
import { checkPublicJwk, PublicJwk } from './jwk';

/**
 * What a person keeps to prove an erasure, and what binds an ERASE block to its meaning when the block's own content can no longer be opened
 * (docs/ledger-format.md section 8). It holds no clinical data and no name.
 */
export interface ErasureCertificate {
  readonly schema: 'bjwt.erasure-certificate/1';
  readonly origin: string;
  /** Base64url of 16 bytes. */
  readonly chainId: string;
  /** Record id and version of the ERASE block itself. */
  readonly recordId: string;
  readonly version: number;
  /** Payload of the block: text of an {@link ErasureStatement}. */
  readonly statement: string;
  /** Key of the content commitment, base64url of 32 bytes. */
  readonly opening: string;
  /** Base64url of 274 bytes. */
  readonly header: string;
  /** Compact JWS. */
  readonly attestation: string;
  readonly key: PublicJwk;
}

/** A certificate that is whole in itself. That its block stands in the chain, the chain says. */
export interface CertifiedErasure {
  readonly certificate: ErasureCertificate;
  readonly statement: ErasureStatement;
  readonly header: BlockHeader;
  /** 32 bytes: what to look for in the chain. */
  readonly blockHash: Buffer;
}

/**
 * Checks everything that a certificate says against itself: header, commitment, reference, attestation and signature.
 * @throws FormatError whose `field` is `certificate`, `certificate.<member>`, or that of the part at fault
 */
export function readCertificate(value: unknown): CertifiedErasure {
  const certificate = formOf(value);
  const bytes = b64uDecode(certificate.header, 'certificate.header', HEADER_BYTES);
  const header = decodeHeader(bytes);
  const payload = Buffer.from(certificate.statement, 'utf8');
  const statement = parseErasure(payload);
  const opening = b64uDecode(certificate.opening, 'certificate.opening', HASH_BYTES);
  demand(header.kind === BlockKind.erase, 'header.kind', 'is not erase');
  demand(header.ledgerId.equals(sha256(certificate.origin)), 'header.ledgerId', 'is not that of the origin');
  demand(b64u(header.chainId) === certificate.chainId, 'header.chainId', 'is another');
  demand(contentCommit(opening, payload).equals(header.contentCommit), 'header.contentCommit', 'does not fit the statement');
  demand(
    erasureRef(statement, header.ledgerId, header.chainId).equals(header.refHash),
    'header.refHash',
    'is not what the statement names',
  );
  checkSigned(certificate, bytes, header);
  return { certificate, statement, header, blockHash: blockHash(bytes) };
}

function checkSigned({ recordId, version, attestation, key }: ErasureCertificate, bytes: Buffer, header: BlockHeader): void {
  const row: StoredBlock = {
    height: header.height,
    blockHash: blockHash(bytes),
    header: bytes,
    recordId,
    version,
    attestation,
    ciphertext: null,
  };
  const below = header.height - 1;
  const context = {
    ledgerId: header.ledgerId,
    chainId: header.chainId,
    signatures: true,
    keyOf: () => key,
    // Of the blocks below only the nearest is known here.
    wasBelow: (height: number, hash: string) => height <= below && (height < below || hash === b64u(header.prevHash)),
  };
  checkAttestation(row, { header, hash: row.blockHash }, context, (code, field) => {
    throw new FormatError(field, `is not valid (${code})`);
  });
}

function formOf(value: unknown): ErasureCertificate {
  const member = (name: string): unknown => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined);
  const text = (name: string): string => {
    const found = member(name);
    if (typeof found !== 'string') throw new FormatError(`certificate.${name}`, 'is not a text');
    return found;
  };
  const schema = 'bjwt.erasure-certificate/1';
  demand(member('schema') === schema, 'certificate.schema', `is not ${schema}`);
  const [origin, recordId, version] = [text('origin'), text('recordId'), member('version')];
  demand(isOrigin(origin), 'certificate.origin', 'is not an origin');
  demand(isUuid(recordId), 'certificate.recordId', 'is not a lower-case UUID');
  if (!isU32(version)) throw new FormatError('certificate.version', 'is not an unsigned 32-bit integer');
  const chainId = text('chainId');
  b64uDecode(chainId, 'certificate.chainId', ID_BYTES);
  const [statement, opening, header, attestation] = [text('statement'), text('opening'), text('header'), text('attestation')];
  return { schema, origin, chainId, recordId, version, statement, opening, header, attestation, key: checkPublicJwk(member('key')) };
}

function demand(fits: boolean, field: string, reason: string): void {
  if (!fits) throw new FormatError(field, reason);
}
