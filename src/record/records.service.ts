import { Injectable } from '@nestjs/common';
import { type EntityManager, In } from 'typeorm';
import { AccessService, type Grant, type Target } from '../access/access.service';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { cursorId, toPage, type Page } from '../common/page';
import { KeyRing } from '../crypto/key-ring.service';
import { insertRow, selectRows } from '../database/rows';
import { StaffService } from '../hospital/staff.service';
import { LedgerService } from '../ledger/ledger.service';
import { VerificationService } from '../ledger/verification.service';
import { CLINICAL_TYPES } from './fhir-validation';
import type { DiagnosisDto, RecordQuery, RecordResponse } from './record.dto';
import { AttachmentChunkEntity, AttachmentEntity, RecordEntity } from './record.entity';
import { misfit, recordRows } from './record-rows';
import { toResponse } from './record-view';
import { assertResource, conditionText } from './resources';

/** One record that an act is about: what the decision has seen of it is what the act works with. */
export class FoundRecord {
  private found: RecordEntity | undefined;

  constructor(private readonly id: string) {}

  /** Finds it, as the decision wants it. */
  readonly target = async (manager: EntityManager): Promise<Target | null> => {
    const [row] = await selectRows(manager, RecordEntity, 'id', [this.id]);
    this.found = row;
    return row ? { patientId: row.patientId, record: { id: row.id, authorId: row.authorId, sealed: row.status !== 'draft' } } : null;
  };

  /** The row that was found. @throws ApiError `not_found` */
  get row(): RecordEntity {
    if (!this.found) throw notFound();
    return this.found;
  }

  /** The row of a draft, in the version that the caller saw if there is one. @throws ApiError `record_sealed`, `erased`, `version_stale` */
  draft(version: number | null = null): RecordEntity {
    const { row } = this;
    if (row.status === 'sealed') throw sealedError(row.id);
    if (row.status === 'erased') throw new ApiError('erased');
    if (version !== null && row.version !== version) throw new ApiError('version_stale');
    return row;
  }
}

/** A draft's text is bound to its version: an earlier text put back into the row does not open. */
function draftPlace(id: string, version: number): string {
  return `${id}/${version}`;
}

/** Says where to go instead. */
export function sealedError(id: string): ApiError {
  return new ApiError('record_sealed', undefined, { links: { corrections: `/api/v1/records/${id}/corrections` } });
}

