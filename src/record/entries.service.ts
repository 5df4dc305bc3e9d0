import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { notFound } from '../common/errors';
import { cursorId, toPage, type Page } from '../common/page';
import { Database } from '../database/database';
import type { EntriesQuery, RecordSummaryResponse } from './record.dto';
import { RecordEntity } from './record.entity';
import { toSummary } from './record-view';

/** Everything that a hospital's professionals added (R12): who, what kind, when, for whom; the content is read record by record. */
@Injectable()
export class EntriesService {
  constructor(
    private readonly database: Database,
    private readonly accounts: AccountsService,
    private readonly audit: AuditService,
  ) {}

  async list(actor: Actor, hospitalId: string, query: EntriesQuery): Promise<Page<RecordSummaryResponse>> {
    if (actor.hospitalId !== hospitalId) throw notFound();
    const { reader } = this.database;
    const builder = reader
      .createQueryBuilder(RecordEntity, 'r')
      .where('r.hospitalId = :hospitalId', { hospitalId })
      .orderBy('r.id', 'DESC')
      .limit(query.limit + 1);
    const before = cursorId(query);
    if (before !== undefined) builder.andWhere('r.id < :before', { before });
    if (query.authorId !== undefined) builder.andWhere('r.authorId = :authorId', { authorId: query.authorId });
    const rows = await builder.getMany();
    const people = await this.accounts.people(
      reader,
      rows.map((row) => row.authorId),
    );
    const page = toPage(
      rows,
      query.limit,
      (row) => row.id,
      (row) => toSummary(row, people.get(row.authorId)?.name ?? null),
    );
    await this.audit.record({
      action: 'entries.list',
      outcome: 'ok',
      actor,
      requestId: actor.requestId,
      hospitalId,
      ids: page.items.map((item) => item.id),
    });
    return page;
  }

  /** The caller's own drafts, oldest first: what waits to be sealed. Metadata of the own work, so it is not on the trail. */
  async drafts(actor: Actor): Promise<RecordSummaryResponse[]> {
    const rows = await this.database.reader
      .getRepository(RecordEntity)
      .find({ where: { authorId: actor.id, status: 'draft' }, order: { id: 'ASC' }, take: 100 });
    const people = await this.accounts.people(
      this.database.reader,
      rows.map((row) => row.authorId),
    );
    return rows.map((row) => toSummary(row, people.get(row.authorId)?.name ?? null));
  }

  /** How much somebody added, by kind and status. */
  async counts(authorId: string): Promise<{ kind: string; status: string; count: number }[]> {
    const rows = await this.database.reader
      .createQueryBuilder(RecordEntity, 'r')
      .select('r.kind', 'kind')
      .addSelect('r.status', 'status')
      .addSelect('COUNT(*)', 'count')
      .where('r.authorId = :authorId', { authorId })
      .groupBy('r.kind')
      .addGroupBy('r.status')
      .orderBy('r.kind')
      .getRawMany<{ kind: string; status: string; count: number | string }>();
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }
}
