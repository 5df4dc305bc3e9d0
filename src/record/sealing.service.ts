import { Injectable } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime } from '../common/clock';
import { ApiError, invalid } from '../common/errors';
import { newId } from '../common/ids';
import { withExtension } from '../common/json-text';
import { RawJson } from '../common/raw-json';
import { KeyRing } from '../crypto/key-ring.service';
import { insertRow, selectRows, updateRows } from '../database/rows';
import { recordIdIn, type ToBeSigned } from '../ledger/attestations.service';
import { LedgerService, type SealedBlock, type SealInput } from '../ledger/ledger.service';
import { ProofsService } from '../ledger/proofs.service';
import type { Proven } from '../tlog/tlog.service';
import { CLINICAL_TYPES } from './fhir-validation';
import type { AttestationResponse, CorrectionDto, SealedPlace, SealResponse, SignedCorrectionDto } from './record.dto';
import { AttachmentEntity, RecordEntity } from './record.entity';
import { FoundRecord, RecordsService, sealedError } from './records.service';
import { amendmentText, assertResource, attachmentExtension } from './resources';

/** A finished record that goes straight to the ledger: imported, or answered. */
export interface FinishedRecord {
  /** FHIR resource type. */
  readonly kind: string;
  /** Exact text, validated by the caller. */
  readonly text: string;
  readonly block: Extract<SealInput['kind'], 'record' | 'profile' | 'answer'>;
}

/** After so many blocks a long import lets other requests read. */
const TURN = 32;

