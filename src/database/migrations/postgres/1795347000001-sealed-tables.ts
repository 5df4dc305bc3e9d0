import type { MigrationInterface, QueryRunner } from 'typeorm';

interface Rule {
  readonly table: string;
  readonly on: 'INSERT' | 'UPDATE' | 'DELETE';
  /** Condition of the refusal, over OLD and NEW; none: always refused. */
  readonly when?: string;
  readonly says: string;
}

const APPEND_ONLY = [
  'audit_event',
  'author_key',
  'consent',
  'key_event',
  'ledger_block',
  'log_checkpoint',
  'log_cosignature',
  'log_incarnation',
  'log_leaf',
  'log_tile',
  'trail_batch',
];

const same = (...columns: string[]): string => columns.map((name) => `NEW."${name}" IS NOT DISTINCT FROM OLD."${name}"`).join(' AND ');

/** An ERASE block (byte 16 of the header is 4) above the block of `record` that refers to it, by `to`. */
const erasedBy = (to: string, record: string): string =>
  `EXISTS (SELECT 1 FROM "ledger_block" b JOIN "ledger_block" g ON g."chainId" = b."chainId" AND g."height" = 0 JOIN "ledger_block" e ON e."refHash" = ${to} ` +
  `WHERE ${record} AND e."chainId" = b."chainId" AND e."height" > b."height" AND get_byte(e."header", 16) = 4)`;
/** By the block's own hash, or by the genesis hash, which is what block 0 stands on. */
const erased = (record: string): string => `(${erasedBy('b."blockHash"', record)} OR ${erasedBy('g."prevHash"', record)})`;

const RECORD = ['id', 'patientId', 'hospitalId', 'authorId', 'kind', 'content', 'version', 'amends', 'amendment', 'createdAt', 'sealedAt'];
const RECORD_ERASED = `OLD."status" = 'sealed' AND NEW."status" = 'erased' AND ${same(...RECORD, 'height', 'blockHash')} AND ${erased(`b."recordId" = OLD."id"`)}`;
const DECIDED = ['id', 'hospitalId', 'patientId', 'recordId', 'reason', 'state', 'requestedBy', 'requestedAt', 'firstApprovedBy'];
const PURGED = `OLD."purgedAt" IS NULL AND ${same(...DECIDED, 'secondApprovedBy', 'refusedBy', 'decidedAt', 'certificate')}`;
const SEALED_FILE = `OLD."completedAt" IS NOT NULL AND EXISTS (SELECT 1 FROM "record" r WHERE r."id" = OLD."recordId" AND r."status" = 'sealed')`;
const PIECE_OF_SEALED_FILE = `EXISTS (SELECT 1 FROM "attachment" a JOIN "record" r ON r."id" = a."recordId" WHERE a."id" = OLD."attachmentId" AND a."completedAt" IS NOT NULL AND r."status" = 'sealed')`;
const WENT_BACK = `NEW."origin" <> OLD."origin" OR NEW."size"::numeric < OLD."size"::numeric OR (NEW."size" = OLD."size" AND NEW."root" <> OLD."root")`;

/** What is sealed stays, as on SQLite (1795345000001-sealed-tables there): the database itself refuses to change or delete it. */
const RULES: readonly Rule[] = [
  ...APPEND_ONLY.flatMap((table): Rule[] => [
    { table, on: 'UPDATE', says: `${table} is append-only` },
    { table, on: 'DELETE', says: `${table} is append-only` },
  ]),
  { table: 'ledger_content', on: 'UPDATE', says: 'ledger_content is append-only' },
  {
    table: 'ledger_content',
    on: 'DELETE',
    when: `NOT ${erased(`b."recordId" = OLD."recordId" AND b."version" = OLD."version"`)}`,
    says: 'ledger_content is append-only',
  },
  {
    table: 'ledger_chain',
    on: 'UPDATE',
    when: `NEW."height" <> OLD."height" + 1 OR NOT (${same('chainId', 'patientId', 'hospitalId')})`,
    says: 'a chain only grows, block by block',
  },
  { table: 'ledger_chain', on: 'DELETE', says: 'a chain is never deleted' },
  { table: 'record', on: 'UPDATE', when: `OLD."status" <> 'draft' AND NOT (${RECORD_ERASED})`, says: 'a sealed record is never changed' },
  { table: 'record', on: 'DELETE', when: `OLD."status" <> 'draft'`, says: 'a sealed record is never deleted' },
  { table: 'attachment', on: 'UPDATE', when: SEALED_FILE, says: 'a file of a sealed record is never changed' },
  { table: 'attachment', on: 'DELETE', when: SEALED_FILE, says: 'a file of a sealed record is never deleted' },
  { table: 'attachment_chunk', on: 'UPDATE', when: PIECE_OF_SEALED_FILE, says: 'a file of a sealed record is never changed' },
  { table: 'attachment_chunk', on: 'DELETE', when: PIECE_OF_SEALED_FILE, says: 'a file of a sealed record is never deleted' },
  {
    table: 'log',
    on: 'UPDATE',
    when: `NEW."size" < OLD."size" OR NOT (${same('id', 'hospitalId', 'incarnation', 'origin')})`,
    says: 'a log only grows',
  },
  { table: 'log', on: 'DELETE', says: 'a log is never deleted' },
  { table: 'erasure', on: 'UPDATE', when: `OLD."state" <> 'requested' AND NOT (${PURGED})`, says: 'a decided erasure is never changed' },
  { table: 'erasure', on: 'DELETE', says: 'an erasure is never deleted' },
  {
    table: 'audit_event',
    on: 'INSERT',
    when: `NEW."id" <= (SELECT MAX("until") FROM "trail_batch")`,
    says: 'the trail is sealed above this id',
  },
  { table: 'witness_checkpoint', on: 'UPDATE', when: WENT_BACK, says: 'a witness never goes back' },
  { table: 'witness_checkpoint', on: 'DELETE', says: 'what was cosigned is never forgotten' },
];
const TABLES = [...new Set(RULES.map(({ table }) => table))];

const nameOf = ({ table, on }: Rule): string => `${table}_no_${on.toLowerCase()}`;

export class SealedTables1795347000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const rule of RULES) {
      const [name, refuse] = [nameOf(rule), `RAISE EXCEPTION '${rule.says}';`];
      const body =
        rule.when === undefined ? refuse : `IF ${rule.when} THEN ${refuse} END IF; RETURN ${rule.on === 'DELETE' ? 'OLD' : 'NEW'};`;
      await runner.query(`CREATE FUNCTION "${name}"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`);
      await runner.query(`CREATE TRIGGER "${name}" BEFORE ${rule.on} ON "${rule.table}" FOR EACH ROW EXECUTE FUNCTION "${name}"()`);
    }
    await runner.query(
      `CREATE FUNCTION "no_truncate"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nothing here is emptied'; END $$`,
    );
    for (const table of TABLES)
      await runner.query(
        `CREATE TRIGGER "${table}_no_truncate" BEFORE TRUNCATE ON "${table}" FOR EACH STATEMENT EXECUTE FUNCTION "no_truncate"()`,
      );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(`DROP TRIGGER "${table}_no_truncate" ON "${table}"`);
    await runner.query(`DROP FUNCTION "no_truncate"()`);
    for (const rule of RULES) {
      await runner.query(`DROP TRIGGER "${nameOf(rule)}" ON "${rule.table}"`);
      await runner.query(`DROP FUNCTION "${nameOf(rule)}"()`);
    }
  }
}
