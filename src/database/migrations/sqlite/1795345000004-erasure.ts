import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = [
  `CREATE TABLE "erasure" ("id" varchar(36) PRIMARY KEY NOT NULL, "hospitalId" varchar(36) NOT NULL, "patientId" varchar(36) NOT NULL, "recordId" varchar(36), "reason" varchar(24) NOT NULL, "state" varchar(10) NOT NULL, "requestedBy" varchar(36) NOT NULL, "requestedAt" bigint NOT NULL, "firstApprovedBy" varchar(36), "secondApprovedBy" varchar(36), "refusedBy" varchar(36), "decidedAt" bigint, "purgedAt" bigint, "certificate" text, CONSTRAINT "erasure_state" CHECK (state IN ('requested', 'executed', 'refused', 'superseded')), CONSTRAINT "erasure_two_people" CHECK (state <> 'executed' OR ("firstApprovedBy" IS NOT NULL AND "secondApprovedBy" IS NOT NULL AND "firstApprovedBy" <> "secondApprovedBy" AND "certificate" IS NOT NULL)))`,
  `ALTER TABLE "enrolment" ADD COLUMN "erasedAt" bigint`,
];

const same = (...columns: string[]): string => columns.map((name) => `NEW."${name}" IS OLD."${name}"`).join(' AND ');

/** An ERASE block (byte 16 of the header is 4) above the block of `record` that refers to it, by `to`. The plus keeps SQLite from walking the chain. */
const erasedBy = (to: string, record: string): string =>
  `EXISTS (SELECT 1 FROM "ledger_block" b JOIN "ledger_block" g ON g."chainId" = b."chainId" AND g."height" = 0 JOIN "ledger_block" e ON e."refHash" = ${to} ` +
  `WHERE ${record} AND +e."chainId" = b."chainId" AND e."height" > b."height" AND substr(e."header", 17, 1) = x'04')`;
/** By the block's own hash, or by the genesis hash, which is what block 0 stands on. */
const erased = (record: string): string => `(${erasedBy('b."blockHash"', record)} OR ${erasedBy('g."prevHash"', record)})`;

const CONTENT_ERASED = erased(`b."recordId" = OLD."recordId" AND b."version" = OLD."version"`);
const RECORD_COLUMNS = ['id', 'patientId', 'hospitalId', 'authorId', 'kind', 'content', 'version', 'amends', 'amendment', 'createdAt'];
const RECORD_ERASED = `OLD."status" = 'sealed' AND NEW."status" = 'erased' AND ${same(...RECORD_COLUMNS, 'sealedAt', 'height', 'blockHash')} AND ${erased(`b."recordId" = OLD."id"`)}`;
const DECIDED_COLUMNS = ['id', 'hospitalId', 'patientId', 'recordId', 'reason', 'state', 'requestedBy', 'requestedAt', 'firstApprovedBy'];
const PURGED = `OLD."purgedAt" IS NULL AND ${same(...DECIDED_COLUMNS, 'secondApprovedBy', 'refusedBy', 'decidedAt', 'certificate')}`;

interface Rule {
  readonly name: string;
  readonly on: string;
  readonly says: string;
  /** Condition of the refusal now, and before this migration; undefined: always refused. */
  readonly when?: string;
  readonly before?: { readonly when?: string };
}

/** The one narrow path: a content goes, and its row says so, when an ERASE block speaks of it. All else stays as it was. */
const RULES: readonly Rule[] = [
  {
    name: 'ledger_content_no_delete',
    on: 'DELETE ON "ledger_content"',
    says: 'ledger_content is append-only',
    when: `NOT ${CONTENT_ERASED}`,
    before: {},
  },
  {
    name: 'record_sealed_no_update',
    on: 'UPDATE ON "record"',
    says: 'a sealed record is never changed',
    when: `OLD."status" <> 'draft' AND NOT (${RECORD_ERASED})`,
    before: { when: `OLD."status" = 'sealed'` },
  },
  {
    name: 'record_sealed_no_delete',
    on: 'DELETE ON "record"',
    says: 'a sealed record is never deleted',
    when: `OLD."status" <> 'draft'`,
    before: { when: `OLD."status" = 'sealed'` },
  },
  {
    name: 'erasure_decided_no_update',
    on: 'UPDATE ON "erasure"',
    says: 'a decided erasure is never changed',
    when: `OLD."state" <> 'requested' AND NOT (${PURGED})`,
  },
  { name: 'erasure_no_delete', on: 'DELETE ON "erasure"', says: 'an erasure is never deleted' },
];

const INDEXES = [
  `CREATE INDEX "IDX_a6a975d4e5361693a3a0177f0d" ON "erasure" ("patientId", "id")`,
  `CREATE INDEX "IDX_b1d6fa218e0e0ad2374e43f397" ON "erasure" ("hospitalId", "state", "id")`,
];

export class Erasure1795345000004 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...TABLES, ...INDEXES]) await runner.query(statement);
    for (const rule of RULES) {
      if (rule.before) await runner.query(`DROP TRIGGER "${rule.name}"`);
      await create(runner, rule, rule.when);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const rule of RULES) {
      await runner.query(`DROP TRIGGER "${rule.name}"`);
      if (rule.before) await create(runner, rule, rule.before.when);
    }
    await runner.query(`DROP TABLE "erasure"`);
    await runner.query(`ALTER TABLE "enrolment" DROP COLUMN "erasedAt"`);
  }
}

async function create(runner: QueryRunner, { name, on, says }: Rule, when: string | undefined): Promise<void> {
  const condition = when === undefined ? '' : `WHEN ${when} `;
  await runner.query(`CREATE TRIGGER "${name}" BEFORE ${on} ${condition}BEGIN SELECT RAISE(ABORT, '${says}'); END`);
}
