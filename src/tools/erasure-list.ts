import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { EntityManager } from 'typeorm';
import { createApp, openFoundations } from '../app';
import { ApiError } from '../common/errors';
import { isoTime } from '../common/clock';
import type { Config } from '../config/config';
import { hkdfSha256, lengthPrefixed, sameBytes } from '../crypto/bytes';
import type { RootKeys } from '../crypto/root-keys';
import { genuineRows } from '../database/rows';
import { ErasureEntity } from '../erasure/erasure.entity';
import { ErasuresService, type ExecutedErasure } from '../erasure/erasures.service';
import { addFile, newFileAt } from './backup-files';
import { atWork } from './keys-operator';
import { OperatorError } from './operator';

/*
 * A backup does not know which erasures came after it. So the list of all executed ones is kept outside, made often, for it is small: ids, codes and instants.
 *
 *   JSON of an ErasureList, one line | HMAC-SHA-256(K, that line without its newline) in hex, one line
 *
 * K = HKDF-SHA-256(ledger key, info LP("ehr/erasure-list/v1")): a list of somebody else's making would erase what nobody approved.
 */
interface ErasureList {
  readonly form: 'bjwt-ehr/erasures/1';
  readonly madeAt: string;
  readonly erasures: readonly ExecutedErasure[];
}

/** Writes the list of all executed erasures; says how many. A server may be running. */
export function listErasures(config: Config, to: string): Promise<{ path: string; count: number }> {
  const madeAt = isoTime(Date.now());
  const path = newFileAt(to, `bjwt-ehr-${madeAt.replaceAll(/[-:.]/g, '')}.erasures`);
  return atWork(config, async ({ keys, database }) => {
    const erasures = await executed(database.reader);
    const text = JSON.stringify({ form: 'bjwt-ehr/erasures/1', madeAt, erasures } satisfies ErasureList);
    addFile(path, `${text}\n${mac(keys, text).toString('hex')}\n`, 0o600);
    return { path, count: erasures.length };
  });
}

/** Only what this server wrote so: the tag of each row is looked at. */
async function executed(manager: EntityManager): Promise<ExecutedErasure[]> {
  const rows = await manager.getRepository(ErasureEntity).find({ where: { state: 'executed' }, order: { decidedAt: 'ASC', id: 'ASC' } });
  return genuineRows(manager, ErasureEntity, rows).flatMap((row) => {
    const { id, hospitalId, patientId, recordId, reason, requestedBy, requestedAt, firstApprovedBy, secondApprovedBy } = row;
    if (firstApprovedBy === null || secondApprovedBy === null) return [];
    return [
      { id, hospitalId, patientId, recordId, reason, requestedBy, requestedAt, approvedBy: [firstApprovedBy, secondApprovedBy] as const },
    ];
  });
}

/** @throws OperatorError when the list is not of a server with these keys */
export function readErasures(file: string, keys: Pick<RootKeys, 'ledgerKey'>): readonly ExecutedErasure[] {
  const [text = '', code = '', ...rest] = readFileSync(file, 'utf8').split('\n');
  const fits = rest.length === 1 && rest[0] === '' && sameBytes(Buffer.from(code, 'hex'), mac(keys, text));
  if (!fits) throw new OperatorError(`${file} is no list of erasures of this server`);
  const list = JSON.parse(text) as ErasureList;
  if (list.form !== 'bjwt-ehr/erasures/1') throw new OperatorError(`${file} has a form that this release does not know`);
  return list.erasures;
}

/**
 * Executes them again where nobody works yet, by the server's own services, without its background work.
 * @returns those that were executed
 * @throws OperatorError when one of them cannot be: its people must decide
 */
export async function repeatErasures(config: Config, erasures: readonly ExecutedErasure[]): Promise<ExecutedErasure[]> {
  const app = await createApp(await openFoundations(config));
  try {
    const service = app.get(ErasuresService);
    const done: ExecutedErasure[] = [];
    for (const erasure of erasures) if (await repeat(service, erasure)) done.push(erasure);
    return done;
  } finally {
    await app.close();
  }
}

async function repeat(service: ErasuresService, erasure: ExecutedErasure): Promise<boolean> {
  try {
    return await service.repeat(erasure);
  } catch (error) {
    if (error instanceof ApiError) throw new OperatorError(`The erasure ${erasure.id} cannot be executed again: ${error.message}`);
    throw error;
  }
}

function mac({ ledgerKey }: Pick<RootKeys, 'ledgerKey'>, text: string): Buffer {
  const key = hkdfSha256(ledgerKey, new Uint8Array(), lengthPrefixed(['ehr/erasure-list/v1']), 32);
  return createHmac('sha256', key).update(text).digest();
}
