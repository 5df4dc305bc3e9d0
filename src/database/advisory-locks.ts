/** Numbers of PostgreSQL's advisory locks: any that nobody else uses in this database. Claims (`beside.ts`) have numbers of two halves, which are a space of their own. */
export const ADVISORY = {
  /** Several servers start at once: one of them migrates. */
  migrating: 4_207_849_484,
  /** Shared by units that run beside each other; a unit that runs alone has it for itself. */
  writing: 4_207_849_485,
  /** Shared by units that only append to the trail; whoever seals the trail has it for itself. */
  trail: 4_207_849_487,
  /** Held by the process that does what one does for all. */
  leading: 4_207_849_486,
} as const;
