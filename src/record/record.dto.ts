import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsObject, IsOptional, IsString, IsUrl, Length, Matches, MaxLength } from 'class-validator';
import { PageQuery } from '../common/page';
import { RawJson } from '../common/raw-json';
import { type Amendment, AMENDMENTS } from './record.entity';

const FHIR_DATE = /^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2}))?)?)?$/;
/** FHIR R4 datatype code. */
const CODE = /^[^\s]+(\s[^\s]+)*$/;

const RESOURCE_EXAMPLE = {
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8310-5', display: 'Body temperature' }] },
  subject: { reference: 'Patient/01980000-0000-7000-8000-000000000000' },
  valueQuantity: { value: 38.5, unit: 'Cel', system: 'http://unitsofmeasure.org', code: 'Cel' },
};

const JWS_EXAMPLE = 'eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiIsInR5cCI6ImJqd3QtYmxvY2srand0In0.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl';

export class DiagnosisDto {
  /**
   * Code of the diagnosis; taken as given.
   * @example "E11.9"
   */
  @IsString()
  @Length(1, 64)
  @Matches(CODE)
  code!: string;

  /**
   * Code system; ICD-10 unless told.
   * @example "http://hl7.org/fhir/sid/icd-10"
   */
  @IsOptional()
  @IsUrl({ require_tld: false })
  @MaxLength(200)
  system?: string;

  /** @example "Type 2 diabetes mellitus without complications" */
  @IsString()
  @Length(1, 500)
  display!: string;

  /** @example "Diagnosed after two fasting glucose values above 126 mg/dL" */
  @IsOptional()
  @IsString()
  @Length(1, 20_000)
  note?: string;

  /**
   * FHIR date or dateTime.
   * @example "2026-10-01"
   */
  @IsOptional()
  @Matches(FHIR_DATE)
  onset?: string;

  @IsOptional()
  @IsIn(['mild', 'moderate', 'severe'])
  severity?: 'mild' | 'moderate' | 'severe';
}

export class ResourceDto {
  /** A FHIR R4 resource whose subject is this patient. Decimals keep their text. */
  @IsObject()
  @ApiProperty({ type: 'object', additionalProperties: true, example: RESOURCE_EXAMPLE })
  resource!: Record<string, unknown>;
}

export class CorrectionDto {
  @IsIn(AMENDMENTS)
  kind!: Amendment;

  /**
   * Why; sealed with it.
   * @example "The laboratory corrected the value"
   */
  @IsString()
  @Length(1, 2000)
  reason!: string;

  /** The new content; required except for a retraction. */
  @IsOptional()
  @IsObject()
  @ApiProperty({ type: 'object', additionalProperties: true })
  resource?: Record<string, unknown>;
}

/** A correction, with the signature of an author who holds the own key. */
export class SignedCorrectionDto extends CorrectionDto {
  /** Compact JWS over what the attestation route gave for this same correction; absent when this server signs. */
  @IsOptional()
  @IsString()
  @Length(1, 4096)
  @ApiProperty({ required: false, maxLength: 4096, example: JWS_EXAMPLE })
  attestation?: string;
}

export class RecordQuery extends PageQuery {
  @IsOptional()
  @IsIn(['draft', 'sealed', 'erased'])
  status?: 'draft' | 'sealed' | 'erased';

  /** FHIR resource type. */
  @IsOptional()
  @Matches(/^[A-Za-z]{1,40}$/)
  kind?: string;
}

/** How far a seal has come. */
export const PROVEN = ['sealed', 'logged', 'witnessed'] as const;

export class SealQuery {
  /**
   * What the answer waits for: `sealed` (stored), `logged` (under a published checkpoint), `witnessed` (and cosigned by the quorum). When time is up the
   * answer says how far it has come; it stays sealed in any case.
   */
  @IsOptional()
  @IsIn(PROVEN)
  wait: (typeof PROVEN)[number] = 'logged';
}

/** What `POST /records/{id}/seal` may carry. */
export class SealDto {
  /** Compact JWS of an author with a key of its own, over what the attestation route gave; absent when this server signs. */
  @ApiProperty({ required: false, maxLength: 4096, example: JWS_EXAMPLE })
  attestation?: string;
}

export class EntriesQuery extends PageQuery {
  /** Only what this person added. */
  @IsOptional()
  @Matches(/^[0-9a-f-]{36}$/)
  authorId?: string;
}

export class AttachmentResponse {
  id!: string;
  name!: string;
  contentType!: string;
  /** Bytes. */
  size!: number;
  /** SHA-256 of the file, base64. */
  sha256!: string;
  createdAt!: string;
}

/** Where a record was sealed. */
export class SealedPlace {
  recordId!: string;
  chainId!: string;
  height!: number;
  /** Hex. */
  blockHash!: string;
  sealedAt!: string;
}

/** The newest block that the author had in view. */
export class SeenResponse {
  /** Height; -1 is the empty chain. */
  h!: number;
  /** Block hash, base64url. */
  b!: string;
}

/** The payload of an attestation (docs/ledger-format.md, "Attestation"). */
export class ClaimsResponse {
  iss!: string;
  sub!: string;
  jti!: string;
  ver!: number;
  knd!: number;
  iat!: number;
  cmt!: string;
  seen!: SeenResponse;
}

/** What an author signs who holds the own key. Check that `claims.cmt` is the commitment of `opening` to `payload`, and that `payload` is what you mean. */
export class AttestationResponse {
  recordId!: string;
  /** The exact bytes that are to be sealed, base64. */
  payload!: string;
  /** 32 bytes, base64url: opens the commitment and decrypts nothing. */
  opening!: string;
  claims!: ClaimsResponse;
  /** ASCII. Its Ed25519 signature, as base64url after a dot, completes the JWS. */
  signingInput!: string;
  /** Until when the signature is taken. */
  expiresAt!: string;
}

/** Where a record was sealed, and what proves it. */
export class SealResponse extends SealedPlace {
  /** `sealed`, `logged` or `witnessed`. */
  state!: string;
  /** Index of the block's leaf in the hospital's log; null when it has none yet. */
  leafIndex!: number | null;
  /** Proof to keep (C2SP tlog-proof); null when there is none yet: ask for it later. */
  receipt!: string | null;
}

export class AmendedByResponse {
  recordId!: string;
  kind!: string;
}

/** What is known of a record without its content. */
export class RecordSummaryResponse {
  id!: string;
  patientId!: string;
  hospitalId!: string;
  authorId!: string;
  authorName!: string | null;
  /** FHIR resource type. */
  kind!: string;
  /** draft, sealed or erased. */
  status!: string;
  version!: number;
  /** The record that this one speaks of. */
  amends!: string | null;
  amendment!: string | null;
  createdAt!: string;
  updatedAt!: string;
  sealedAt!: string | null;
  height!: number | null;
  blockHash!: string | null;
}

export class RecordResponse extends RecordSummaryResponse {
  /** The FHIR resource, as exact text; null for a retraction, and in a list for an erased record. */
  @ApiProperty({ type: 'object', additionalProperties: true, nullable: true })
  resource!: RawJson | null;
  /** Why a correction was made. */
  reason!: string | null;
  /** Later records that correct or supplement this one. */
  amendedBy!: AmendedByResponse[];
}

export class RecordPage {
  items!: RecordResponse[];
  nextCursor!: string | null;
}

export class EntriesPage {
  items!: RecordSummaryResponse[];
  nextCursor!: string | null;
}
