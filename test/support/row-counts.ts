import type { TestApp } from './test-app';

/** What the log does by itself with what waits in it: entries move from `log_pending` to `log_leaf`, checkpoints follow. Requests and wrong passwords are counted. */
const BACKGROUND = ['log_tile', 'log_checkpoint', 'log_cosignature', 'trail_batch', 'rate_count', 'login_counter'];

/** How many rows each table has; the trail is left out, for refusals are on it too. Entries of the logs count once, wherever they are. */
export async function rowCounts({ foundations }: TestApp): Promise<Record<string, number>> {
  const { reader } = foundations.sources;
  const counts: Record<string, number> = {};
  for (const { tableName } of reader.entityMetadatas) {
    if (tableName === 'audit_event' || BACKGROUND.includes(tableName)) continue;
    const [row] = await reader.query<[{ n: number }]>(`SELECT COUNT(*) AS n FROM "${tableName}"`);
    const name = tableName === 'log_pending' || tableName === 'log_leaf' ? 'entries of the logs' : tableName;
    counts[name] = (counts[name] ?? 0) + row.n;
  }
  return counts;
}
