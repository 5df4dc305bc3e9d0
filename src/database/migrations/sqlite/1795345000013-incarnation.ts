import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Why a log began after another one of the same hospital (docs/ledger-format.md). */
export class Incarnation1795345000013 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "log_incarnation" ("logId" integer PRIMARY KEY NOT NULL, "statement" text NOT NULL)`);
    for (const act of ['update', 'delete'])
      await runner.query(
        `CREATE TRIGGER "log_incarnation_no_${act}" BEFORE ${act.toUpperCase()} ON "log_incarnation" BEGIN SELECT RAISE(ABORT, 'log_incarnation is append-only'); END`,
      );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "log_incarnation"`);
  }
}
