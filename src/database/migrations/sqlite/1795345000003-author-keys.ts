import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Author keys as logged events, keys that clients keep, and what clients are given to sign (docs/ledger-format.md). */
const TABLES = [
  `CREATE TABLE "key_event" ("id" varchar(36) PRIMARY KEY NOT NULL, "kid" varchar(43) NOT NULL, "hospitalId" varchar(36) NOT NULL, "event" varchar(8) NOT NULL, "body" text NOT NULL, "hash" blob NOT NULL)`,
  `CREATE INDEX "IDX_1bb873fa9e5cc99edc24a43653" ON "key_event" ("hospitalId")`,
  `CREATE INDEX "IDX_7fa90f0f210f865265151533c8" ON "key_event" ("hash")`,
  `CREATE UNIQUE INDEX "IDX_427be313d5d013a43bda4566f4" ON "key_event" ("kid", "hospitalId", "event")`,
  `CREATE TABLE "seal_preparation" ("recordId" varchar(36) PRIMARY KEY NOT NULL, "version" integer NOT NULL, "patientId" varchar(36) NOT NULL, "accountId" varchar(36) NOT NULL, "recordKey" blob NOT NULL, "contentCommit" blob NOT NULL, "expiresAt" bigint NOT NULL)`,
  `CREATE INDEX "IDX_ee495ad5497309647fe7db8f8c" ON "seal_preparation" ("expiresAt")`,
  `CREATE INDEX "IDX_32d42f9839a9cabdc2c4426deb" ON "log_leaf" ("logId", "leafIndex") WHERE "kind" = 3`,
];

/** SQLite cannot change a column: the table is made anew. A key that a client keeps has no private half here. */
const rebuilt = (privateKey: string): string[] => [
  `CREATE TABLE "temporary_author_key" ("kid" varchar(43) PRIMARY KEY NOT NULL, "accountId" varchar(36) NOT NULL, "x" varchar(43) NOT NULL, "custody" varchar(6) NOT NULL, "privateKey" ${privateKey}, "createdAt" bigint NOT NULL)`,
  `INSERT INTO "temporary_author_key"("kid", "accountId", "x", "custody", "privateKey", "createdAt") SELECT "kid", "accountId", "x", "custody", "privateKey", "createdAt" FROM "author_key"`,
  `DROP TABLE "author_key"`,
  `ALTER TABLE "temporary_author_key" RENAME TO "author_key"`,
  `CREATE INDEX "IDX_f4b1464400e5a6a5e47c338aee" ON "author_key" ("accountId")`,
  ...appendOnly('author_key'),
];

function appendOnly(table: string): string[] {
  return ['update', 'delete'].map(
    (act) =>
      `CREATE TRIGGER "${table}_no_${act}" BEFORE ${act.toUpperCase()} ON "${table}" BEGIN SELECT RAISE(ABORT, '${table} is append-only'); END`,
  );
}

export class AuthorKeys1795345000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...TABLES, ...appendOnly('key_event'), ...rebuilt('blob')]) await runner.query(statement);
  }

  /** Refused by the database while there is a key that a client keeps. */
  async down(runner: QueryRunner): Promise<void> {
    for (const statement of rebuilt('blob NOT NULL')) await runner.query(statement);
    for (const table of ['key_event', 'seal_preparation']) await runner.query(`DROP TABLE "${table}"`);
    await runner.query(`DROP INDEX "IDX_32d42f9839a9cabdc2c4426deb"`);
  }
}
