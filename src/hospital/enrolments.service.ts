import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DecisionsService } from '../auth/decisions.service';
import { Clock } from '../common/clock';
import { checkedRows, insertRow, selectRows, storedRows, updateRow } from '../database/rows';
import { EnrolmentEntity } from './hospital.entity';

/** The hospital that keeps a patient's record, and whether it was erased. */
export interface Chart {
  readonly hospitalId: string;
  readonly erased: boolean;
}

/** Which hospital keeps which patient's record. */
@Injectable()
export class EnrolmentsService {
  constructor(
    private readonly decisions: DecisionsService,
    private readonly clock: Clock,
  ) {
    // A patient who registered is enrolled when the registration is approved.
    this.decisions.onApproved(async (tx, { id, role }) => {
      if (role === 'PATIENT') await this.change(tx, id, { enrolledAt: this.clock.now() });
    });
  }

  async enrol(tx: EntityManager, patientId: string, hospitalId: string, approved: boolean): Promise<void> {
    await insertRow(tx, EnrolmentEntity, { patientId, hospitalId, enrolledAt: approved ? this.clock.now() : null, erasedAt: null });
  }

  /** Where the patient's record is kept, once the enrolment is approved; also after its erasure. */
  async chartOf(manager: EntityManager, patientId: string): Promise<Chart | null> {
    const [row] = await selectRows(manager, EnrolmentEntity, 'patientId', [patientId]);
    return row && row.enrolledAt !== null ? { hospitalId: row.hospitalId, erased: row.erasedAt !== null } : null;
  }

  /** The same, where an approval was given that this database does not know: a registration that waits is enrolled by it. */
  async chartAfterApproval(tx: EntityManager, patientId: string): Promise<Chart | null> {
    const [row] = await selectRows(tx, EnrolmentEntity, 'patientId', [patientId]);
    if (row?.enrolledAt === null) await this.change(tx, patientId, { enrolledAt: this.clock.now() });
    return this.chartOf(tx, patientId);
  }

  /** From now on the chart is erased: it is in no list, and whoever may see it is told so. */
  async markErased(tx: EntityManager, patientId: string): Promise<void> {
    await this.change(tx, patientId, { erasedAt: this.clock.now() });
  }

  /** Ids of a hospital's patients, in the order of enrolment, after `after`; erased ones are left out. */
  async page(manager: EntityManager, hospitalId: string | null, limit: number, after: string | undefined): Promise<string[]> {
    const builder = manager
      .createQueryBuilder(EnrolmentEntity, 'e')
      .where('e.enrolledAt IS NOT NULL AND e.erasedAt IS NULL')
      .orderBy('e.patientId')
      .limit(limit);
    if (hospitalId !== null) builder.andWhere('e.hospitalId = :hospitalId', { hospitalId });
    if (after !== undefined) builder.andWhere('e.patientId > :after', { after });
    return checkedRows(manager, EnrolmentEntity, await builder.getMany()).map((row) => row.patientId);
  }

  /** Which of these are the hospital's patients, approved and not erased; in no order. */
  async among(manager: EntityManager, hospitalId: string, patientIds: readonly string[]): Promise<string[]> {
    const rows = await selectRows(manager, EnrolmentEntity, 'patientId', patientIds);
    return rows
      .filter((row) => row.hospitalId === hospitalId && row.enrolledAt !== null && row.erasedAt === null)
      .map((row) => row.patientId);
  }

  count(manager: EntityManager, hospitalId: string): Promise<number> {
    return manager.getRepository(EnrolmentEntity).countBy({ hospitalId });
  }

  private async change(tx: EntityManager, patientId: string, changes: Partial<EnrolmentEntity>): Promise<void> {
    const [row] = await selectRows(tx, EnrolmentEntity, 'patientId', [patientId]);
    if (row) await updateRow(tx, EnrolmentEntity, row, changes);
  }
}

/** Whether the rows say that everything about a patient was erased: for verifiers, which have no services and hold it against the chain. */
export async function isMarkedErased(manager: EntityManager, patientId: string): Promise<boolean> {
  const [row] = await storedRows(manager, EnrolmentEntity, 'patientId', [patientId]);
  return row !== undefined && row.erasedAt !== null;
}
