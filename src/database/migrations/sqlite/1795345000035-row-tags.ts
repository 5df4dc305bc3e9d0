import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Rows get their tags from the application, once, in the first start after this (docs/decisions/0023): only it has the key. */
const TAGGED = [
  'account',
  'session',
  'refresh_token',
  'hospital',
  'staff',
  'enrolment',
  'patient',
  'question',
  'erasure',
  'log',
  'log_pending',
  'witness_checkpoint',
];

const same = (...columns: string[]): string => columns.map((name) => `NEW."${name}" IS OLD."${name}"`).join(' AND ');
const DECIDED = ['id', 'hospitalId', 'patientId', 'recordId', 'reason', 'state', 'requestedBy', 'requestedAt', 'firstApprovedBy'];
const REST = ['secondApprovedBy', 'refusedBy', 'decidedAt', 'certificate'];
const PURGED = `OLD."purgedAt" IS NULL AND ${same(...DECIDED, ...REST)}`;
const FIRST_TAG = `OLD."rowTag" IS NULL AND ${same(...DECIDED, ...REST, 'purgedAt')}`;

/** A decided erasure may be purged, as before, and it may get its first tag. */
async function replaceTrigger(runner: QueryRunner, ...permitted: string[]): Promise<void> {
  await runner.query(`DROP TRIGGER "erasure_decided_no_update"`);
  const refused = permitted.map((condition) => `NOT (${condition})`).join(' AND ');
  await runner.query(
    `CREATE TRIGGER "erasure_decided_no_update" BEFORE UPDATE ON "erasure" WHEN OLD."state" <> 'requested' AND ${refused} BEGIN SELECT RAISE(ABORT, 'a decided erasure is never changed'); END`,
  );
}

export class RowTags1795345000035 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const table of TAGGED) await runner.query(`ALTER TABLE "${table}" ADD COLUMN "rowTag" blob`);
    await runner.query(`CREATE TABLE "row_set" ("id" integer PRIMARY KEY NOT NULL, "sums" blob NOT NULL)`);
    await replaceTrigger(runner, PURGED, FIRST_TAG);
  }

  async down(runner: QueryRunner): Promise<void> {
    await replaceTrigger(runner, PURGED);
    await runner.query(`DROP TABLE "row_set"`);
    for (const table of TAGGED) await runner.query(`ALTER TABLE "${table}" DROP COLUMN "rowTag"`);
  }
}
