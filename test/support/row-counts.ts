import type { TestApp } from './test-app';

/** How many rows each table has; the trail is left out, for refusals are on it too. */
export async function rowCounts({ foundations }: TestApp): Promise<Record<string, number>> {
  const { reader } = foundations.sources;
  const counts: Record<string, number> = {};
  for (const { tableName } of reader.entityMetadatas) {
    if (tableName === 'audit_event') continue;
    const [row] = await reader.query<[{ n: number }]>(`SELECT COUNT(*) AS n FROM "${tableName}"`);
    counts[tableName] = row.n;
  }
  return counts;
}
