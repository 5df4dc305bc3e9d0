import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The transparency logs (docs/ledger-format.md): tables as the entities describe them, and the triggers that keep what is published. */
const TABLES = [
  `CREATE TABLE "log" ("id" integer PRIMARY KEY NOT NULL, "hospitalId" varchar(36) NOT NULL, "incarnation" integer NOT NULL, "origin" varchar(255) NOT NULL, "size" integer NOT NULL, "edge" blob NOT NULL)`,
  `CREATE UNIQUE INDEX "IDX_0bffa6a9fdb68aa3181a6e39d5" ON "log" ("origin")`,
  `CREATE UNIQUE INDEX "IDX_8b3f5ecc6ff3296d16f1227bfd" ON "log" ("hospitalId", "incarnation")`,
  `CREATE TABLE "log_pending" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "logId" integer NOT NULL, "kind" integer NOT NULL, "hash" blob NOT NULL)`,
  `CREATE INDEX "IDX_1d7248d1d356ee6ae1f6be093c" ON "log_pending" ("logId")`,
  `CREATE TABLE "log_leaf" ("logId" integer NOT NULL, "leafIndex" integer NOT NULL, "kind" integer NOT NULL, "hash" blob NOT NULL, PRIMARY KEY ("logId", "leafIndex"))`,
  `CREATE UNIQUE INDEX "IDX_282dc1fd1a93540f5549ede011" ON "log_leaf" ("hash", "logId")`,
  `CREATE TABLE "log_tile" ("logId" integer NOT NULL, "level" integer NOT NULL, "tileIndex" integer NOT NULL, "hashes" blob NOT NULL, "root" blob NOT NULL, PRIMARY KEY ("logId", "level", "tileIndex"))`,
  `CREATE TABLE "log_checkpoint" ("logId" integer NOT NULL, "size" integer NOT NULL, "signedAt" bigint NOT NULL, "note" text NOT NULL, PRIMARY KEY ("logId", "size"))`,
  `CREATE TABLE "log_cosignature" ("logId" integer NOT NULL, "size" integer NOT NULL, "witness" varchar(264) NOT NULL, "line" text NOT NULL, PRIMARY KEY ("logId", "size", "witness"))`,
];
const APPEND_ONLY = ['log_leaf', 'log_tile', 'log_checkpoint', 'log_cosignature'];
const GROWS = `NEW."size" >= OLD."size" AND NEW."id" = OLD."id" AND NEW."hospitalId" = OLD."hospitalId" AND NEW."incarnation" = OLD."incarnation" AND NEW."origin" = OLD."origin"`;

const refuse = (text: string): string => `BEGIN SELECT RAISE(ABORT, '${text}'); END`;

export class Log1795345000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of TABLES) await runner.query(statement);
    for (const table of APPEND_ONLY) {
      await runner.query(`CREATE TRIGGER "${table}_no_update" BEFORE UPDATE ON "${table}" ${refuse(`${table} is append-only`)}`);
      await runner.query(`CREATE TRIGGER "${table}_no_delete" BEFORE DELETE ON "${table}" ${refuse(`${table} is append-only`)}`);
    }
    await runner.query(`CREATE TRIGGER "log_grows" BEFORE UPDATE ON "log" WHEN NOT (${GROWS}) ${refuse('a log only grows')}`);
    await runner.query(`CREATE TRIGGER "log_no_delete" BEFORE DELETE ON "log" ${refuse('a log is never deleted')}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['log', 'log_pending', ...APPEND_ONLY]) await runner.query(`DROP TABLE "${table}"`);
  }
}
