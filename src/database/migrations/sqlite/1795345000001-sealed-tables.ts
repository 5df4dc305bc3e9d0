import type { MigrationInterface, QueryRunner } from 'typeorm';

interface Rule {
  readonly name: string;
  readonly on: string;
  readonly when?: string;
  readonly says: string;
}

const SEALED_FILE = `EXISTS (SELECT 1 FROM "record" r WHERE r."id" = OLD."recordId" AND r."status" = 'sealed') AND OLD."completedAt" IS NOT NULL`;
const PIECE_OF_SEALED_FILE = `EXISTS (SELECT 1 FROM "attachment" a JOIN "record" r ON r."id" = a."recordId" WHERE a."id" = OLD."attachmentId" AND a."completedAt" IS NOT NULL AND r."status" = 'sealed')`;
const MOVES_ON = `NEW."height" = OLD."height" + 1 AND NEW."chainId" = OLD."chainId" AND NEW."patientId" = OLD."patientId" AND NEW."hospitalId" = OLD."hospitalId"`;

/**
 * What is sealed stays: the database itself refuses to change or delete it, whatever bug or injection asks for it. Whoever owns the database file can
 * drop a trigger; the chain is there to show what they then change.
 */
const RULES: readonly Rule[] = [
  ...['audit_event', 'ledger_block', 'ledger_content', 'author_key', 'consent'].flatMap((table) => [
    { name: `${table}_no_update`, on: `UPDATE ON "${table}"`, says: `${table} is append-only` },
    { name: `${table}_no_delete`, on: `DELETE ON "${table}"`, says: `${table} is append-only` },
  ]),
  { name: 'ledger_chain_moves_on', on: 'UPDATE ON "ledger_chain"', when: `NOT (${MOVES_ON})`, says: 'a chain only grows, block by block' },
  { name: 'ledger_chain_no_delete', on: 'DELETE ON "ledger_chain"', says: 'a chain is never deleted' },
  { name: 'record_sealed_no_update', on: 'UPDATE ON "record"', when: `OLD."status" = 'sealed'`, says: 'a sealed record is never changed' },
  { name: 'record_sealed_no_delete', on: 'DELETE ON "record"', when: `OLD."status" = 'sealed'`, says: 'a sealed record is never deleted' },
  {
    name: 'attachment_sealed_no_update',
    on: 'UPDATE ON "attachment"',
    when: SEALED_FILE,
    says: 'a file of a sealed record is never changed',
  },
  {
    name: 'attachment_sealed_no_delete',
    on: 'DELETE ON "attachment"',
    when: SEALED_FILE,
    says: 'a file of a sealed record is never deleted',
  },
  {
    name: 'chunk_sealed_no_update',
    on: 'UPDATE ON "attachment_chunk"',
    when: PIECE_OF_SEALED_FILE,
    says: 'a file of a sealed record is never changed',
  },
  {
    name: 'chunk_sealed_no_delete',
    on: 'DELETE ON "attachment_chunk"',
    when: PIECE_OF_SEALED_FILE,
    says: 'a file of a sealed record is never deleted',
  },
];

export class SealedTables1795345000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const { name, on, when, says } of RULES) {
      await runner.query(
        `CREATE TRIGGER "${name}" BEFORE ${on} ${when === undefined ? '' : `WHEN ${when} `}BEGIN SELECT RAISE(ABORT, '${says}'); END`,
      );
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const { name } of RULES) await runner.query(`DROP TRIGGER "${name}"`);
  }
}
