import { startTestApp } from '../support/test-app';
import type { Seal } from './seal-load';

interface Block {
  readonly id: string;
  readonly height: number;
  readonly hash: string;
}

/** What a store holds of the seals that clients were told of. No server runs on it. */
export async function storedSeals(dir: string, store: Record<string, string>, acknowledged: readonly Seal[]) {
  const { app, foundations } = await startTestApp(store, dir);
  try {
    const { reader } = foundations.sources;
    const hash = foundations.config.postgres ? `encode("blockHash", 'hex')` : `lower(hex("blockHash"))`;
    const blocks = await reader.query<Block[]>(
      `SELECT "recordId" AS "id", "height" AS "height", ${hash} AS "hash" FROM "ledger_block" WHERE "height" > 0`,
    );
    const count = async (table: string) => Number((await reader.query<{ n: number }[]>(`SELECT COUNT(*) AS "n" FROM "${table}"`))[0]?.n);
    const byRecord = new Map(blocks.map((block) => [block.id, block]));
    const lost = acknowledged.filter(({ recordId, height, blockHash }) => {
      const block = byRecord.get(recordId);
      return block?.hash !== blockHash || block.height !== height;
    });
    const places = new Set(acknowledged.map(({ chainId, height }) => `${chainId} ${height}`));
    return {
      records: await count('record'),
      blocks: blocks.length,
      hotHeight: Math.max(...blocks.map(({ height }) => height)),
      leaves: await count('log_leaf'),
      pending: await count('log_pending'),
      lost: lost.length,
      forked: acknowledged.length - places.size,
      doubled: blocks.length - byRecord.size,
    };
  } finally {
    await app.close();
  }
}
