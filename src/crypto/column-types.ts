import type { ColumnType } from 'typeorm';

/**
 * Column type for bytes. SQLite only for now; this is the one place where PostgreSQL ('bytea') is added. Decorators run when a module is
 * loaded, so the choice must be known by then.
 */
export const BINARY_COLUMN: ColumnType = 'blob';
