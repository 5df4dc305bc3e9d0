import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DecisionsService } from '../auth/decisions.service';
import { Clock } from '../common/clock';
import { selectRows } from '../database/rows';
import { EnrolmentEntity } from './hospital.entity';

/** The hospital that keeps a patient's record, and whether it was erased. */
export interface Chart {
  readonly hospitalId: string;
  readonly erased: boolean;
}

/** Which hospital keeps which patient's record. */
@Injectable()
export class EnrolmentsService implements OnModuleInit {
  constructor(
    private readonly decisions: DecisionsService,
    private readonly clock: Clock,
  ) {}

  /** A patient who registered is enrolled when the registration is approved. */
  onModuleInit(): void {
    this.decisions.onApproved(async (tx, { id, role }) => {
      if (role === 'PATIENT') await tx.getRepository(EnrolmentEntity).update({ patientId: id }, { enrolledAt: this.clock.now() });
    });
  }

  async enrol(tx: EntityManager, patientId: string, hospitalId: string, approved: boolean): Promise<void> {
    await tx
      .getRepository(EnrolmentEntity)
      .insert({ patientId, hospitalId, enrolledAt: approved ? this.clock.now() : null, erasedAt: null });
  }

  /** Where the patient's record is kept, once the enrolment is approved; also after its erasure. */
  async chartOf(manager: EntityManager, patientId: string): Promise<Chart | null> {
    const [row] = await selectRows(manager, EnrolmentEntity, 'patientId', [patientId]);
    return row && row.enrolledAt !== null ? { hospitalId: row.hospitalId, erased: row.erasedAt !== null } : null;
  }

  /** From now on the chart is erased: it is in no list, and whoever may see it is told so. */
  async markErased(tx: EntityManager, patientId: string): Promise<void> {
    await tx.getRepository(EnrolmentEntity).update({ patientId }, { erasedAt: this.clock.now() });
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
    return (await builder.getMany()).map((row) => row.patientId);
  }
}

/** Whether the rows say that everything about a patient was erased: for verifiers, which have no services and hold it against the chain. */
export async function isMarkedErased(manager: EntityManager, patientId: string): Promise<boolean> {
  const [row] = await selectRows(manager, EnrolmentEntity, 'patientId', [patientId]);
  return row !== undefined && row.erasedAt !== null;
}
