import { isBusy } from './busy';
import { sqliteDriver } from './sqlite-options';

/** What is used of better-sqlite3 here. */
interface Connection {
  pragma(statement: string): unknown;
  exec(sql: string): unknown;
  close(): void;
}
type Driver = new (file: string, options: { fileMustExist: boolean; timeout: number }) => Connection;

/**
 * Whether no other process has the database file open: in WAL mode every connection holds a shared lock for as long as it lives, so an exclusive one is
 * granted to nobody else. For commands that must not work beside a server.
 */
export function isUnused(file: string): boolean {
  const connection = new (sqliteDriver() as Driver)(file, { fileMustExist: true, timeout: 0 });
  try {
    connection.pragma('locking_mode = EXCLUSIVE');
    connection.exec('BEGIN EXCLUSIVE');
    connection.exec('ROLLBACK');
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  } finally {
    connection.close();
  }
}
