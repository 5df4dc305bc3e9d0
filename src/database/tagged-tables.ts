import type { DataSource, EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm';
import { CryptoError } from '../crypto/crypto-error';
import { addToSum, isSameTag, type RowSums, type RowTagger } from '../crypto/row-tag';
import { queryRows } from './dialect';
import { shapeOfMetadata } from './row-shape';
import { isCounted, rowId, tagFor } from './row-tags';

const PAGE = 500;

/** What does not fit in a tagged table: a row that this server did not write so, or, without an id, rows that are gone or were put back as they once were. */
export interface RowFinding {
  readonly table: string;
  readonly id: string | null;
}

export interface RowReport {
  readonly rows: number;
  readonly findings: readonly RowFinding[];
}

/**
 * Reads every tagged row again and holds the sums of the counted tables against what was read. The rows may be changed meanwhile by others: then the sums
 * are compared only if they stood still, which `counted` says.
 * @param pace told after each page, with the number of its rows; may wait
 */
export async function verifyTaggedTables(
  manager: EntityManager,
  tagger: RowTagger,
  pace?: (rows: number) => Promise<void>,
): Promise<RowReport & { readonly counted: boolean }> {
  const before = await storedSums(manager);
  const findings: RowFinding[] = [];
  const sums: RowSums = new Map();
  let rows = 0;
  for (const metadata of taggedTables(manager.dataSource)) {
    for await (const page of pagesOf(manager, metadata)) {
      for (const row of page) {
        const stored: unknown = Reflect.get(row, 'rowTag');
        if (!isSameTag(stored, tagFor(tagger, shapeOfMetadata(manager, metadata), row)))
          findings.push({ table: metadata.tableName, id: rowId(metadata, row) });
        if (isCounted(metadata) && stored instanceof Uint8Array) addToSum(sums, metadata.tableName, tagger.summand(stored));
      }
      rows += page.length;
      await pace?.(page.length);
    }
  }
  const counted = before !== null && (await storedSums(manager))?.equals(before) === true;
  const expected = before === null ? new Map<string, bigint>() : readSums(tagger, before);
  if (before === null || !expected) findings.push({ table: 'row_set', id: null });
  else if (counted)
    for (const table of new Set([...expected.keys(), ...sums.keys()]))
      if ((expected.get(table) ?? 0n) !== (sums.get(table) ?? 0n)) findings.push({ table, id: null });
  return { rows, findings, counted };
}

/**
 * Whether rows have got their tags.
 * @throws CryptoError `row_set_missing` when there are tags and no sums, which no server leaves behind; `row_set_rejected`
 */
export async function areRowsTagged(manager: EntityManager, tagger: RowTagger): Promise<boolean> {
  const stored = await storedSums(manager);
  if (stored) {
    tagger.openSums(stored);
    return true;
  }
  for (const { tableName } of taggedTables(manager.dataSource))
    if ((await manager.query<unknown[]>(`SELECT 1 FROM "${tableName}" WHERE "rowTag" IS NOT NULL LIMIT 1`)).length > 0)
      throw new CryptoError('row_set_missing');
  return false;
}

/** Gives a tag to every row there is, whoever wrote it, and makes the sums. */
export async function tagExistingRows(tx: EntityManager, tagger: RowTagger): Promise<void> {
  const sums: RowSums = new Map();
  for (const metadata of taggedTables(tx.dataSource))
    for await (const page of pagesOf(tx, metadata))
      for (const row of page) {
        const tag = tagFor(tagger, shapeOfMetadata(tx, metadata), row);
        await tx.update(metadata.target, keyOf(metadata, row), { rowTag: tag });
        if (isCounted(metadata)) addToSum(sums, metadata.tableName, tagger.summand(tag));
      }
  await queryRows(tx, 'INSERT INTO "row_set" ("id", "sums") VALUES (1, ?)', [tagger.sealSums(sums)]);
}

/** The tables whose rows carry a tag. */
function taggedTables(source: DataSource): EntityMetadata[] {
  return source.entityMetadatas.filter((metadata) => shapeOfMetadata({ dataSource: source }, metadata).isTagged);
}

async function storedSums(manager: EntityManager): Promise<Buffer | null> {
  const [row] = await manager.query<{ sums: Buffer }[]>('SELECT "sums" FROM "row_set" WHERE "id" = 1');
  return row ? Buffer.from(row.sums) : null;
}

function readSums(tagger: RowTagger, sealed: Buffer): RowSums | null {
  try {
    return tagger.openSums(sealed);
  } catch {
    return null;
  }
}

function keyOf(metadata: EntityMetadata, row: ObjectLiteral): ObjectLiteral {
  return Object.fromEntries(metadata.primaryColumns.map(({ propertyName }) => [propertyName, row[propertyName] as unknown]));
}

/** All rows, in the order of their primary keys. */
async function* pagesOf(manager: EntityManager, metadata: EntityMetadata): AsyncGenerator<ObjectLiteral[]> {
  const names = metadata.primaryColumns.map(({ propertyName }) => propertyName);
  const columns = names.map((name) => `r.${name}`);
  const beyond = `(${columns.join(', ')}) > (${names.map((name) => `:${name}`).join(', ')})`;
  for (let last: ObjectLiteral | undefined; ;) {
    const builder = manager.createQueryBuilder<ObjectLiteral>(metadata.target, 'r').limit(PAGE);
    for (const column of columns) builder.addOrderBy(column);
    if (last) builder.where(beyond, keyOf(metadata, last));
    const page = await builder.getMany();
    yield page;
    last = page.at(-1);
    if (page.length < PAGE) return;
  }
}
