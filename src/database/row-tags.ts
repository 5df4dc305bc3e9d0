import { Column, type DataSource, type EntityManager, type EntityMetadata } from 'typeorm';
import { BINARY_COLUMN } from '../crypto/column-types';
import { CryptoError } from '../crypto/crypto-error';
import { addToSum, type CellValue, isSameTag, type RowTagger } from '../crypto/row-tag';
import { needAlone } from './beside';
import { queryRows } from './dialect';
import { type RowShape, TAG } from './row-shape';

const MAX_SAID = 10_000;
const counted = new WeakSet();

/**
 * Declares the column with the tag of the whole row: `@RowTagColumn({ counted: true }) rowTag?: Buffer | null`. Rows of such an entity are read and
 * written by `rows.ts` only, which makes and checks the tags; what a query builder reads goes through `checkedRows`.
 * @param options `counted`: its rows are in the table's sum, so that a row that is gone, or put back as it once was, shows. Every write then also
 *   writes the one row of sums: not for tables that change with each request
 */
export function RowTagColumn(options: { counted: boolean }): PropertyDecorator {
  return (target, name) => {
    if (options.counted) counted.add(target.constructor);
    Column({ type: BINARY_COLUMN, nullable: true })(target, name);
  };
}

/** Told of a row that was refused: its table, and its primary key cut to the length of an id. */
export type RejectionListener = (table: string, id: string) => void;

interface Tags {
  readonly tagger: RowTagger | null;
  readonly listeners: RejectionListener[];
  readonly said: Set<string>;
}
const known = new WeakMap<DataSource, Tags>();

/** Gives the connections of one database the key of the tags. Null, for verifiers without keys: rows are read as they are, and tagged ones cannot be written. */
export function useRowTags(sources: readonly DataSource[], tagger: RowTagger | null): void {
  const tags: Tags = { tagger, listeners: [], said: new Set() };
  for (const source of sources) known.set(source, tags);
}

/** Each refused row is told once. */
export function onRejectedRow(source: DataSource, listener: RejectionListener): void {
  tagsOf(source).listeners.push(listener);
}

function tagsOf(source: DataSource): Tags {
  const tags = known.get(source);
  // Without this, a connection that was forgotten would read rows of anybody's making.
  if (!tags) throw new Error('the key of the row tags was not given to this connection');
  return tags;
}

export function taggerOf(source: DataSource): RowTagger | null {
  return tagsOf(source).tagger;
}

export function isCounted(metadata: EntityMetadata): boolean {
  return typeof metadata.target === 'function' && counted.has(metadata.target);
}

/** The tag that the row must have: of what it says to the application, so that no other reading of a cell can differ from what was tagged. */
export function tagFor(tagger: RowTagger, { metadata, tagged }: RowShape, row: object): Buffer {
  const cells = tagged.map(({ property, name, toStored }) => [name, (toStored(Reflect.get(row, property)) ?? null) as CellValue] as const);
  return tagger.tag(metadata.tableName, cells);
}

/** The tag of a row that is about to be written; null when rows of this entity have none. */
export function newTag(tx: EntityManager, shape: RowShape, row: object): Buffer | null {
  return shape.isTagged ? tagFor(writingTagger(tx), shape, row) : null;
}

function writingTagger(tx: EntityManager): RowTagger {
  const tagger = taggerOf(tx.dataSource);
  if (!tagger) throw new CryptoError('key_missing');
  return tagger;
}

/** Whether the row is as this server wrote it. True for entities without tags, and where no key is. */
export function isGenuine(source: DataSource, shape: RowShape, row: object): boolean {
  const tagger = shape.isTagged ? taggerOf(source) : null;
  return !tagger || isSameTag(Reflect.get(row, TAG), tagFor(tagger, shape, row));
}

/** The same rows. @throws CryptoError `row_rejected` when one of them is not as this server wrote it; the listeners are told */
export function assertGenuine<T extends object>(source: DataSource, shape: RowShape, rows: T[]): T[] {
  for (const row of rows) {
    if (isGenuine(source, shape, row)) continue;
    tell(tagsOf(source), shape.metadata.tableName, rowId(shape.metadata, row));
    throw new CryptoError('row_rejected');
  }
  return rows;
}

function tell({ said, listeners }: Tags, table: string, id: string): void {
  const name = `${table} ${id}`;
  if (said.has(name)) return;
  if (said.size >= MAX_SAID) said.clear();
  said.add(name);
  for (const listener of listeners) listener(table, id);
}

/** Takes tags out of the sum of their table and puts others in. */
export async function countRows(
  tx: EntityManager,
  metadata: EntityMetadata,
  removed: readonly unknown[],
  added: readonly (Buffer | null)[],
): Promise<void> {
  if (!isCounted(metadata)) return;
  needAlone(tx); // the one row of sums
  const tagger = writingTagger(tx);
  const [stored] = await tx.query<{ sums: Uint8Array }[]>('SELECT "sums" FROM "row_set" WHERE "id" = 1');
  if (!stored) throw new CryptoError('row_set_missing');
  const sums = tagger.openSums(stored.sums);
  const add = (tag: unknown, sign: bigint): void => {
    if (tag instanceof Uint8Array) addToSum(sums, metadata.tableName, sign * tagger.summand(tag));
  };
  for (const tag of removed) add(tag, -1n);
  for (const tag of added) add(tag, 1n);
  await queryRows(tx, 'UPDATE "row_set" SET "sums" = ? WHERE "id" = 1', [tagger.sealSums(sums)]);
}

/** The primary key as text, no longer than an id. */
export function rowId(metadata: EntityMetadata, row: object): string {
  const parts = metadata.primaryColumns.map(({ propertyName }) => {
    const value: unknown = Reflect.get(row, propertyName);
    return Buffer.isBuffer(value) ? value.toString('hex') : String(value);
  });
  return parts.join('/').slice(0, 36);
}
