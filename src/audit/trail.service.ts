import { Injectable } from '@nestjs/common';
import type { Actor } from '../common/actor';
import { isoTime } from '../common/clock';
import { invalid, notFound } from '../common/errors';
import { cursorId, toPage, type Page, type PageQuery } from '../common/page';
import { Database } from '../database/database';
import { ADDING_ACTIONS } from './actions';
import { AuditEventEntity } from './audit-event.entity';
import { ActivityCount, ActivityResponse, AuditEventResponse, type AuditQuery } from './audit.dto';
import { type AuditEntry, AuditService, type AuditEvent } from './audit.service';
import { type StoredTrailRow, trailRow } from './trail-rows';

const DAY = 86_400_000;

/** Reads the trail. Reading it is itself on the trail. */
@Injectable()
export class TrailService {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
  ) {}

  /** Newest first; a hospital sees what concerns its own data and people. */
  async events(actor: Actor, query: AuditQuery): Promise<Page<AuditEventResponse>> {
    const rows = await this.page(query, {
      hospitalId: actor.role === 'HOSPITAL' ? actor.hospitalId : undefined,
      patientId: query.patientId,
    });
    await this.noteReading(actor, query.patientId ?? null, rows.slice(0, query.limit));
    const seen = (row: AuditEventEntity) => toResponse(actor.role === 'HOSPITAL' ? asSeenBy(actor.hospitalId, row) : row);
    return toPage(rows, query.limit, (row) => row.id, seen);
  }

  /** Events about one patient, newest first, for the patient's own view; the caller puts the reading on the trail. */
  async ofPatient(patientId: string, query: PageQuery): Promise<AuditEvent[]> {
    return (await this.page(query, { patientId })) as AuditEvent[];
  }

  /**
   * One row whole, as it is stored, for its proof. A hospital sees only rows that `events` shows it whole; a refusal is on the trail too.
   * @throws ApiError `not_found`
   */
  async row(actor: Actor, id: string): Promise<StoredTrailRow> {
    const row = await trailRow(this.database.reader, id);
    const seen = row !== null && (actor.role !== 'HOSPITAL' || isWholeFor(actor.hospitalId, row));
    const patientId = seen && typeof row['patientId'] === 'string' ? row['patientId'] : null;
    const found = seen ? { outcome: 'ok' as const, count: 1 } : { outcome: 'denied' as const, reason: 'not_found' };
    await this.note(actor, { ...found, patientId, subjectId: id });
    if (!seen) throw notFound();
    return row;
  }

  /** One row of the patient's own; null when there is none of this id. The caller puts the reading on the trail. */
  async rowOfPatient(patientId: string, id: string): Promise<StoredTrailRow | null> {
    const row = await trailRow(this.database.reader, id);
    return row !== null && row['patientId'] === patientId ? row : null;
  }

  /** What was added and changed on one day (UTC), counted by hospital, act and kind (R20). */
  async activity(actor: Actor, date: string): Promise<ActivityResponse> {
    const from = Date.parse(`${date}T00:00:00.000Z`);
    if (Number.isNaN(from) || new Date(from).toISOString().slice(0, 10) !== date)
      throw invalid('date', 'must be a day of the calendar, YYYY-MM-DD');
    const builder = this.database.reader
      .createQueryBuilder(AuditEventEntity, 'e')
      .select([
        'e.hospitalId AS "hospitalId"',
        'e.action AS "action"',
        'e.kind AS "kind"',
        'e.outcome AS "outcome"',
        'SUM(CASE WHEN e.action IN (:...adding) THEN COALESCE(e.count, 1) ELSE 1 END) AS "count"',
      ])
      .setParameters({ adding: ADDING_ACTIONS })
      .where('e.at >= :from AND e.at < :to', { from, to: from + DAY })
      .groupBy('e.hospitalId, e.action, e.kind, e.outcome')
      .orderBy('e.hospitalId')
      .addOrderBy('e.action')
      .addOrderBy('e.kind');
    if (actor.role === 'HOSPITAL') builder.andWhere('e.hospitalId = :hospitalId', { hospitalId: actor.hospitalId });
    const counts = (await builder.getRawMany<ActivityCount>()).map((row) => ({ ...row, count: Number(row.count) }));
    await this.noteReading(actor, null, counts);
    return {
      date,
      added: counts
        .filter((row) => row.outcome === 'ok' && ADDING_ACTIONS.some((action) => action === row.action))
        .reduce((sum, row) => sum + row.count, 0),
      counts,
    };
  }

  private noteReading(actor: Actor, patientId: string | null, rows: readonly unknown[]): Promise<void> {
    return this.note(actor, { outcome: 'ok', patientId, count: rows.length });
  }

  private note(actor: Actor, entry: Pick<AuditEntry, 'outcome' | 'patientId' | 'subjectId' | 'count' | 'reason'>): Promise<void> {
    return this.audit.record({ action: 'trail.read', actor, requestId: actor.requestId, hospitalId: actor.hospitalId, ...entry });
  }

  private page(
    query: PageQuery,
    filter: { hospitalId?: string | null | undefined; patientId?: string | undefined },
  ): Promise<AuditEventEntity[]> {
    const builder = this.database.reader
      .createQueryBuilder(AuditEventEntity, 'e')
      .orderBy('e.id', 'DESC')
      .limit(query.limit + 1);
    const before = cursorId(query);
    if (before !== undefined) builder.andWhere('e.id < :before', { before });
    if (filter.hospitalId !== undefined)
      builder.andWhere('(e.hospitalId = :hospitalId OR e.actorHospitalId = :hospitalId)', { hospitalId: filter.hospitalId });
    if (filter.patientId !== undefined) builder.andWhere('e.patientId = :patientId', { patientId: filter.patientId });
    if (filter.hospitalId !== undefined && filter.patientId !== undefined)
      builder.andWhere(`(e.hospitalId = :hospitalId OR e.outcome <> 'denied')`); // see asSeenBy: the filter must not tell either
    return builder.getMany();
  }
}

/**
 * What a hospital's own people were refused elsewhere, as the hospital sees it: who, when and what, but nothing by which a thing of another hospital
 * differs from one that does not exist. The hospital that keeps the thing sees the whole row.
 */
function asSeenBy(hospitalId: string | null, row: AuditEventEntity): AuditEventEntity {
  if (row.outcome !== 'denied' || row.hospitalId === hospitalId) return row;
  const { id, at, action, outcome, actorId, actorRole, actorHospitalId, purpose, requestId } = row;
  const unknown = { hospitalId: null, patientId: null, subjectId: null, kind: null, reason: null, rules: null };
  const counts = { contractVersion: null, count: null, setDigest: null, headHeight: null };
  return { id, at, action, outcome, actorId, actorRole, actorHospitalId, purpose, requestId, ...unknown, ...counts };
}

function isWholeFor(hospitalId: string | null, row: StoredTrailRow): boolean {
  return row['hospitalId'] === hospitalId || (row['actorHospitalId'] === hospitalId && row['outcome'] !== 'denied');
}

function toResponse(row: AuditEventEntity): AuditEventResponse {
  const { at, rules, ...rest } = row;
  return { ...rest, at: isoTime(at), rules: rules === null ? [] : rules.split(' ') };
}
