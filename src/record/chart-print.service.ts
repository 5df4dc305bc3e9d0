import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { OneAtATime } from '../common/one-at-a-time';
import { type PrintDocument, renderPdf } from '../common/pdf-document';
import { Pace } from '../common/pdf-pace';
import { HospitalsService } from '../hospital/hospitals.service';
import { LedgerService } from '../ledger/ledger.service';
import { ProofsService } from '../ledger/proofs.service';
import { PatientsService } from '../patient/patients.service';
import { describe } from './describe';
import type { RecordResponse } from './record.dto';
import { RecordEntity } from './record.entity';
import { RecordsService } from './records.service';

const PAGE = 50;
/** Some 300 sheets of paper. Whoever needs all of a longer chart reads it page by page. */
export const MAX_PRINTED = 2_000;

const RECEIPT_LABEL = 'Receipt of the newest block';
const RECEIPT_TEXT =
  'The code holds a proof (C2SP tlog-proof) that this block stands in the hospital’s public log. Whoever keeps it can show later that the chain up to here ' +
  'was not rewritten. Save what the code says as a file and verify it with the program of docs/ledger-format.md; that needs neither the hospital nor its server.';

/** One record on paper. */
type Entry = ReturnType<typeof toEntry>;

/** A patient's sealed record on paper (R10), with the head of the chain and its receipt as QR codes, so that the print can be held against the ledger. */
@Injectable()
export class ChartPrintService {
  private readonly turns = new OneAtATime();

  constructor(
    private readonly access: AccessService,
    private readonly accounts: AccountsService,
    private readonly patients: PatientsService,
    private readonly hospitals: HospitalsService,
    private readonly records: RecordsService,
    private readonly ledger: LedgerService,
    private readonly proofs: ProofsService,
    private readonly clock: Clock,
  ) {}

  print(actor: Actor, patientId: string): Promise<Buffer> {
    return this.turns.run(() => this.printNow(actor, patientId));
  }

  private printNow(actor: Actor, patientId: string): Promise<Buffer> {
    return this.access.read(actor, 'chart.print', { patientId }, async (manager, grant) => {
      const patient = await this.patients.summary(manager, grant);
      const { ids, entries, older } = await this.newest(manager, grant);
      const head = await this.ledger.headOf(manager, grant);
      const receipt = await this.proofs.headReceipt(manager, grant);
      const printedBy = (await this.accounts.people(manager, [actor.id])).get(actor.id)?.name ?? actor.role;
      const hospital = (await this.hospitals.names(manager, [grant.hospitalId])).get(grant.hospitalId) ?? '';
      grant.note({ ids, ...(head ? { headHeight: head.height } : {}) });
      const document: PrintDocument = {
        title: 'Patient record',
        subtitle: hospital,
        printedBy,
        printedAt: new Date(this.clock.now()),
        sections: [
          { heading: 'Patient', facts: [...patientFacts(patient), ...notShown(older)] },
          { heading: 'Sealed records', entries, empty: 'Nothing is sealed yet.' },
        ],
        ...(head
          ? {
              seal: {
                label: `Head of the chain: block ${head.height}`,
                text: `bjwt-ehr:chain:${head.chainId}:${head.height}:${head.blockHash}`,
              },
            }
          : {}),
        ...(receipt === null ? {} : { receipt: { label: RECEIPT_LABEL, text: RECEIPT_TEXT, code: receipt } }),
      };
      return renderPdf(document);
    });
  }

  /** The newest sealed records in the order of time, and how many older ones there are. */
  private async newest(manager: EntityManager, grant: Grant): Promise<{ ids: string[]; entries: Entry[]; older: number }> {
    const { patientId } = grant;
    const sealed = () =>
      manager.createQueryBuilder(RecordEntity, 'r').where(`r.patientId = :patientId AND r.status = 'sealed'`, { patientId });
    const older = Math.max(0, (await sealed().getCount()) - MAX_PRINTED);
    const [ids, entries, pace]: [string[], Entry[], Pace] = [[], [], new Pace()];
    for (let after = ''; ;) {
      const page = sealed().andWhere('r.id > :after', { after }).orderBy('r.id').limit(PAGE);
      const rows = await page.offset(after === '' ? older : 0).getMany();
      for (const record of await this.records.toResponses(manager, grant, rows)) {
        ids.push(record.id);
        entries.push(toEntry(record));
      }
      await pace.pause();
      const last = rows.at(-1);
      if (!last || rows.length < PAGE) return { ids, entries, older };
      after = last.id;
    }
  }
}

/** A print that leaves something out says so. */
function notShown(older: number): { label: string; value: string }[] {
  const value = `This print shows the newest ${MAX_PRINTED} sealed records; ${older} older ones are not shown.`;
  return older === 0 ? [] : [{ label: 'Not shown', value }];
}

function patientFacts(patient: Awaited<ReturnType<PatientsService['summary']>>): { label: string; value: string }[] {
  const facts: [string, string | null][] = [
    ['Name', patient.name],
    ['Born', patient.birthDate],
    ['Gender', patient.gender],
    ['Identifier', patient.nationalId],
    ['Phone', patient.phone],
    ['E-mail', patient.email],
    ['Address', patient.address],
  ];
  return facts.flatMap(([label, value]) => (value === null ? [] : [{ label, value }]));
}

function toEntry(record: RecordResponse): { title: string; meta: string; body: string; mark?: string } {
  const { title, when, body } = describe(record.resource);
  const meta = [
    when,
    `sealed ${record.sealedAt ?? ''} by ${record.authorName ?? 'unknown'}`,
    `block ${record.height ?? '?'} ${record.blockHash?.slice(0, 16) ?? ''}`,
  ].filter((part) => part !== '');
  const corrected = record.amendedBy.map((later) => later.kind).join(', ');
  const mark = record.amendment ?? (corrected === '' ? undefined : `see ${corrected}`);
  const text = record.reason === null ? body : [`Reason: ${record.reason}`, body].filter((part) => part !== '').join('\n');
  return { title: title === '' ? record.kind : title, meta: meta.join(' · '), body: text, ...(mark === undefined ? {} : { mark }) };
}
