import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * As on SQLite (1795345000040-setup-offer there): one set-up code for all processes, and erasures by the time of their decision.
 *
 * And the functions of the triggers look for their tables in this schema only: a temporary table of the same name, which any role may make and which
 * PostgreSQL looks at first, would tell them of erasures that there never were.
 */
export class SetupOffer1795347000010 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "setup_offer" ("id" integer NOT NULL, "offeredAt" bigint NOT NULL, "rowTag" bytea, CONSTRAINT "PK_1b9d4d1c9f64b2b57554e018863" PRIMARY KEY ("id"))`,
    );
    await runner.query(`CREATE INDEX "IDX_b4369ea086377016b96fe0a5ac" ON "erasure" ("decidedAt")`);
    await eachFunction(runner, `SET search_path = %I, pg_temp`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await eachFunction(runner, 'RESET search_path');
    await runner.query(`DROP INDEX "IDX_b4369ea086377016b96fe0a5ac"`);
    await runner.query(`DROP TABLE "setup_offer"`);
  }
}

async function eachFunction(runner: QueryRunner, change: string): Promise<void> {
  await runner.query(`
    DO $$
    DECLARE f regprocedure;
    BEGIN
      FOR f IN SELECT DISTINCT tgfoid::regprocedure FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid
        WHERE NOT tgisinternal AND p.pronamespace = current_schema()::regnamespace
      LOOP
        EXECUTE format('ALTER FUNCTION %s ${change}', f, current_schema());
      END LOOP;
    END $$`);
}
