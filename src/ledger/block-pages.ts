import type { EntityManager } from 'typeorm';
import { dialectOf, queryRows } from '../database/dialect';
import { HASH_BYTES } from './core/bytes';
import { HEADER_BYTES } from './core/header';

/** One block with its content, as they are stored. Whatever the types say: a database is hostile input, and the walk checks each column. */
export interface WalkedRow {
  height: number;
  blockHash: Buffer;
  prevHash: Buffer;
  refHash: Buffer | null;
  header: Buffer;
  recordId: string;
  version: number;
  attestation: string | null;
  ciphertext: Buffer | null;
  /** Null also when it was not asked for. */
  recordKey: Buffer | null;
}

/** Which blocks are read: those of a chain above height `from` up to `to`, at most `limit`. */
export interface PageBounds {
  readonly chainId: Buffer;
  readonly from: number;
  readonly to: number;
  readonly limit: number;
}

type PackedRow = Omit<WalkedRow, 'blockHash' | 'prevHash' | 'header' | 'ciphertext' | 'recordKey'> & {
  readonly packed: Buffer | null;
  readonly hasContent: number | boolean;
  readonly recordKey?: Buffer | null;
};

const FROM = `FROM "ledger_block" b LEFT JOIN "ledger_content" c ON c."recordId" = b."recordId" AND c."version" = b."version"`;
const PLAIN = `b."height" AS "height", b."refHash" AS "refHash", b."recordId" AS "recordId", b."version" AS "version", b."attestation" AS "attestation"`;
/** SQLite keeps in a column whatever was written there. */
const isBlob = (column: string, size: number): string => `typeof(b."${column}") = 'blob' AND length(b."${column}") = ${size}`;
const isLong = (column: string, size: number): string => `octet_length(b."${column}") = ${size}`;
const sizesFit = (fits: (column: string, size: number) => string): string =>
  `${fits('blockHash', HASH_BYTES)} AND ${fits('prevHash', HASH_BYTES)} AND ${fits('header', HEADER_BYTES)}`;
/** Null when a column is not of the type and size that it should be. */
const PACKED = {
  sqlite: `CASE WHEN ${sizesFit(isBlob)} AND typeof(c."ciphertext") IN ('blob', 'null')
  THEN CAST(b."blockHash" || b."prevHash" || b."header" || COALESCE(c."ciphertext", x'') AS BLOB) END`,
  postgres: `CASE WHEN ${sizesFit(isLong)} THEN b."blockHash" || b."prevHash" || b."header" || COALESCE(c."ciphertext", ''::bytea) END`,
};
const page = (packed: string, more: string): string =>
  `SELECT ${PLAIN}, ${packed} AS "packed", c."ciphertext" IS NOT NULL AS "hasContent"${more} ${FROM}
   WHERE b."chainId" = ? AND b."height" > ? AND b."height" <= ? ORDER BY b."height" LIMIT ?`;
const pages = (more: string) => ({ sqlite: page(PACKED.sqlite, more), postgres: page(PACKED.postgres, more) });
const CLOSED_PAGE = pages('');
const OPEN_PAGE = pages(`, c."recordKey" AS "recordKey"`);
const ONE_ROW = `SELECT ${PLAIN}, b."blockHash" AS "blockHash", b."prevHash" AS "prevHash", b."header" AS "header", c."ciphertext" AS "ciphertext",
  c."recordKey" AS "recordKey" ${FROM} WHERE b."chainId" = ? AND b."height" = ?`;

const HEADER_AT = 2 * HASH_BYTES;
const CONTENT_AT = HEADER_AT + HEADER_BYTES;

/**
 * Reads a page of a chain, in the order of the heights. A walk costs what its rows cost on their way into JavaScript, and each blob of its own costs more than
 * its bytes: so the database hands out hashes, header and ciphertext in one piece, which is cut here. A row that does not fit the pattern is read
 * column by column, as it is.
 * @param withKeys false leaves the record keys out, for walks that open no content
 */
export async function blockPage(manager: EntityManager, bounds: PageBounds, withKeys: boolean): Promise<WalkedRow[]> {
  const { chainId, from, to, limit } = bounds;
  const rows = await queryRows<PackedRow>(manager, (withKeys ? OPEN_PAGE : CLOSED_PAGE)[dialectOf(manager)], [chainId, from, to, limit]);
  const read: WalkedRow[] = [];
  for (const row of rows) {
    if (row.packed && row.packed.length >= CONTENT_AT) read.push(unpacked(row, row.packed));
    else read.push(...(await queryRows<WalkedRow>(manager, ONE_ROW, [chainId, row.height])));
  }
  return read;
}

function unpacked({ height, refHash, recordId, version, attestation, hasContent, recordKey = null }: PackedRow, packed: Buffer): WalkedRow {
  return {
    height,
    refHash,
    recordId,
    version,
    attestation,
    recordKey,
    blockHash: packed.subarray(0, HASH_BYTES),
    prevHash: packed.subarray(HASH_BYTES, HEADER_AT),
    header: packed.subarray(HEADER_AT, CONTENT_AT),
    ciphertext: hasContent ? packed.subarray(CONTENT_AT) : null,
  };
}
