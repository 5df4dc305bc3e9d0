import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Grant } from '../access/access.service';
import { ConsentsService } from '../access/consents.service';
import { DecisionsService } from '../auth/decisions.service';
import { IdempotencyService } from '../auth/idempotency.service';
import { KeyRing } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { QuestionsService } from '../doctor/questions.service';
import { EnrolmentsService } from '../hospital/enrolments.service';
import { type ErasureStatement, erasureText } from '../ledger/core/erasure';
import type { ErasureCertificate } from '../ledger/core/erasure-certificate';
import { LedgerErasureService } from '../ledger/ledger-erasure.service';
import { LedgerService } from '../ledger/ledger.service';
import { PatientsService } from '../patient/patients.service';
import { RecordErasureService } from '../record/record-erasure.service';
import { ErasedKeysService } from './erased-keys.service';
import type { ErasureEntity } from './erasure.entity';

/**
 * Erases, in the caller's transaction: all of it, or nothing. First the ERASE block is sealed, for triggers let nothing be deleted of which no such block
 * speaks; then every module deletes what it keeps. What remains are ids, instants and hashes.
 */
@Injectable()
export class ErasingService {
  constructor(
    private readonly database: Database,
    private readonly ledger: LedgerService,
    private readonly ledgerErasure: LedgerErasureService,
    private readonly records: RecordErasureService,
    private readonly questions: QuestionsService,
    private readonly patients: PatientsService,
    private readonly consents: ConsentsService,
    private readonly enrolments: EnrolmentsService,
    private readonly decisions: DecisionsService,
    private readonly idempotency: IdempotencyService,
    private readonly keyRing: KeyRing,
    private readonly erasedKeys: ErasedKeysService,
  ) {}

  /** @param approvedBy the two accounts, in the order in which they approved; the grant's actor, the second one, signs the block */
  async execute(
    tx: EntityManager,
    grant: Grant,
    { id, recordId, reason }: ErasureEntity,
    approvedBy: readonly [string, string],
  ): Promise<ErasureCertificate> {
    if (recordId !== null) await this.records.assertErasable(tx, recordId);
    const blockHash = recordId === null ? null : (await this.ledger.placeOf(tx, grant, recordId)).blockHash;
    const scope = recordId === null ? 'patient' : 'record';
    const statement: ErasureStatement = { scope, erases: recordId, blockHash, reason, approvedBy };
    const block = await this.ledger.seal(tx, grant, {
      kind: 'erase',
      recordId: id,
      version: 1,
      payload: Buffer.from(erasureText(statement), 'utf8'),
      refHash: blockHash === null ? 'whole-chain' : Buffer.from(blockHash, 'hex'),
    });
    const certificate = await this.ledgerErasure.certificate(tx, grant, block); // while the patient's key is there
    const contents = await this.ledgerErasure.deleteContents(tx, block, { recordId });
    grant.note({ kind: scope, subjectId: id, count: contents });
    if (recordId === null) await this.erasePatient(tx, grant);
    else await this.eraseRecord(tx, grant, recordId);
    return certificate;
  }

  private async eraseRecord(tx: EntityManager, grant: Grant, recordId: string): Promise<void> {
    await this.records.eraseRecord(tx, grant, recordId);
    const questions = await this.questions.erase(tx, grant, recordId);
    await this.idempotency.forget(tx, grant.hospitalId, [recordId, ...questions]);
  }

  /** What is sealed under the patient's key and stays (consent contracts, the author key, the last block's content) opens never again. */
  private async erasePatient(tx: EntityManager, grant: Grant): Promise<void> {
    const { patientId, hospitalId, subject, actor } = grant;
    await this.records.eraseAll(tx, grant);
    await this.questions.erase(tx, grant, null);
    await this.patients.erase(tx, grant);
    await this.consents.forget(tx, patientId);
    await this.idempotency.forget(tx, hospitalId, [patientId]);
    await this.decisions.erase(tx, actor, patientId);
    await this.enrolments.markErased(tx, patientId);
    await this.keyRing.destroy(tx, subject);
    this.database.afterCommit(() => this.erasedKeys.forget(subject));
  }
}
