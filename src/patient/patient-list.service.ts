import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService } from '../access/access.service';
import { ConsentsService } from '../access/consents.service';
import { AuditService } from '../audit/audit.service';
import type { Actor } from '../common/actor';
import { cursorId, toPage, type Page } from '../common/page';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing, vaultKey } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { EnrolmentsService } from '../hospital/enrolments.service';
import type { PatientQuery, PatientResponse } from './patient.dto';
import { PatientEntity } from './patient.entity';
import { masked, opened, patientByIdentifier } from './patient-view';

/** Finding patients. */
@Injectable()
export class PatientListService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessService,
    private readonly enrolments: EnrolmentsService,
    private readonly consents: ConsentsService,
    private readonly keyRing: KeyRing,
    private readonly blindIndex: BlindIndex,
    private readonly audit: AuditService,
  ) {}

  /**
   * The hospital's patients; with `q` the one with that identifier; with `shared` the charts elsewhere that are open to the caller. The list has one row on
   * the trail; looking somebody up and opening shared charts are about persons, so each of them has a row that the patient sees.
   */
  async list(actor: Actor, query: PatientQuery): Promise<Page<PatientResponse>> {
    const { reader } = this.database;
    const page = toPage(
      await this.candidates(actor, query),
      query.limit,
      (id) => id,
      (id) => id,
    );
    const ids = page.items;
    const rows =
      ids.length === 0
        ? []
        : await reader.createQueryBuilder(PatientEntity, 'p').where('p.id IN (:...ids)', { ids }).orderBy('p.id').getMany();
    const vaults = await this.keyRing.existingVaults(
      reader,
      rows.map((row) => ({ subjectId: row.id, tenantId: row.hospitalId })),
    );
    const items = rows.flatMap((row) => {
      const vault = vaults.get(vaultKey({ subjectId: row.id, tenantId: row.hospitalId }));
      return vault ? [opened(vault, row)] : [];
    });
    await this.database.transaction((tx) => this.note(tx, actor, query, items));
    return { items: actor.role === 'ADMIN' ? items.map(masked) : items, nextCursor: page.nextCursor };
  }

  private async note(tx: EntityManager, actor: Actor, query: PatientQuery, items: readonly PatientResponse[]): Promise<void> {
    const event = { action: 'patient.list', outcome: 'ok', actor, requestId: actor.requestId } as const;
    await this.audit.append(tx, { ...event, hospitalId: actor.hospitalId, ids: items.map((item) => item.id) });
    if (query.q === undefined && query.shared !== true) return;
    for (const { id, hospitalId } of items) await this.audit.append(tx, { ...event, hospitalId, patientId: id, count: 1 });
  }

  /** Up to `limit + 1` ids in their order. */
  private async candidates(actor: Actor, query: PatientQuery): Promise<string[]> {
    const { reader } = this.database;
    const after = cursorId(query);
    if (query.shared === true) {
      const shared = (await this.consents.sharedWith(reader, actor)).filter((id) => after === undefined || id > after);
      return this.access.permitted(reader, actor, 'patient.read', shared.slice(0, query.limit + 1));
    }
    if (query.q === undefined) return this.enrolments.page(reader, actor.hospitalId, query.limit + 1, after);
    if (actor.hospitalId === null) return [];
    const id = await patientByIdentifier(reader, this.blindIndex, actor.hospitalId, query.q);
    return id !== null && (await this.enrolments.chartOf(reader, id))?.hospitalId === actor.hospitalId ? [id] : [];
  }
}
