import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Words of patients' names as truncated blind indexes. The server fills it for those who are there already. */
export class PatientSearch1795345000036 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "patient_search" ("hospitalId" varchar(36) NOT NULL, "token" blob NOT NULL, "patientId" varchar(36) NOT NULL, PRIMARY KEY ("hospitalId", "token", "patientId"))`,
    );
    await runner.query(`CREATE INDEX "IDX_cc8fc51141ad62fbd099ec7401" ON "patient_search" ("patientId")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "patient_search"`);
  }
}
