import type { EntityManager } from 'typeorm';
import { CryptoError } from '../crypto/crypto-error';
import type { RowTagger } from '../crypto/row-tag';
import { areRowsTagged, tagExistingRows } from '../database/tagged-tables';
import { AuditEventEntity } from './audit-event.entity';

/** Whether the trail says that rows have tags. It is sealed with the other rows: an audit misses it when it is gone. */
export function isTaggingOnTrail(manager: EntityManager): Promise<boolean> {
  return manager.getRepository(AuditEventEntity).existsBy({ action: 'row.tag' });
}

/**
 * Gives every row its tag in the first start that knows tags, and never again: whoever takes away all tags and the sums, to have rows of the own making
 * tagged, would have to take a row of the trail with them.
 * @throws CryptoError `row_set_missing`, `row_set_rejected`
 */
export async function tagRowsOnce(tx: EntityManager, tagger: RowTagger): Promise<void> {
  if (await areRowsTagged(tx, tagger)) return;
  if (await isTaggingOnTrail(tx)) throw new CryptoError('row_set_missing');
  await tagExistingRows(tx, tagger);
}
