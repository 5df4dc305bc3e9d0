import { Injectable } from '@nestjs/common';
import { AccessService } from '../access/access.service';
import { TrailService } from '../audit/trail.service';
import type { StoredTrailRow } from '../audit/trail-rows';
import type { Actor } from '../common/actor';
import { ApiError, notFound } from '../common/errors';
import { Database } from '../database/database';
import { hospitalIds } from '../hospital/hospitals.service';
import { LogProofs, receiptOf } from '../tlog/log-proofs.service';
import { FormatError } from './core/bytes';
import { encodeTrailRow, parseTrailBody, trailHash, trailLeaf, trailPath } from './core/trail';
import { type TrailProof, trailProofJson } from './core/trail-proof';
import { verifyInclusion } from './core/tree';
import type { TrailProofResponse } from './ledger.dto';
import type { TrailBatchEntity } from './trail-batch.entity';
import { splitLeaves, trailBatchAt } from './trail-batches';

/** Proves single rows of the trail: to the patient whom they concern, and to those who may read the trail. */
@Injectable()
export class TrailProofsService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessService,
    private readonly trail: TrailService,
    private readonly proofs: LogProofs,
  ) {}

  /**
   * The proof of one row, as far as there is one by now. Asking for it is on the trail like every reading of it.
   * @throws ApiError `not_found`; `integrity_error` when the row, its batch and the leaves do not fit together
   */
  async prove(actor: Actor, id: string): Promise<TrailProofResponse> {
    if (actor.role !== 'PATIENT') return this.proofOf(await this.trail.row(actor, id));
    return this.access.read(actor, 'trail.own', { patientId: actor.id }, async (_manager, grant) => {
      const row = await this.trail.rowOfPatient(actor.id, id);
      if (!row) throw notFound();
      grant.note({ subjectId: id, count: 1 });
      return this.proofOf(row);
    });
  }

  private async proofOf(stored: StoredTrailRow): Promise<TrailProofResponse> {
    try {
      const row = encodeTrailRow(stored).toString('utf8');
      const batch = await trailBatchAt(this.database.reader, String(stored['id']));
      if (!batch) return trailProofJson({ row, batch: null, index: null, path: [], receipt: null });
      return trailProofJson({ row, ...placeIn(batch, stored), receipt: await this.receipt(stored, batch.body) });
    } catch (error) {
      if (error instanceof FormatError) throw unfit();
      throw error;
    }
  }

  /** From the log of the hospital that is concerned; of a row that concerns none, from that of the oldest. */
  private async receipt({ hospitalId, actorHospitalId }: StoredTrailRow, body: string): Promise<string | null> {
    const { reader } = this.database;
    const hospital = [hospitalId, actorHospitalId, ...(await hospitalIds(reader))].find((id) => typeof id === 'string');
    const proven = typeof hospital === 'string' ? await this.proofs.one(reader, hospital, trailHash(body)) : null;
    return proven && receiptOf(proven);
  }
}

/** A proof that would not verify is not given out. */
function placeIn({ body, leaves: column }: TrailBatchEntity, stored: StoredTrailRow): Pick<TrailProof, 'batch' | 'index' | 'path'> {
  const { count, root } = parseTrailBody(body);
  const leaf = trailLeaf(stored);
  const leaves = splitLeaves(column);
  const index = leaves.findIndex((other) => other.equals(leaf));
  if (index < 0 || leaves.length !== count) throw unfit();
  const path = trailPath(leaves, index);
  if (!verifyInclusion(BigInt(index), BigInt(count), leaf, path, root)) throw unfit();
  return { batch: body, index, path };
}

function unfit(): ApiError {
  return new ApiError('integrity_error', 'This row of the trail does not fit its batch');
}
