import { isoTime, isoTimeOrNull } from '../common/clock';
import { exactText } from '../common/json-text';
import { RawJson } from '../common/raw-json';
import type { RecordResponse, RecordSummaryResponse } from './record.dto';
import type { RecordEntity } from './record.entity';

/** What is known of a record without its content. */
export function toSummary(row: RecordEntity, authorName: string | null): RecordSummaryResponse {
  return {
    id: row.id,
    patientId: row.patientId,
    hospitalId: row.hospitalId,
    authorId: row.authorId,
    authorName,
    kind: row.kind,
    status: row.status,
    version: row.version,
    amends: row.amends,
    amendment: row.amendment,
    createdAt: isoTime(row.createdAt),
    updatedAt: isoTime(row.updatedAt),
    sealedAt: isoTimeOrNull(row.sealedAt),
    height: row.height,
    blockHash: row.blockHash,
  };
}

/** The same with the content; of a correction, `text` is the sealed frame around the resource; null when it was erased. */
export function toResponse(
  row: RecordEntity,
  authorName: string | null,
  text: string | null,
  amendedBy: readonly RecordEntity[],
): RecordResponse {
  return {
    ...toSummary(row, authorName),
    ...contentOf(row, text),
    amendedBy: amendedBy.map((later) => ({ recordId: later.id, kind: later.amendment ?? '' })),
  };
}

function contentOf(row: RecordEntity, text: string | null): { resource: RawJson | null; reason: string | null } {
  if (text === null) return { resource: null, reason: null };
  if (row.amendment === null) return { resource: new RawJson(text), reason: null };
  const resource = exactText(text, ['resource']);
  const { reason } = JSON.parse(text) as { reason: string };
  return { resource: resource === undefined || resource === 'null' ? null : new RawJson(resource), reason };
}