/** Sealing, the author's explicit act (R15), and the corrections that follow it. */
@Injectable()
export class SealingService {
  constructor(
    private readonly access: AccessService,
    private readonly records: RecordsService,
    private readonly ledger: LedgerService,
    private readonly proofs: ProofsService,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {}

  /**
   * Seals a draft; its files' hashes become part of what is sealed (R30). Asked again, the author gets the same answer.
   * @param attestation the author's signature over what `prepare` gave, when the author signs with a key of its own
   */
  async seal(actor: Actor, id: string, wait: Proven, attestation?: string): Promise<SealResponse> {
    this.proofs.assertOffered(wait);
    const record = new FoundRecord(id);
    const block = await this.access.change(actor, 'record.seal', record.target, async (tx, grant) => {
      const { row } = record;
      grant.note({ kind: row.kind });
      if (row.status === 'erased') throw new ApiError('erased');
      if (row.status === 'sealed') {
        if (row.authorId !== actor.id || row.amendment !== null) throw sealedError(id);
        grant.note({ count: 0 }); // asked again: nothing was added
        return this.sealedAlready(tx, grant, row);
      }
      const block = await this.ledger.seal(tx, grant, {
        ...(await this.finished(tx, grant, row)),
        ...(attestation !== undefined && { attestation }),
      });
      const changes = {
        status: 'sealed' as const,
        content: null,
        sealedAt: block.sealedAt,
        updatedAt: block.sealedAt,
        height: block.height,
        blockHash: block.blockHash,
      };
      await updateRows(tx, RecordEntity, { id }, changes);
      return toPlace(block);
    });
    return this.settle(block, wait);
  }

  /** What the author of a draft signs who holds the own key: `seal` takes the signature within ten minutes, as long as the draft stays as it is. */
  prepare(actor: Actor, id: string): Promise<AttestationResponse> {
    const record = new FoundRecord(id);
    return this.access.change(actor, 'record.attest', record.target, async (tx, grant) =>
      toBeSigned(await this.ledger.prepare(tx, grant, await this.finished(tx, grant, record.draft()))),
    );
  }

  /** Adds to, corrects or retracts a sealed record by a new sealed record that refers to it. `resourceText` is the exact text that was sent. */
  async correct(actor: Actor, id: string, dto: SignedCorrectionDto, resourceText: string | undefined, wait: Proven): Promise<SealResponse> {
    assertComplete(dto, resourceText);
    const { attestation } = dto;
    const recordId = attestation === undefined ? newId(this.clock.now()) : recordIdIn(attestation);
    this.proofs.assertOffered(wait);
    const original = new FoundRecord(id);
    const correction = await this.access.change(actor, 'record.correct', original.target, async (tx, grant) => {
      const { kind, seal } = amendment(original.row, dto, resourceText, recordId);
      const block = await this.ledger.seal(tx, grant, { ...seal, ...(attestation !== undefined && { attestation }) });
      await this.insertSealed(tx, grant, { id: recordId, kind, amends: id, amendment: dto.kind }, block);
      grant.note({ kind, subjectId: recordId });
      return toPlace(block);
    });
    return this.settle(answered(correction), wait);
  }

  /** What the author of a correction signs who holds the own key: `correct` takes the signature within ten minutes, with the same correction. */
  prepareCorrection(actor: Actor, id: string, dto: CorrectionDto, resourceText: string | undefined): Promise<AttestationResponse> {
    assertComplete(dto, resourceText);
    const original = new FoundRecord(id);
    return this.access.change(actor, 'record.attest', original.target, async (tx, grant) => {
      const { seal } = amendment(original.row, dto, resourceText, newId(this.clock.now()));
      return toBeSigned(await this.ledger.prepare(tx, grant, seal));
    });
  }

  /** Seals finished records one after another in the caller's transaction: all of them, or none. */
  async sealFinished(tx: EntityManager, grant: Grant, finished: readonly FinishedRecord[]): Promise<SealedBlock[]> {
    const blocks: SealedBlock[] = [];
    for (const [index, record] of finished.entries()) {
      const id = newId(this.clock.now());
      const block = await this.ledger.seal(tx, grant, {
        kind: record.block,
        recordId: id,
        version: 1,
        payload: Buffer.from(record.text, 'utf8'),
      });
      await this.insertSealed(tx, grant, { id, kind: record.kind, amends: null, amendment: null }, block);
      blocks.push(block);
      if (index % TURN === TURN - 1) await nextTurn();
    }
    return blocks;
  }

  private async insertSealed(
    tx: EntityManager,
    grant: Grant,
    record: Pick<RecordEntity, 'id' | 'kind' | 'amends' | 'amendment'>,
    block: SealedBlock,
  ): Promise<void> {
    const at = block.sealedAt;
    const row: RecordEntity = {
      ...record,
      patientId: grant.patientId,
      hospitalId: grant.hospitalId,
      authorId: grant.actor.id,
      status: 'sealed',
      content: null,
      version: 1,
      createdAt: at,
      updatedAt: at,
      sealedAt: at,
      height: block.height,
      blockHash: block.blockHash,
    };
    await insertRow(tx, RecordEntity, row);
  }

  /** A draft as it is sealed. */
  private async finished(tx: EntityManager, grant: Grant, row: RecordEntity): Promise<SealInput> {
    const text = await this.withFiles(tx, grant, row, await this.records.draftText(tx, grant, row));
    return { kind: 'record', recordId: row.id, version: row.version, payload: Buffer.from(text, 'utf8') };
  }

  private async withFiles(tx: EntityManager, grant: Grant, row: RecordEntity, text: string): Promise<string> {
    const all = await selectRows(tx, AttachmentEntity, 'recordId', [row.id]);
    const files = all.filter((file) => file.completedAt !== null).sort((a, b) => (a.id < b.id ? -1 : 1));
    if (files.length === 0) return text;
    const vault = await this.keyRing.vault(tx, grant.subject);
    return files.reduce((done, file) => {
      const { id, contentType, size } = file;
      const name = vault.open('attachment.name', id, file.name);
      return withExtension(done, attachmentExtension({ id, contentType, size, name, sha256: file.sha256 ?? Buffer.alloc(0) }));
    }, text);
  }

  private async sealedAlready(tx: EntityManager, grant: Grant, row: RecordEntity): Promise<SealedPlace> {
    return toPlace(await this.ledger.placeOf(tx, grant, row.id));
  }

  /** Outside any transaction: what is sealed stays sealed, whatever the log does. */
  private async settle(block: SealedPlace, wait: Proven): Promise<SealResponse> {
    const proof = await this.proofs.settle(block.recordId, block.blockHash, wait);
    return { ...block, state: proof?.state ?? 'sealed', leafIndex: proof?.leafIndex ?? null, receipt: proof?.receipt ?? null };
  }
}

function assertComplete({ kind }: CorrectionDto, resourceText: string | undefined): void {
  if ((kind === 'retraction') === (resourceText !== undefined))
    throw invalid('resource', kind === 'retraction' ? 'must be absent for a retraction' : 'is required');
}

/** An earlier answer to the same request comes as text; the proof is not in it, for it is made anew each time. */
function answered(place: SealedPlace | RawJson): SealedPlace {
  if (!(place instanceof RawJson)) return place;
  const earlier = place.parse();
  if (!isPlace(earlier)) throw new ApiError('integrity_error', 'An earlier answer is not what this server keeps');
  return earlier;
}

function isPlace(value: unknown): value is SealedPlace {
  const member = (name: string): unknown => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined);
  const texts = ['recordId', 'chainId', 'blockHash', 'sealedAt'].map((name) => typeof member(name));
  return typeof member('height') === 'number' && texts.every((type) => type === 'string');
}

/** A correction of this record as it is sealed, under the id that its own record will have. */
function amendment(
  original: RecordEntity,
  { kind, reason }: CorrectionDto,
  resourceText: string | undefined,
  recordId: string,
): { kind: string; seal: SealInput } {
  const { id, status, blockHash } = original;
  if (status === 'erased') throw new ApiError('erased');
  if (status !== 'sealed' || blockHash === null) throw new ApiError('conflict', 'A draft is changed, not corrected');
  const text = amendmentText({ kind, amends: id, blockHash, reason, resource: resourceText ?? null });
  return {
    kind: resourceText === undefined ? original.kind : assertResource(JSON.parse(resourceText), original.patientId, CLINICAL_TYPES),
    seal: { kind: 'amendment', recordId, version: 1, payload: Buffer.from(text, 'utf8'), refHash: Buffer.from(blockHash, 'hex') },
  };
}

function toPlace(block: SealedBlock): SealedPlace {
  return { ...block, sealedAt: isoTime(block.sealedAt) };
}

function toBeSigned({ recordId, payload, opening, claims, signingInput, expiresAt }: ToBeSigned): AttestationResponse {
  return {
    recordId,
    payload: payload.toString('base64'),
    opening: opening.toString('base64url'),
    claims,
    signingInput,
    expiresAt: isoTime(expiresAt),
  };
}
