import type { EntityManager, SelectQueryBuilder } from 'typeorm';
import { AuditEventEntity } from './audit-event.entity';

/** A row of the trail as it is stored, by column; nothing of it is checked. */
export type StoredTrailRow = Readonly<Record<string, unknown>>;

/** Ids above `after` (null: from the first on) and not above `until` (null: to the last). */
export interface TrailSpan {
  readonly after: string | null;
  readonly until: string | null;
}

/** The rows of a span in the order of their ids, at most `limit`. */
export async function trailRows(manager: EntityManager, span: TrailSpan, limit: number): Promise<StoredTrailRow[]> {
  const rows = await within(rawRows(manager), span).orderBy('e.id').limit(limit).getRawMany<StoredTrailRow>();
  return rows.map(withNumber);
}

/** How many rows a span has. */
export function countTrailRows(manager: EntityManager, span: TrailSpan): Promise<number> {
  return within(manager.createQueryBuilder(AuditEventEntity, 'e'), span).getCount();
}

/** One row; null when there is none of this id. */
export async function trailRow(manager: EntityManager, id: string): Promise<StoredTrailRow | null> {
  const row = await rawRows(manager).where('e.id = :id', { id }).getRawOne<StoredTrailRow>();
  return row ? withNumber(row) : null;
}

/** Raw, so that a column in which somebody put another type comes out as it is. */
function rawRows(manager: EntityManager): SelectQueryBuilder<AuditEventEntity> {
  const builder = manager.createQueryBuilder(AuditEventEntity, 'e').select([]);
  const { columns } = manager.dataSource.getMetadata(AuditEventEntity);
  for (const { propertyName } of columns) builder.addSelect(`e.${propertyName}`, propertyName);
  return builder;
}

function within(builder: SelectQueryBuilder<AuditEventEntity>, { after, until }: TrailSpan): SelectQueryBuilder<AuditEventEntity> {
  if (after !== null) builder.andWhere('e.id > :after', { after });
  if (until !== null) builder.andWhere('e.id <= :until', { until });
  return builder;
}

/** Some drivers give 64-bit integers as text. */
function withNumber(row: StoredTrailRow): StoredTrailRow {
  const { at } = row;
  return typeof at === 'string' && /^\d{1,16}$/.test(at) ? { ...row, at: Number(at) } : row;
}
