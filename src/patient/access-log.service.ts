import { Injectable } from '@nestjs/common';
import { AccessService } from '../access/access.service';
import { TrailService } from '../audit/trail.service';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { isoTime } from '../common/clock';
import { toPage, type Page, type PageQuery } from '../common/page';
import { HospitalsService } from '../hospital/hospitals.service';
import type { AccessLogItem } from './patient.dto';

/** What happened to the own chart, in words: who, from where, when, what, why, by which rule. */
@Injectable()
export class AccessLogService {
  constructor(
    private readonly access: AccessService,
    private readonly trail: TrailService,
    private readonly accounts: AccountsService,
    private readonly hospitals: HospitalsService,
  ) {}

  list(actor: Actor, query: PageQuery): Promise<Page<AccessLogItem>> {
    return this.access.read(actor, 'trail.own', { patientId: actor.id }, async (manager, grant) => {
      const rows = await this.trail.ofPatient(actor.id, query);
      const people = await this.accounts.people(
        manager,
        rows.flatMap((row) => row.actorId ?? []),
      );
      const hospitals = await this.hospitals.names(
        manager,
        rows.flatMap((row) => row.actorHospitalId ?? []),
      );
      grant.note({ count: Math.min(rows.length, query.limit) });
      return toPage(
        rows,
        query.limit,
        (row) => row.id,
        (row) => ({
          id: row.id,
          at: isoTime(row.at),
          who: row.actorId === null ? null : (people.get(row.actorId)?.name ?? null),
          role: row.actorRole,
          hospital: row.actorHospitalId === null ? null : (hospitals.get(row.actorHospitalId) ?? null),
          action: row.action,
          outcome: row.outcome,
          purpose: row.purpose,
          recordId: row.subjectId,
          count: row.count,
          rules: row.rules === null ? [] : row.rules.split(' '),
        }),
      );
    });
  }
}
