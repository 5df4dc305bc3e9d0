import type { TestApp } from './test-app';

/** What the log does by itself with what waits in it: entries move from `log_pending` to `log_leaf`, checkpoints follow. Requests and wrong passwords are counted. */
const BACKGROUND = ['log_tile', 'log_checkpoint', 'log_cosignature', 'trail_batch', 'rate_count', 'login_counter'];

/** How many rows each table has; the trail is left out, for refusals are on it too. Entries of the logs count once, wherever they are. */
export async function rowCounts({ foundations }: TestApp): Promise<Record<string, number>> {
  const { reader } = foundations.sources;
  const tables = reader.entityMetadatas
    .map(({ tableName }) => tableName)
    .filter((table) => table !== 'audit_event' && !BACKGROUND.includes(table));
  // One statement, for one moment: entries move meanwhile.
  const each = tables.map((table) => `SELECT '${table}' AS name, COUNT(*) AS n FROM "${table}"`);
  const counts: Record<string, number> = {};
  for (const { name, n } of await reader.query<{ name: string; n: number }[]>(each.join(' UNION ALL '))) {
    const key = name === 'log_pending' || name === 'log_leaf' ? 'entries of the logs' : name;
    counts[key] = (counts[key] ?? 0) + n;
  }
  return counts;
}
