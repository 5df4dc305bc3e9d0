/** Reads back what a SQLite connection really runs with; `synchronous` is a property of the connection, so only its owner can say. */
const SYNCHRONOUS = ['OFF', 'NORMAL', 'FULL', 'EXTRA'];

/** @param {{ pragma: (text: string, options: { simple: true }) => unknown, readonly: boolean }} db a better-sqlite3 database */
export function settingsOf(db) {
  const value = (name) => db.pragma(name, { simple: true });
  return {
    readonly: db.readonly,
    journal_mode: value('journal_mode'),
    synchronous: SYNCHRONOUS[Number(value('synchronous'))] ?? 'unknown',
    secure_delete: value('secure_delete'),
    wal_autocheckpoint: value('wal_autocheckpoint'),
  };
}
