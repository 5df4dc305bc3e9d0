import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tables and indexes, as the entities describe them (generated, then compared by the drift test). */
const STATEMENTS = [
  `CREATE TABLE "audit_event" ("id" varchar(36) PRIMARY KEY NOT NULL, "at" bigint NOT NULL, "action" varchar(32) NOT NULL, "outcome" varchar(8) NOT NULL, "actorId" varchar(36), "actorRole" varchar(8), "actorHospitalId" varchar(36), "hospitalId" varchar(36), "patientId" varchar(36), "subjectId" varchar(36), "purpose" varchar(10), "kind" varchar(40), "reason" varchar(40), "rules" varchar(400), "contractVersion" integer, "count" integer, "setDigest" varchar(43), "headHeight" integer, "requestId" varchar(64) NOT NULL)`,
  `CREATE INDEX "IDX_06d570d7d1b40fbc994b5955be" ON "audit_event" ("at")`,
  `CREATE INDEX "IDX_871df3d8bb0c105b86ff8f6360" ON "audit_event" ("hospitalId", "id")`,
  `CREATE INDEX "IDX_6b871bbfa2b0d06670e1bb00b8" ON "audit_event" ("patientId", "id")`,
  `CREATE TABLE "consent" ("id" varchar(36) PRIMARY KEY NOT NULL, "patientId" varchar(36) NOT NULL, "hospitalId" varchar(36) NOT NULL, "version" integer NOT NULL, "contract" blob NOT NULL, "height" integer NOT NULL, "blockHash" varchar(64) NOT NULL, "createdAt" bigint NOT NULL)`,
  `CREATE UNIQUE INDEX "IDX_ed7d33b30261bc8d16e45f65b0" ON "consent" ("patientId", "version")`,
  `CREATE TABLE "consent_rule" ("id" varchar(36) PRIMARY KEY NOT NULL, "patientId" varchar(36) NOT NULL, "grantee" varchar(36) NOT NULL, "validFrom" bigint NOT NULL, "validUntil" bigint NOT NULL)`,
  `CREATE INDEX "IDX_a8e8de6e578de8a1a2b29b08fa" ON "consent_rule" ("patientId")`,
  `CREATE INDEX "IDX_d0f4c244f2f505d990d4a7fb3d" ON "consent_rule" ("grantee", "validUntil")`,
  `CREATE TABLE "account" ("id" varchar(36) PRIMARY KEY NOT NULL, "role" varchar(8) NOT NULL, "status" varchar(8) NOT NULL, "hospitalId" varchar(36), "usernameIndex" blob, "username" blob, "name" blob NOT NULL, "password" blob, "failedAttempts" integer NOT NULL, "codeHash" blob, "codeExpiresAt" bigint, "createdAt" bigint NOT NULL)`,
  `CREATE UNIQUE INDEX "IDX_b045be785d87dff74fbbb60961" ON "account" ("usernameIndex")`,
  `CREATE UNIQUE INDEX "IDX_9307df57fce322186f12403e0c" ON "account" ("codeHash")`,
  `CREATE INDEX "IDX_228400e049fe5a568cffc7e71e" ON "account" ("hospitalId", "status", "id")`,
  `CREATE TABLE "idempotency" ("id" varchar(36) PRIMARY KEY NOT NULL, "accountId" varchar(36) NOT NULL, "key" varchar(128) NOT NULL, "digest" blob NOT NULL, "response" blob NOT NULL, "createdAt" bigint NOT NULL)`,
  `CREATE INDEX "IDX_f39c70a6888f42bed2d22d60ba" ON "idempotency" ("createdAt")`,
  `CREATE UNIQUE INDEX "IDX_ea0fbe6664e37efa044d682577" ON "idempotency" ("accountId", "key")`,
  `CREATE TABLE "session" ("id" varchar(36) PRIMARY KEY NOT NULL, "accountId" varchar(36) NOT NULL, "createdAt" bigint NOT NULL, "lastUsedAt" bigint NOT NULL, "expiresAt" bigint NOT NULL, "endedAt" bigint)`,
  `CREATE INDEX "IDX_db27ab5fcaee7b52324fe2c8a2" ON "session" ("accountId")`,
  `CREATE TABLE "refresh_token" ("hash" blob PRIMARY KEY NOT NULL, "sessionId" varchar(36) NOT NULL, "createdAt" bigint NOT NULL, "expiresAt" bigint NOT NULL, "usedAt" bigint, "successor" blob)`,
  `CREATE INDEX "IDX_4f310b2b1f45ec02710a719361" ON "refresh_token" ("sessionId")`,
  `CREATE TABLE "revocation" ("subject" varchar(36) PRIMARY KEY NOT NULL, "notBefore" bigint NOT NULL, "updatedAt" bigint NOT NULL)`,
  `CREATE INDEX "IDX_347c90bee1fc17065102a6408d" ON "revocation" ("updatedAt")`,
  `CREATE TABLE "data_key" ("dekId" varchar(32) PRIMARY KEY NOT NULL, "subjectId" varchar(36) NOT NULL, "tenantId" varchar(36) NOT NULL, "kekVersion" integer NOT NULL, "wrapped" blob NOT NULL, "state" varchar(16) NOT NULL, "createdAt" bigint NOT NULL, CONSTRAINT "data_key_subject" UNIQUE ("tenantId", "subjectId"), CONSTRAINT "data_key_state" CHECK (state IN ('active', 'destroyed')))`,
  `CREATE TABLE "kek" ("tenantId" varchar(36) NOT NULL, "version" integer NOT NULL, "wrapped" blob NOT NULL, "createdAt" bigint NOT NULL, PRIMARY KEY ("tenantId", "version"))`,
  `CREATE TABLE "key_check" ("name" varchar(16) PRIMARY KEY NOT NULL, "value" blob NOT NULL)`,
  `CREATE TABLE "question" ("id" varchar(36) PRIMARY KEY NOT NULL, "patientId" varchar(36) NOT NULL, "hospitalId" varchar(36) NOT NULL, "doctorId" varchar(36) NOT NULL, "text" blob NOT NULL, "status" varchar(8) NOT NULL, "askedAt" bigint NOT NULL, "answeredAt" bigint, "answerRecordId" varchar(36), "answer" blob)`,
  `CREATE INDEX "IDX_7fe7895c92d15bc9ec16c7b208" ON "question" ("doctorId", "status", "id")`,
  `CREATE INDEX "IDX_0236051b921f56478d62c98ed0" ON "question" ("patientId", "id")`,
  `CREATE TABLE "directory" ("id" varchar(36) PRIMARY KEY NOT NULL, "hospitalId" varchar(36) NOT NULL, "kind" varchar(40) NOT NULL, "digest" blob NOT NULL, "content" blob NOT NULL, "createdAt" bigint NOT NULL)`,
  `CREATE UNIQUE INDEX "IDX_3a18f4189040c113ae56874c22" ON "directory" ("hospitalId", "digest")`,
  `CREATE TABLE "hospital" ("id" varchar(36) PRIMARY KEY NOT NULL, "name" varchar(200) NOT NULL, "city" varchar(100) NOT NULL, "country" varchar(100) NOT NULL, "ledgerOrigin" varchar(255) NOT NULL, "createdAt" bigint NOT NULL)`,
  `CREATE UNIQUE INDEX "IDX_53abf3297a64f30ef23bbb4fd6" ON "hospital" ("ledgerOrigin")`,
  `CREATE TABLE "staff" ("id" varchar(36) PRIMARY KEY NOT NULL, "hospitalId" varchar(36) NOT NULL, "profile" blob NOT NULL, "startedAt" bigint, "lastDay" varchar(10), "departureReason" blob, "handOverTo" varchar(36))`,
  `CREATE INDEX "IDX_20869b49e80e608f2bb0c4b96a" ON "staff" ("hospitalId", "id")`,
  `CREATE TABLE "enrolment" ("patientId" varchar(36) PRIMARY KEY NOT NULL, "hospitalId" varchar(36) NOT NULL, "enrolledAt" bigint)`,
  `CREATE INDEX "IDX_b47ec08432a9c0ab89b522e406" ON "enrolment" ("hospitalId", "patientId")`,
  `CREATE TABLE "ledger_chain" ("chainId" blob PRIMARY KEY NOT NULL, "patientId" varchar(36) NOT NULL, "hospitalId" varchar(36) NOT NULL, "height" integer NOT NULL, "headHash" blob NOT NULL)`,
  `CREATE INDEX "IDX_e88d8bc585383b2841a528f842" ON "ledger_chain" ("hospitalId")`,
  `CREATE UNIQUE INDEX "IDX_4f421830d01419fb05172194bb" ON "ledger_chain" ("patientId", "hospitalId")`,
  `CREATE TABLE "ledger_block" ("chainId" blob NOT NULL, "height" integer NOT NULL, "blockHash" blob NOT NULL, "prevHash" blob NOT NULL, "refHash" blob, "header" blob NOT NULL, "recordId" varchar(36) NOT NULL, "version" integer NOT NULL, "attestation" text, PRIMARY KEY ("chainId", "height"))`,
  `CREATE INDEX "IDX_351d595ee602867128ad2504e7" ON "ledger_block" ("recordId")`,
  `CREATE UNIQUE INDEX "IDX_7dc8d1bb9dbb17565c2a26d368" ON "ledger_block" ("chainId", "prevHash")`,
  `CREATE INDEX "IDX_d186f6def691f208ef9a9ea69b" ON "ledger_block" ("refHash")`,
  `CREATE TABLE "ledger_content" ("recordId" varchar(36) NOT NULL, "version" integer NOT NULL, "ciphertext" blob NOT NULL, "recordKey" blob NOT NULL, PRIMARY KEY ("recordId", "version"))`,
  `CREATE TABLE "author_key" ("kid" varchar(43) PRIMARY KEY NOT NULL, "accountId" varchar(36) NOT NULL, "x" varchar(43) NOT NULL, "custody" varchar(6) NOT NULL, "privateKey" blob NOT NULL, "createdAt" bigint NOT NULL)`,
  `CREATE INDEX "IDX_f4b1464400e5a6a5e47c338aee" ON "author_key" ("accountId")`,
  `CREATE TABLE "patient" ("id" varchar(36) PRIMARY KEY NOT NULL, "hospitalId" varchar(36) NOT NULL, "name" blob NOT NULL, "birthDate" blob NOT NULL, "gender" blob NOT NULL, "nationalId" blob, "nationalIdIndex" blob, "contact" blob NOT NULL, "version" integer NOT NULL, "createdAt" bigint NOT NULL)`,
  `CREATE UNIQUE INDEX "IDX_56a71168f4bbee6ac24711acbd" ON "patient" ("hospitalId", "nationalIdIndex")`,
  `CREATE TABLE "record" ("id" varchar(36) PRIMARY KEY NOT NULL, "patientId" varchar(36) NOT NULL, "hospitalId" varchar(36) NOT NULL, "authorId" varchar(36) NOT NULL, "kind" varchar(40) NOT NULL, "status" varchar(6) NOT NULL, "content" blob, "version" integer NOT NULL, "amends" varchar(36), "amendment" varchar(10), "createdAt" bigint NOT NULL, "updatedAt" bigint NOT NULL, "sealedAt" bigint, "height" integer, "blockHash" varchar(64))`,
  `CREATE INDEX "IDX_c66fef1f820517cccdc7e40036" ON "record" ("amends")`,
  `CREATE INDEX "IDX_201b8704591618c1c93747a186" ON "record" ("authorId", "id")`,
  `CREATE INDEX "IDX_cd253eb63a630041871b618bcd" ON "record" ("hospitalId", "id")`,
  `CREATE INDEX "IDX_92441d70d88eab7c6925280daf" ON "record" ("patientId", "id")`,
  `CREATE TABLE "attachment" ("id" varchar(36) PRIMARY KEY NOT NULL, "recordId" varchar(36) NOT NULL, "patientId" varchar(36) NOT NULL, "hospitalId" varchar(36) NOT NULL, "name" blob NOT NULL, "contentType" varchar(100) NOT NULL, "size" integer NOT NULL, "sha256" blob, "createdAt" bigint NOT NULL, "completedAt" bigint)`,
  `CREATE INDEX "IDX_ee714a68e2c08a2c955ec9bb71" ON "attachment" ("recordId")`,
  `CREATE TABLE "attachment_chunk" ("attachmentId" varchar(36) NOT NULL, "position" integer NOT NULL, "bytes" blob NOT NULL, PRIMARY KEY ("attachmentId", "position"))`,
];

export class Initial1795345000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await runner.query(statement);
  }

  /** Would destroy every record: refused. Restore a backup instead. */
  down(): Promise<void> {
    return Promise.reject(new Error('The first migration is not undone: it would destroy all records.'));
  }
}
