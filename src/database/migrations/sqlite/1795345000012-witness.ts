import type { MigrationInterface, QueryRunner } from 'typeorm';

const BACK = `CAST(NEW."size" AS INTEGER) < CAST(OLD."size" AS INTEGER)`;
const SPLIT = `NEW."size" = OLD."size" AND NEW."root" <> OLD."root"`;
const refuse = (text: string): string => `BEGIN SELECT RAISE(ABORT, '${text}'); END`;

/** What this server cosigned of the logs of others. It only goes on: a witness that goes back has signed two histories. */
export class Witness1795345000012 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "witness_checkpoint" ("origin" varchar(255) PRIMARY KEY NOT NULL, "size" varchar(19) NOT NULL, "root" blob NOT NULL, "note" text NOT NULL)`,
    );
    await runner.query(
      `CREATE TRIGGER "witness_goes_on" BEFORE UPDATE ON "witness_checkpoint" WHEN NEW."origin" <> OLD."origin" OR ${BACK} OR (${SPLIT}) ${refuse('a witness never goes back')}`,
    );
    await runner.query(
      `CREATE TRIGGER "witness_no_delete" BEFORE DELETE ON "witness_checkpoint" ${refuse('what was cosigned is never forgotten')}`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "witness_checkpoint"`);
  }
}
