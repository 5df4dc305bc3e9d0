import type { EntityManager } from 'typeorm';
import { newId } from '../common/ids';
import { CryptoError } from '../crypto/crypto-error';
import type { RowTagger } from '../crypto/row-tag';
import { tagExistingRows } from '../database/tagged-tables';
import { AuditEventEntity } from './audit-event.entity';
import { insertEvent, toEvent } from './audit.service';

/**
 * Gives every row its tag in the first start that knows tags. It leaves a row on the trail, which is sealed with the others and is why it happens once:
 * whoever takes away all tags and all sums, to have rows of the own making tagged, would have to take that one too, and an audit misses it.
 * @throws CryptoError `row_set_missing`, `row_set_rejected`
 */
export async function tagRowsOnce(tx: EntityManager, tagger: RowTagger): Promise<void> {
  const count = await tagExistingRows(tx, tagger);
  if (count === null) return;
  if (await tx.getRepository(AuditEventEntity).existsBy({ action: 'row.tag' })) throw new CryptoError('row_set_missing');
  await insertEvent(tx, toEvent({ action: 'row.tag', outcome: 'ok', actor: null, requestId: newId(), count }, Date.now()));
}
