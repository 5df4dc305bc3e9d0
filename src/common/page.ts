import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min } from 'class-validator';
import { invalid } from './errors';
import { isId } from './ids';

/** `limit` and `cursor` of every list. */
export class PageQuery {
  /** How many items at most. */
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value))
  @IsInt()
  @Min(1)
  @Max(100)
  limit: number = 50;

  /** The `nextCursor` of the page before; opaque. */
  @IsOptional()
  @IsString()
  @MaxLength(64)
  @Matches(/^[A-Za-z0-9_-]+$/)
  cursor?: string;
}

export interface Page<T> {
  items: T[];
  /** Null on the last page. */
  nextCursor: string | null;
}

/** The id after which a page starts, or undefined for the first page. */
export function cursorId(query: PageQuery): string | undefined {
  if (query.cursor === undefined) return undefined;
  const id = Buffer.from(query.cursor, 'base64url').toString('latin1');
  if (!isId(id) || toCursor(id) !== query.cursor) throw invalid('cursor', 'must be a nextCursor that this list gave');
  return id;
}

/** Cuts rows that were read with `limit + 1` into a page whose cursor is the id of its last row. */
export function toPage<R, T>(rows: readonly R[], limit: number, idOf: (row: R) => string, toItem: (row: R) => T): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items: shown.map(toItem), nextCursor: more ? toCursor(idOf(last)) : null };
}

/** The cursor of a page that ends with this id. */
export function toCursor(id: string): string {
  return Buffer.from(id, 'latin1').toString('base64url');
}
