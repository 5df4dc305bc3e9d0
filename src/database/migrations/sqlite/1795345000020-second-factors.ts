import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Second factors and recovery codes of accounts, the proofs that the server waits for, and how each session was proved. */
export class SecondFactors1795345000020 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "second_factor" ("id" varchar(36) PRIMARY KEY NOT NULL, "accountId" varchar(36) NOT NULL, "kind" varchar(8) NOT NULL, "secret" blob NOT NULL, "counter" bigint NOT NULL, "credentialId" blob, "createdAt" bigint NOT NULL, "confirmedAt" bigint, "lastUsedAt" bigint)`,
    );
    await runner.query(`CREATE INDEX "IDX_36e761b53447e344ae96e34267" ON "second_factor" ("accountId")`);
    await runner.query(`CREATE UNIQUE INDEX "IDX_870de3f214ffe3dd44ca3c610d" ON "second_factor" ("credentialId")`);
    await runner.query(`CREATE TABLE "recovery_code" ("hash" blob PRIMARY KEY NOT NULL, "accountId" varchar(36) NOT NULL)`);
    await runner.query(`CREATE INDEX "IDX_728bde337475e1136bfb91a4e9" ON "recovery_code" ("accountId")`);
    await runner.query(
      `CREATE TABLE "pending_proof" ("hash" blob PRIMARY KEY NOT NULL, "purpose" varchar(8) NOT NULL, "accountId" varchar(36) NOT NULL, "sessionId" varchar(36), "challenge" blob NOT NULL, "failures" integer NOT NULL, "expiresAt" bigint NOT NULL, "rowTag" blob)`,
    );
    await runner.query(`CREATE INDEX "IDX_b1331edce6ac18673b37a78f10" ON "pending_proof" ("accountId")`);
    await runner.query(`CREATE INDEX "IDX_9583183ceb4b16b7ccb862a52b" ON "pending_proof" ("expiresAt")`);
    await runner.query(`ALTER TABLE "account" ADD COLUMN "factors" integer NOT NULL DEFAULT (0)`);
    await runner.query(`ALTER TABLE "session" ADD COLUMN "amr" varchar(16) NOT NULL DEFAULT ('pwd')`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "session" DROP COLUMN "amr"`);
    await runner.query(`ALTER TABLE "account" DROP COLUMN "factors"`);
    for (const table of ['pending_proof', 'recovery_code', 'second_factor']) await runner.query(`DROP TABLE "${table}"`);
  }
}
