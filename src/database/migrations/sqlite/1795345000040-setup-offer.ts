import type { MigrationInterface, QueryRunner } from 'typeorm';

/** One set-up code for all processes, and erasures by the time of their decision, so that every process finds the new ones each second. */
export class SetupOffer1795345000040 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "setup_offer" ("id" integer PRIMARY KEY NOT NULL, "offeredAt" bigint NOT NULL, "rowTag" blob)`);
    await runner.query(`CREATE INDEX "IDX_b4369ea086377016b96fe0a5ac" ON "erasure" ("decidedAt")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX "IDX_b4369ea086377016b96fe0a5ac"`);
    await runner.query(`DROP TABLE "setup_offer"`);
  }
}
