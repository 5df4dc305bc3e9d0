import { type EntityManager, Not } from 'typeorm';
import { dialectOf, queryRows } from '../database/dialect';
import { BlockKind } from '../ledger/core/header';
import type { OpenedBlock } from '../ledger/open-block';
import { firstMisfit, rowFindings, type RowKeeper } from '../ledger/row-keeper';
import { RecordEntity } from './record.entity';

const KINDS = [BlockKind.record, BlockKind.amendment, BlockKind.profile, BlockKind.answer] as const;

/** The sealed frame of a correction. */
interface Frame {
  readonly kind?: unknown;
  readonly amends?: unknown;
  readonly blockHash?: unknown;
  readonly resource?: { readonly resourceType?: unknown } | null;
}

/**
 * The first column of a sealed row that says something else than its block and its content, or undefined. Lists and answers show the row, so whoever edits
 * the database could otherwise re-date, re-attribute, hide or retract what is sealed without touching the chain. Of an erased record only the block is left
 * to compare: kind, amendment and amends cannot be checked any more, but for whether it corrects something at all.
 */
export function misfit(row: RecordEntity, block: OpenedBlock): string | undefined {
  const isAmendment = block.kind === BlockKind.amendment;
  const { payload } = block;
  const content = payload ? contentMisfits(row, block, payload) : { amendment: (row.amendment !== null) === isAmendment };
  return firstMisfit({
    status: row.status === (payload ? 'sealed' : 'erased') && KINDS.some((kind) => kind === block.kind),
    height: row.height === block.height,
    blockHash: row.blockHash === block.blockHash,
    sealedAt: row.sealedAt === block.sealedAt,
    version: row.version === block.version,
    authorId: row.authorId === block.authorId,
    ...content,
  } satisfies Fits);
}

type Fits = Partial<Record<keyof RecordEntity, boolean>>;

function contentMisfits(row: RecordEntity, block: OpenedBlock, payload: Buffer): Fits {
  const text = JSON.parse(payload.toString('utf8')) as Frame & { readonly resourceType?: unknown };
  const isAmendment = block.kind === BlockKind.amendment;
  const resource = isAmendment ? text.resource : text;
  return {
    amendment: row.amendment === (isAmendment ? text.kind : null),
    amends: row.amends === (isAmendment ? text.amends : null) && (!isAmendment || text.blockHash === block.refHash),
    kind: resource === null || resource?.resourceType === row.kind, // a retraction has no content
  };
}

type Row = Pick<RecordEntity, 'id' | 'patientId' | 'status' | 'height' | 'blockHash' | 'sealedAt' | 'version'>;

/** Only the columns that are compared: a verification reads every row there is. One text for any number of ids, so that it is compiled once. */
const rowsAmong = (
  ids: string,
): string => `SELECT r."id" AS "id", r."patientId" AS "patientId", r."status" AS "status", r."height" AS "height",
  r."blockHash" AS "blockHash", r."sealedAt" AS "sealedAt", r."version" AS "version" FROM ${ids} JOIN "record" r ON r."id" = i."value"`;
const ROWS = { sqlite: rowsAmong('json_each(?) i'), postgres: rowsAmong('json_array_elements_text(?::json) i("value")') };

function rowsOf(manager: EntityManager, ids: readonly string[]): Promise<Row[]> {
  return queryRows<Row>(manager, ROWS[dialectOf(manager)], [JSON.stringify(ids)]);
}

/** The rows of `record` that lists and answers are made of. */
export const recordRows: RowKeeper = {
  kinds: KINDS,

  async findings(manager, patientId, facts) {
    const ids = facts.map((fact) => fact.recordId);
    const byId = new Map((await rowsOf(manager, ids)).map((row) => [row.id, row]));
    return facts.flatMap((fact) => {
      const row = byId.get(fact.recordId);
      const fits = row && {
        patientId: row.patientId === patientId,
        status: row.status === (fact.erased ? 'erased' : 'sealed'),
        height: row.height === fact.height,
        blockHash: row.blockHash === fact.blockHash,
        sealedAt: row.sealedAt === fact.sealedAt,
        version: row.version === fact.version,
      };
      return rowFindings(fact, 'record', fits);
    });
  },

  count: (manager: EntityManager, patientId) => manager.getRepository(RecordEntity).countBy({ patientId, status: Not('draft') }),

  async patients(manager) {
    const rows = await manager
      .createQueryBuilder(RecordEntity, 'r')
      .select('DISTINCT r.patientId', 'patientId')
      .where(`r.status <> 'draft'`)
      .getRawMany<{ patientId: string }>();
    return rows.map((row) => row.patientId);
  },
};
