import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime, isoTimeOrNull } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { cursorId, toPage, type Page } from '../common/page';
import { KeyRing } from '../crypto/key-ring.service';
import type { Vault } from '../crypto/vault';
import { checkedRows, deleteRows, insertRow, selectRows, updateRow } from '../database/rows';
import { SealingService } from '../record/sealing.service';
import type { AnsweredResponse, QuestionQuery, QuestionResponse } from './doctor.dto';
import { QuestionEntity } from './question.entity';

/** Doctors ask, patients answer, and the answer is sealed on the patient's chain (R19). */
@Injectable()
export class QuestionsService {
  constructor(
    private readonly access: AccessService,
    private readonly accounts: AccountsService,
    private readonly sealing: SealingService,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {}

  ask(actor: Actor, patientId: string, text: string): Promise<QuestionResponse> {
    return this.access.change(actor, 'question.ask', { patientId }, async (tx, grant) => {
      const askedAt = this.clock.now();
      const id = newId(askedAt);
      const vault = await this.keyRing.vault(tx, grant.subject);
      const row: QuestionEntity = {
        id,
        patientId,
        hospitalId: grant.hospitalId,
        doctorId: actor.id,
        text: vault.seal('question.text', id, text),
        status: 'open',
        askedAt,
        answeredAt: null,
        answerRecordId: null,
        answer: null,
      };
      await insertRow(tx, QuestionEntity, row);
      grant.note({ subjectId: id });
      return this.toResponse(tx, vault, row);
    });
  }

  list(actor: Actor, patientId: string, query: QuestionQuery): Promise<Page<QuestionResponse>> {
    return this.access.read(actor, 'question.list', { patientId }, async (manager, grant) => {
      const builder = manager
        .createQueryBuilder(QuestionEntity, 'q')
        .where('q.patientId = :patientId', { patientId })
        .orderBy('q.id')
        .limit(query.limit + 1);
      const after = cursorId(query);
      if (after !== undefined) builder.andWhere('q.id > :after', { after });
      if (query.status !== undefined) builder.andWhere('q.status = :status', { status: query.status });
      const page = toPage(
        checkedRows(manager, QuestionEntity, await builder.getMany()),
        query.limit,
        (row) => row.id,
        (row) => row,
      );
      const vault = await this.keyRing.vault(manager, grant.subject);
      grant.note({ ids: page.items.map((row) => row.id) });
      return { items: await Promise.all(page.items.map((row) => this.toResponse(manager, vault, row))), nextCursor: page.nextCursor };
    });
  }

  /** The answer is sealed as a FHIR QuestionnaireResponse; a question is answered once. */
  answer(actor: Actor, id: string, text: string): Promise<AnsweredResponse> {
    const target = async (manager: EntityManager) => {
      const row = await find(manager, id);
      return row ? { patientId: row.patientId } : null;
    };
    return this.access.change(actor, 'question.answer', target, async (tx, grant) => {
      const row = await find(tx, id);
      if (!row) throw notFound();
      if (row.status === 'answered') throw new ApiError('conflict', 'This question is answered');
      const vault = await this.keyRing.vault(tx, grant.subject);
      const resource = questionnaireResponse(row, vault.open('question.text', id, row.text), text, isoTime(this.clock.now()));
      const [block] = await this.sealing.sealFinished(tx, grant, [{ kind: 'QuestionnaireResponse', text: resource, block: 'answer' }]);
      if (!block) throw new Error('nothing was sealed');
      const changes = {
        status: 'answered' as const,
        answeredAt: block.sealedAt,
        answerRecordId: block.recordId,
        answer: vault.seal('question.answer', id, text),
      };
      const answered = await updateRow(tx, QuestionEntity, row, changes);
      grant.note({ kind: 'QuestionnaireResponse', subjectId: block.recordId });
      return {
        question: await this.toResponse(tx, vault, answered),
        sealed: { ...block, sealedAt: isoTime(block.sealedAt) },
      };
    });
  }

  /**
   * Erasure: deletes all questions to the patient, or the one whose answer is this sealed record, for the record holds the question too. Says which.
   */
  async erase(tx: EntityManager, { patientId }: Grant, answerRecordId: string | null): Promise<string[]> {
    const where = answerRecordId === null ? { patientId } : { patientId, answerRecordId };
    const ids = (await tx.getRepository(QuestionEntity).find({ where, select: { id: true } })).map((row) => row.id);
    await deleteRows(tx, QuestionEntity, 'id', ids);
    return ids;
  }

  openCount(manager: EntityManager, doctorId: string): Promise<number> {
    return manager.getRepository(QuestionEntity).countBy({ doctorId, status: 'open' });
  }

  private async toResponse(manager: EntityManager, vault: Vault, row: QuestionEntity): Promise<QuestionResponse> {
    return {
      id: row.id,
      patientId: row.patientId,
      doctorId: row.doctorId,
      doctorName: (await this.accounts.people(manager, [row.doctorId])).get(row.doctorId)?.name ?? null,
      text: vault.open('question.text', row.id, row.text),
      status: row.status,
      askedAt: isoTime(row.askedAt),
      answeredAt: isoTimeOrNull(row.answeredAt),
      answer: row.answer && vault.open('question.answer', row.id, row.answer),
      answerRecordId: row.answerRecordId,
    };
  }
}

async function find(manager: EntityManager, id: string): Promise<QuestionEntity | undefined> {
  return (await selectRows(manager, QuestionEntity, 'id', [id]))[0];
}

function questionnaireResponse(question: QuestionEntity, asked: string, answer: string, authored: string): string {
  const patient = { reference: `Patient/${question.patientId}` };
  return JSON.stringify({
    resourceType: 'QuestionnaireResponse',
    identifier: { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${question.id}` },
    status: 'completed',
    subject: patient,
    authored,
    source: patient,
    item: [{ linkId: '1', text: asked, answer: [{ valueString: answer }] }],
  });
}
