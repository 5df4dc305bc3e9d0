import { ApiProperty } from '@nestjs/swagger';

/** An author's public key. */
export class CarriedKeyResponse {
  /** RFC 7638 thumbprint, base64url. */
  kid!: string;
  /** Ed25519 public key (JWK member x, RFC 8037). */
  x!: string;
  /** `server` or `client`: who keeps the private key. */
  custody!: string;
}

/** A sealed record with all that proves it (docs/ledger-format.md). Bytes are base64. */
export class BundleResponse {
  @ApiProperty({ enum: ['bjwt.bundle/1'] }) schema!: string;
  /** Name of the ledger. */
  origin!: string;
  recordId!: string;
  version!: number;
  /** The exact bytes that were sealed. */
  payload!: string;
  /** Key of the content's commitment. */
  opening!: string;
  /** The 274 bytes of the block. */
  header!: string;
  /** Compact JWS of the author. */
  attestation!: string;
  author!: CarriedKeyResponse;
  /** C2SP tlog-proof. */
  receipt!: string;
}

/** One block of an exported chain. Bytes are base64. */
export class ExportedBlockResponse {
  height!: number;
  header!: string;
  recordId!: string;
  version!: number;
  attestation!: string | null;
  /** nonce, ciphertext, tag; null when there is none, or it was erased. */
  ciphertext!: string | null;
  /** Opens the ciphertext; absent unless the patient asked for the contents. */
  recordKey?: string;
  leafIndex!: number;
  /** RFC 6962 audit path. */
  proof!: string[];
}

/** A whole chain with what proves each block (docs/ledger-format.md). */
export class ChainExportResponse {
  @ApiProperty({ enum: ['bjwt.chain/1'] }) schema!: string;
  origin!: string;
  /** Base64url. */
  chainId!: string;
  /** C2SP signed note. */
  checkpoint!: string;
  blocks!: ExportedBlockResponse[];
  keys!: CarriedKeyResponse[];
}