/** Drafts, and reading drafts and sealed records. */
@Injectable()
export class RecordsService {
  constructor(
    private readonly access: AccessService,
    private readonly accounts: AccountsService,
    private readonly staff: StaffService,
    private readonly ledger: LedgerService,
    private readonly verification: VerificationService,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {
    // Drafts of somebody who leaves go to the one who takes over; without one they stay, for the hospital to read or delete.
    this.verification.keep(recordRows);
    this.staff.onDeparture(async (tx, { id, handOverTo }) => {
      if (handOverTo !== null) await tx.getRepository(RecordEntity).update({ authorId: id, status: 'draft' }, { authorId: handOverTo });
    });
  }

  createDiagnosis(actor: Actor, patientId: string, dto: DiagnosisDto): Promise<RecordResponse> {
    const text = conditionText(patientId, dto, isoTime(this.clock.now()));
    return this.createDraft(actor, patientId, assertResource(JSON.parse(text), patientId, CLINICAL_TYPES, 'resource'), text);
  }

  /** `text` is the exact text of the resource as it was sent. */
  create(actor: Actor, patientId: string, text: string): Promise<RecordResponse> {
    return this.createDraft(actor, patientId, assertResource(JSON.parse(text), patientId, CLINICAL_TYPES), text);
  }

  read(actor: Actor, id: string): Promise<RecordResponse> {
    const record = new FoundRecord(id);
    return this.access.read(actor, 'record.read', record.target, async (manager, grant) => {
      const { row } = record;
      grant.note({ kind: row.kind });
      const response = await this.one(manager, grant, row);
      if (row.status === 'erased') throw new ApiError('erased');
      return response;
    });
  }

  /** The exact bytes that were sealed, or the text of the draft. */
  content(actor: Actor, id: string): Promise<Buffer> {
    const record = new FoundRecord(id);
    return this.access.read(actor, 'record.read', record.target, async (manager, grant) => {
      const { row } = record;
      grant.note({ kind: row.kind });
      return row.status === 'draft'
        ? Buffer.from(await this.draftText(manager, grant, row), 'utf8')
        : this.sealedContent(manager, grant, row);
    });
  }

  /** The sealed bytes of a row that fits its block. @throws ApiError `erased` */
  async sealedContent(manager: EntityManager, grant: Grant, row: RecordEntity): Promise<Buffer> {
    const block = await this.ledger.open(manager, grant, row.id);
    if (misfit(row, block) !== undefined) throw new ApiError('integrity_error');
    if (!block.payload) throw new ApiError('erased');
    return block.payload;
  }

  /** A patient's records, oldest first; erased ones without their content. Drafts are shown to their author and to the hospital only. */
  list(actor: Actor, patientId: string, query: RecordQuery): Promise<Page<RecordResponse>> {
    return this.access.read(actor, 'record.list', { patientId }, async (manager, grant) => {
      const builder = manager
        .createQueryBuilder(RecordEntity, 'r')
        .where('r.patientId = :patientId', { patientId })
        .orderBy('r.id')
        .limit(query.limit + 1);
      const after = cursorId(query);
      if (after !== undefined) builder.andWhere('r.id > :after', { after });
      if (query.status !== undefined) builder.andWhere('r.status = :status', { status: query.status });
      if (query.kind !== undefined) builder.andWhere('r.kind = :kind', { kind: query.kind });
      const seesAllDrafts = actor.role === 'HOSPITAL' && actor.hospitalId === grant.hospitalId;
      if (!seesAllDrafts) builder.andWhere(`(r.status <> 'draft' OR r.authorId = :me)`, { me: actor.id });
      const page = toPage(
        await builder.getMany(),
        query.limit,
        (row) => row.id,
        (row) => row,
      );
      grant.note({ ids: page.items.map((row) => row.id) });
      return { items: await this.toResponses(manager, grant, page.items), nextCursor: page.nextCursor };
    });
  }

  /** Replaces the text of a draft against the version that the author saw (R14). */
  update(actor: Actor, id: string, version: number, text: string): Promise<RecordResponse> {
    const record = new FoundRecord(id);
    return this.access.change(actor, 'record.update', record.target, async (tx, grant) => {
      const row = record.draft(version);
      const kind = assertResource(JSON.parse(text), row.patientId, CLINICAL_TYPES);
      const vault = await this.keyRing.vault(tx, grant.subject);
      const changes = {
        kind,
        content: vault.seal('record.content', draftPlace(id, version + 1), text),
        version: version + 1,
        updatedAt: this.clock.now(),
      };
      await tx.getRepository(RecordEntity).update({ id }, changes);
      grant.note({ kind });
      return this.one(tx, grant, { ...row, ...changes });
    });
  }

  remove(actor: Actor, id: string, version: number): Promise<void> {
    const record = new FoundRecord(id);
    return this.access.change(actor, 'record.delete', record.target, async (tx, grant) => {
      const row = record.draft(version);
      const files = await tx.getRepository(AttachmentEntity).findBy({ recordId: id });
      if (files.length > 0) await tx.getRepository(AttachmentChunkEntity).delete({ attachmentId: In(files.map((file) => file.id)) });
      await tx.getRepository(AttachmentEntity).delete({ recordId: id });
      await tx.getRepository(RecordEntity).delete({ id });
      grant.note({ kind: row.kind });
    });
  }

  async draftText(manager: EntityManager, grant: Grant, row: RecordEntity): Promise<string> {
    if (!row.content) throw notFound();
    return (await this.keyRing.vault(manager, grant.subject)).open('record.content', draftPlace(row.id, row.version), row.content);
  }

  async find(manager: EntityManager, id: string): Promise<RecordEntity> {
    const [row] = await selectRows(manager, RecordEntity, 'id', [id]);
    if (!row) throw notFound();
    return row;
  }

  /**
   * Rows with their content. Sealed ones are opened and held against their blocks, row and content; corrections are found by the chain, not by the
   * rows, so that none can be hidden. Erased ones are those of which the chain says so. All rows belong to the grant's patient.
   */
  async toResponses(manager: EntityManager, grant: Grant, rows: readonly RecordEntity[]): Promise<RecordResponse[]> {
    const sealed = rows.filter((row) => row.status !== 'draft');
    const later = await this.corrections(manager, grant, sealed);
    const all = [...sealed, ...later.values()].flat();
    const blocks = await this.ledger.openMany(manager, grant, [...new Set(all.map((row) => row.id))]);
    for (const row of all) {
      const block = blocks.get(row.id);
      if (!block || row.patientId !== grant.patientId || misfit(row, block) !== undefined) throw new ApiError('integrity_error');
    }
    const people = await this.accounts.people(
      manager,
      rows.map((row) => row.authorId),
    );
    return Promise.all(
      rows.map(async (row) => {
        const block = blocks.get(row.id);
        const text = block ? (block.payload?.toString('utf8') ?? null) : await this.draftText(manager, grant, row);
        return toResponse(row, people.get(row.authorId)?.name ?? null, text, later.get(row.id) ?? []);
      }),
    );
  }

  /** The records whose blocks speak of these records' blocks, by the record they speak of. */
  private async corrections(manager: EntityManager, grant: Grant, sealed: readonly RecordEntity[]): Promise<Map<string, RecordEntity[]>> {
    const speaking = await this.ledger.speakingOf(
      manager,
      grant,
      sealed.flatMap((row) => row.blockHash ?? []),
    );
    const ids = [...speaking.values()].flat();
    const rows = await selectRows(manager, RecordEntity, 'id', ids);
    const byId = new Map(rows.map((row) => [row.id, row]));
    const found = (id: string): RecordEntity => {
      const row = byId.get(id);
      if (!row) throw new ApiError('integrity_error', 'A correction is sealed and its record is missing');
      return row;
    };
    return new Map(sealed.map((row) => [row.id, (speaking.get(row.blockHash ?? '') ?? []).map(found)]));
  }

  private createDraft(actor: Actor, patientId: string, kind: string, text: string): Promise<RecordResponse> {
    return this.access.change(actor, 'record.create', { patientId }, async (tx, grant) => {
      const now = this.clock.now();
      const id = newId(now);
      const vault = await this.keyRing.vault(tx, grant.subject);
      const row: RecordEntity = {
        id,
        patientId,
        hospitalId: grant.hospitalId,
        authorId: actor.id,
        kind,
        status: 'draft',
        content: vault.seal('record.content', draftPlace(id, 1), text),
        version: 1,
        amends: null,
        amendment: null,
        createdAt: now,
        updatedAt: now,
        sealedAt: null,
        height: null,
        blockHash: null,
      };
      await insertRow(tx, RecordEntity, row);
      grant.note({ kind, subjectId: id });
      return this.one(tx, grant, row);
    });
  }

  private async one(manager: EntityManager, grant: Grant, row: RecordEntity): Promise<RecordResponse> {
    const [response] = await this.toResponses(manager, grant, [row]);
    if (!response) throw notFound();
    return response;
  }
}
