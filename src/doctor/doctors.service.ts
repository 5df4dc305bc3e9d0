import { Injectable } from '@nestjs/common';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { notFound } from '../common/errors';
import { PageQuery } from '../common/page';
import { renderPdf } from '../common/pdf-document';
import { Database } from '../database/database';
import type { StaffResponse } from '../hospital/hospital.dto';
import { HospitalsService } from '../hospital/hospitals.service';
import { StaffService } from '../hospital/staff.service';
import { EntriesService } from '../record/entries.service';
import type { DossierResponse, EntryCountResponse, WorklistResponse } from './doctor.dto';
import { QuestionsService } from './questions.service';

const LATEST = Object.assign(new PageQuery(), { limit: 20 });

/** Views of a health worker: the worker's own work list, the hospital's dossier and print. */
@Injectable()
export class DoctorsService {
  constructor(
    private readonly database: Database,
    private readonly accounts: AccountsService,
    private readonly hospitals: HospitalsService,
    private readonly staff: StaffService,
    private readonly entries: EntriesService,
    private readonly questions: QuestionsService,
    private readonly clock: Clock,
  ) {}

  read(actor: Actor, id: string): Promise<StaffResponse> {
    return this.staff.read(actor, id);
  }

  async worklist(actor: Actor): Promise<WorklistResponse> {
    return { drafts: await this.entries.drafts(actor), openQuestions: await this.questions.openCount(this.database.reader, actor.id) };
  }

  /** The worker and what the worker added; also after the worker has left (R11). */
  async dossier(actor: Actor, hospitalId: string, id: string): Promise<DossierResponse> {
    if (actor.hospitalId !== hospitalId) throw notFound();
    const staff = await this.staff.read(actor, id);
    const latest = await this.entries.list(actor, hospitalId, { ...LATEST, authorId: id });
    return { staff, counts: await this.entries.counts(id), latest: latest.items };
  }

  async print(actor: Actor, id: string): Promise<Buffer> {
    const staff = await this.staff.read(actor, id, 'staff.print');
    const [printedBy, hospital] = [
      await this.accounts.people(this.database.reader, [actor.id]),
      await this.hospitals.names(this.database.reader, [staff.hospitalId]),
    ];
    const counts = await this.entries.counts(id);
    return renderPdf({
      title: 'Health worker',
      subtitle: hospital.get(staff.hospitalId) ?? '',
      printedBy: printedBy.get(actor.id)?.name ?? actor.role,
      printedAt: new Date(this.clock.now()),
      sections: [
        { heading: 'Person', facts: staffFacts(staff) },
        {
          heading: 'Entries',
          columns: COLUMNS,
          rows: counts.map((row: EntryCountResponse) => [row.kind, row.status, String(row.count)]),
          empty: 'Nothing was added yet.',
        },
      ],
    });
  }
}

const COLUMNS = [
  { header: 'Kind', width: 3 },
  { header: 'Status', width: 2 },
  { header: 'Count', width: 1 },
];

function staffFacts(staff: StaffResponse): { label: string; value: string }[] {
  const facts: [string, string | null][] = [
    ['Name', staff.name],
    ['Specialty', staff.specialty],
    ['Licence', staff.licence],
    ['Phone', staff.phone],
    ['Login', staff.status],
    ['Since', staff.startedAt?.slice(0, 10) ?? null],
    ['Last day', staff.lastDay],
    ['Reason of leaving', staff.departureReason],
  ];
  return facts.flatMap(([label, value]) => (value === null ? [] : [{ label, value }]));
}
