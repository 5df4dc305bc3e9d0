import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService } from '../access/access.service';
import { ConsentsService } from '../access/consents.service';
import { AuditService } from '../audit/audit.service';
import type { Actor } from '../common/actor';
import { cursorId, toCursor, toPage, type Page } from '../common/page';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing, vaultKey } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { selectRows } from '../database/rows';
import { EnrolmentsService } from '../hospital/enrolments.service';
import type { PatientQuery, PatientResponse } from './patient.dto';
import { readNameQuery } from './name-words';
import { PatientEntity } from './patient.entity';
import { type Found, PatientSearchService } from './patient-search.service';
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
    private readonly search: PatientSearchService,
    private readonly audit: AuditService,
  ) {}

  /**
   * The hospital's patients; with `q` the one with that identifier, or those of that name; with `shared` the charts elsewhere that are open to the caller. The list has one row on
   * the trail; looking somebody up and opening shared charts are about persons, so each of them has a row that the patient sees.
   */
  async list(actor: Actor, query: PatientQuery): Promise<Page<PatientResponse>> {
    const { reader } = this.database;
    const { ids: found, reached } = await this.candidates(actor, query);
    const page = toPage(
      found,
      query.limit,
      (id) => id,
      (id) => id,
    );
    const rows = await selectRows(reader, PatientEntity, 'id', page.items);
    rows.sort((a, b) => (a.id < b.id ? -1 : 1));
    const vaults = await this.keyRing.existingVaults(
      reader,
      rows.map((row) => ({ subjectId: row.id, tenantId: row.hospitalId })),
    );
    const items = rows.flatMap((row) => {
      const vault = vaults.get(vaultKey({ subjectId: row.id, tenantId: row.hospitalId }));
      return vault ? [opened(vault, row)] : [];
    });
    await this.database.transaction((tx) => this.note(tx, actor, query, items));
    return {
      items: actor.role === 'ADMIN' ? items.map(masked) : items,
      nextCursor: page.nextCursor ?? (reached === null ? null : toCursor(reached)),
    };
  }

  private async note(tx: EntityManager, actor: Actor, query: PatientQuery, items: readonly PatientResponse[]): Promise<void> {
    const event = { action: 'patient.list', outcome: 'ok', actor, requestId: actor.requestId } as const;
    await this.audit.append(tx, { ...event, hospitalId: actor.hospitalId, ids: items.map((item) => item.id) });
    if (query.q === undefined && query.shared !== true) return;
    for (const { id, hospitalId } of items) await this.audit.append(tx, { ...event, hospitalId, patientId: id, count: 1 });
  }

  /** Up to `limit + 1` ids in their order. */
  private async candidates(actor: Actor, query: PatientQuery): Promise<Found> {
    const { reader } = this.database;
    const after = cursorId(query);
    const limit = query.limit + 1;
    if (query.shared === true) {
      const shared = (await this.consents.sharedWith(reader, actor)).filter((id) => after === undefined || id > after);
      return whole(await this.access.permitted(reader, actor, 'patient.read', shared.slice(0, limit)));
    }
    if (query.q === undefined) return whole(await this.enrolments.page(reader, actor.hospitalId, limit, after));
    if (actor.hospitalId === null) return whole([]);
    const id = await patientByIdentifier(reader, this.blindIndex, actor.hospitalId, query.q);
    if (id !== null) return whole(after === undefined ? await this.enrolments.among(reader, actor.hospitalId, [id]) : []);
    const named = readNameQuery(query.q);
    return named ? this.search.find(actor.hospitalId, named, limit, after) : whole([]);
  }
}

function whole(ids: string[]): Found {
  return { ids, reached: null };
}
