import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = [
  `CREATE TABLE "login_counter" ("subject" varchar(36) PRIMARY KEY NOT NULL, "failures" integer NOT NULL, "failedAt" bigint NOT NULL, "waitUntil" bigint NOT NULL)`,
  `CREATE TABLE "known_device" ("id" varchar(36) PRIMARY KEY NOT NULL, "accountId" varchar(36) NOT NULL, "hash" blob NOT NULL, "createdAt" bigint NOT NULL, "lastUsedAt" bigint NOT NULL, "expiresAt" bigint NOT NULL)`,
  `CREATE TABLE "rate_count" ("minute" integer NOT NULL, "client" blob NOT NULL, "count" integer NOT NULL, PRIMARY KEY ("minute", "client"))`,
  `CREATE INDEX "IDX_c9e079a5145012e8414b0ec92f" ON "known_device" ("accountId")`,
  `CREATE UNIQUE INDEX "IDX_cec4163390e174176ba325420e" ON "known_device" ("hash")`,
];

/** Who locked an account was on the trail only. */
const LAST_LOCKER = `SELECT CASE "actorRole" WHEN 'ADMIN' THEN 'founder' WHEN 'HOSPITAL' THEN 'hospital' END FROM "audit_event" e WHERE e."subjectId" = "account"."id" AND e."action" = 'account.lock' AND e."outcome" = 'ok' ORDER BY e."id" DESC LIMIT 1`;

/** Wrong passwords are counted beside the account; an account remembers who locked it, and who proposed it. */
export class Lockout1795345000025 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of TABLES) await runner.query(statement);
    await runner.query(
      `INSERT INTO "login_counter" ("subject", "failures", "failedAt", "waitUntil") SELECT "id", "failedAttempts", ${Date.now()}, 0 FROM "account" WHERE "failedAttempts" > 0`,
    );
    await runner.query(`ALTER TABLE "account" DROP COLUMN "failedAttempts"`);
    await runner.query(`ALTER TABLE "account" ADD COLUMN "lockedBy" varchar(8)`);
    await runner.query(`ALTER TABLE "account" ADD COLUMN "proposedBy" varchar(36)`);
    await runner.query(`UPDATE "account" SET "lockedBy" = COALESCE((${LAST_LOCKER}), 'guesses') WHERE "status" = 'LOCKED'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "account" DROP COLUMN "proposedBy"`);
    await runner.query(`ALTER TABLE "account" DROP COLUMN "lockedBy"`);
    await runner.query(`ALTER TABLE "account" ADD COLUMN "failedAttempts" integer NOT NULL DEFAULT 0`);
    await runner.query(
      `UPDATE "account" SET "failedAttempts" = COALESCE((SELECT "failures" FROM "login_counter" c WHERE c."subject" = "account"."id"), 0)`,
    );
    for (const table of ['rate_count', 'known_device', 'login_counter']) await runner.query(`DROP TABLE "${table}"`);
  }
}
