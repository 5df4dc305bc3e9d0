import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../ormconfig';
import type { ChainVerdictBase, ChainVerdictResponse } from '../ledger/ledger.dto';
import { type Person, shorten, type Stage } from './demo-stage';
import { count } from './progress-bar';
import { linesOf, auditData } from './audit-data';

const TRIGGER = 'ledger_content_no_update';

interface Victim {
  readonly id: string;
  readonly kind: string;
  readonly height: number;
}

export async function tampering(stage: Stage, doctor: Person, patientId: string): Promise<void> {
  stage.console.step('`npm run audit` walks every chain');
  await verify(stage, []);
  const { id, kind, height } = await victimOf(stage, doctor, patientId);
  stage.console.step('Somebody who owns the database file changes one byte of one sealed record');
  await flipByte(stage, id);
  stage.console.step('The change is seen, and where');
  await verify(stage, [{ patientId, height, field: 'ciphertext', code: 'CIPHERTEXT_MISMATCH', recordId: id }]);
  await verdictOverHttp(stage, doctor, patientId, 'TAMPERED');
  await stage.act({
    who: doctor,
    call: `GET /records/${id}`,
    status: 500,
    code: 'integrity_error',
    does: `is not shown the altered ${kind}`,
  });
  stage.console.step('The byte is put back: everything fits again');
  await flipByte(stage, id);
  await verify(stage, []);
  await verdictOverHttp(stage, doctor, patientId, 'VALID');
  await stage.act({ who: doctor, call: `GET /records/${id}`, status: 200, does: `reads the ${kind} again` });
}

interface Place {
  readonly patientId: string;
  readonly height: number;
  readonly field: string;
  readonly code: string;
  readonly recordId: string | null;
}

/** Runs the verifier of the command line; `expected` is all that it may find. */
async function verify(stage: Stage, expected: readonly Place[]): Promise<void> {
  const bad: ChainVerdictBase[] = [];
  const summary = await auditData(stage.config, {}, (verdict) => {
    if (verdict.findings.length > 0 || verdict.verdict !== 'VALID') bad.push(verdict);
  });
  for (const line of bad.flatMap(linesOf)) stage.console.note(line);
  const found = bad.flatMap(({ patientId, findings }) =>
    findings.map(({ height, field, code, recordId }): Place => ({ patientId, height, field, code, recordId })),
  );
  const size = `${count(summary.chains)} chains, ${count(summary.blocks)} blocks, ${summary.seconds.toFixed(2)} s`;
  const what = expected.length === 0 ? `VALID: ${size}` : `exactly one chain is TAMPERED, at that block (${size})`;
  stage.expect(what, { bad: expected.length, places: expected }, { bad: bad.length, places: found });
}

async function victimOf(stage: Stage, doctor: Person, patientId: string): Promise<Victim> {
  const { body } = await stage.act<{ items: Victim[] }>({
    who: doctor,
    call: `GET /patients/${patientId}/records?status=sealed&limit=5`,
    status: 200,
    does: 'reads an imported patient:',
    shows: ({ items }) => items.map((item) => item.kind).join(', '),
  });
  const victim = body.items[2] ?? body.items[0];
  if (!victim) throw new Error('the imported patient has no records');
  return victim;
}

async function verdictOverHttp(stage: Stage, who: Person, patientId: string, verdict: string): Promise<void> {
  const { body } = await stage.act<ChainVerdictResponse>({
    who,
    call: `POST /ledger/patients/${patientId}/verify`,
    status: 200,
    does: 'asks the server for its verdict:',
    shows: (answer) => answer.verdict,
  });
  stage.expect(`the server says ${verdict}`, verdict, body.verdict);
}

/**
 * As an attacker who owns the file: a connection of its own, the trigger that refuses is dropped and afterwards made again, so that nothing shows.
 * Done twice it undoes itself.
 */
async function flipByte(stage: Stage, recordId: string): Promise<void> {
  const source = await new DataSource({ ...dataSourceOptions(stage.config), migrationsRun: false }).initialize();
  try {
    await source.query('PRAGMA busy_timeout = 5000');
    const [trigger] = await source.query<{ sql: string }[]>(`SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?`, [TRIGGER]);
    const [row] = await source.query<{ ciphertext: Buffer }[]>(`SELECT ciphertext FROM ledger_content WHERE recordId = ?`, [recordId]);
    if (!trigger || !row) throw new Error('there is nothing to tamper with');
    const bytes = Buffer.from(row.ciphertext);
    const at = bytes.length >> 1;
    const before = bytes.readUInt8(at);
    bytes.writeUInt8(before ^ 1, at);
    const update = `UPDATE ledger_content SET ciphertext = ? WHERE recordId = ?`;
    const refused = await source.query(update, [bytes, recordId]).then(
      () => false,
      () => true,
    );
    stage.expect('the database itself refuses the change, as long as its trigger stands', true, refused);
    await source.transaction(async (tx) => {
      await tx.query(`DROP TRIGGER "${TRIGGER}"`);
      await tx.query(update, [bytes, recordId]);
      await tx.query(trigger.sql);
    });
    stage.console.note(`DROP TRIGGER ${TRIGGER}; UPDATE ledger_content …; CREATE TRIGGER …`);
    stage.console.note(`record ${shorten(recordId)}, byte ${at} of ${bytes.length}: ${hex(before)} → ${hex(before ^ 1)}`);
  } finally {
    await source.destroy();
  }
}

const hex = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`;
