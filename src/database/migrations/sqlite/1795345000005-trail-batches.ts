import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The batches of the trail (docs/ledger-format.md, Access log batches). */
const TABLES = [
  `CREATE TABLE "trail_batch" ("number" integer PRIMARY KEY NOT NULL, "until" varchar(36) NOT NULL, "hash" blob NOT NULL, "body" text NOT NULL, "madeAt" bigint NOT NULL, "leaves" blob NOT NULL)`,
  `CREATE UNIQUE INDEX "IDX_bc95912a0108f4c9b913832dd0" ON "trail_batch" ("until")`,
  `CREATE UNIQUE INDEX "IDX_09f6a71dfe1699ce11ddb1ad93" ON "trail_batch" ("hash")`,
];

const refuse = (text: string): string => `BEGIN SELECT RAISE(ABORT, '${text}'); END`;

export class TrailBatches1795345000005 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of TABLES) await runner.query(statement);
    for (const act of ['update', 'delete'])
      await runner.query(
        `CREATE TRIGGER "trail_batch_no_${act}" BEFORE ${act.toUpperCase()} ON "trail_batch" ${refuse('trail_batch is append-only')}`,
      );
    // A batch says that it has every row up to its last one: none may come later. The writer of the trail then takes a higher id.
    await runner.query(
      `CREATE TRIGGER "audit_event_above_batches" BEFORE INSERT ON "audit_event" WHEN NEW."id" <= (SELECT MAX("until") FROM "trail_batch") ${refuse('the trail is sealed above this id')}`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TRIGGER "audit_event_above_batches"');
    await runner.query('DROP TABLE "trail_batch"');
  }
}
