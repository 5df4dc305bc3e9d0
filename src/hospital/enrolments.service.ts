import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccountsService } from '../auth/accounts.service';
import { Clock } from '../common/clock';
import { selectRows } from '../database/rows';
import { EnrolmentEntity } from './hospital.entity';

/** Which hospital keeps which patient's record. */
@Injectable()
export class EnrolmentsService implements OnModuleInit {
  constructor(
    private readonly accounts: AccountsService,
    private readonly clock: Clock,
  ) {}

  /** A patient who registered is enrolled when the registration is approved. */
  onModuleInit(): void {
    this.accounts.onApproved(async (tx, { id, role }) => {
      if (role === 'PATIENT') await tx.getRepository(EnrolmentEntity).update({ patientId: id }, { enrolledAt: this.clock.now() });
    });
  }

  async enrol(tx: EntityManager, patientId: string, hospitalId: string, approved: boolean): Promise<void> {
    await tx.getRepository(EnrolmentEntity).insert({ patientId, hospitalId, enrolledAt: approved ? this.clock.now() : null });
  }

  /** The hospital that keeps the patient's record, once the enrolment is approved. */
  async hospitalOf(manager: EntityManager, patientId: string): Promise<string | null> {
    const [row] = await selectRows(manager, EnrolmentEntity, 'patientId', [patientId]);
    return row && row.enrolledAt !== null ? row.hospitalId : null;
  }

  /** Ids of a hospital's patients, in the order of enrolment, after `after`. */
  async page(manager: EntityManager, hospitalId: string | null, limit: number, after: string | undefined): Promise<string[]> {
    const builder = manager.createQueryBuilder(EnrolmentEntity, 'e').where('e.enrolledAt IS NOT NULL').orderBy('e.patientId').limit(limit);
    if (hospitalId !== null) builder.andWhere('e.hospitalId = :hospitalId', { hospitalId });
    if (after !== undefined) builder.andWhere('e.patientId > :after', { after });
    return (await builder.getMany()).map((row) => row.patientId);
  }
}
