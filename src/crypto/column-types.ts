import type { ColumnType, ValueTransformer } from 'typeorm';

/**
 * Column type for bytes. SQLite only for now; this is the one place where PostgreSQL ('bytea') is added. Decorators run when a module is
 * loaded, so the choice must be known by then.
 */
export const BINARY_COLUMN: ColumnType = 'blob';

/** For bigint columns of milliseconds: PostgreSQL returns a string, SQLite a number. Exact until the year 287396. */
export const bigintAsNumber: ValueTransformer = {
  to: (value: number | undefined) => value,
  from: (value: string | number | null) => (value === null ? null : Number(value)),
};
