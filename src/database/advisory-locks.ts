/** Numbers of PostgreSQL's advisory locks: any that nobody else uses in this database. */
export const ADVISORY = {
  /** Several servers start at once: one of them migrates. */
  migrating: 4_207_849_484,
  /** The lane of units that met another one. */
  retrying: 4_207_849_485,
  /** Held by the process that does what one does for all. */
  leading: 4_207_849_486,
} as const;
