import { Inject, Injectable } from '@nestjs/common';
import { notFound } from '../common/errors';
import { Database } from '../database/database';
import { HospitalsService } from '../hospital/hospitals.service';
import { FormatError, HASH_BYTES } from '../ledger/core/bytes';
import { encodeEntry } from '../ledger/core/entry';
import { encodeEntryBundle, parseTilePath, TILE_WIDTH, tileWidthAt, type TileId } from '../ledger/core/tiles';
import { formatVkey } from '../ledger/core/vkey';
import { formatAddCheckpoint } from '../ledger/core/witness-protocol';
import { checkpointOf, cosignedNote, type LogWork, newestCheckpoint, workOf } from './checkpoint-store';
import { LogKeys } from './log-keys';
import { LogPublisher } from './log-publisher.service';
import { currentLog, leavesBetween, logsOf } from './log-store';
import { POLICY, type ServerPolicy } from './policy-file';
import type { LogResponse, LogsResponse } from './tlog.dto';
import { IncarnationEntity, type LogEntity } from './tlog.entity';
import { Trees } from './tree-reader';

/** What the whole world may read of the logs: checkpoints, tiles, entries (C2SP tlog-tiles). Hashes only: nothing in it says anything about a person. */
@Injectable()
export class PublicationService {
  constructor(
    private readonly database: Database,
    private readonly hospitals: HospitalsService,
    private readonly publisher: LogPublisher,
    private readonly keys: LogKeys,
    private readonly trees: Trees,
    @Inject(POLICY) private readonly policy: ServerPolicy,
  ) {}

  async logs(): Promise<LogsResponse> {
    const logs: LogResponse[] = [];
    for (const work of await workOf(this.database.reader)) logs.push(await this.describe(work));
    return { logs, witnessVkey: formatVkey(this.keys.witness.key) };
  }

  private async describe({ id, hospitalId, incarnation, origin, size, signedSize }: LogWork): Promise<LogResponse> {
    const { reader } = this.database;
    const begun = incarnation === 1 ? null : await reader.getRepository(IncarnationEntity).findOneBy({ logId: id });
    const [, ...former] = incarnation === 1 ? [] : await logsOf(reader, hospitalId);
    return {
      hospitalId,
      origin,
      vkey: this.vkey(origin),
      size,
      signedSize: Math.max(0, signedSize),
      halted: this.publisher.haltOf(id) ?? null,
      incarnation,
      statement: begun?.statement ?? null,
      former: former.map((log) => ({ origin: log.origin, vkey: this.vkey(log.origin) })),
    };
  }

  private vkey(origin: string): string {
    return formatVkey(this.keys.log(origin).key);
  }

  /** The newest checkpoint with its cosignatures. */
  async checkpoint(hospitalId?: string): Promise<string> {
    const { reader } = this.database;
    const newest = await newestCheckpoint(reader, (await this.log(hospitalId)).id);
    if (!newest) throw notFound();
    return cosignedNote(reader, newest);
  }

  /**
   * A tile or entry bundle, full or partial. Only leaves under a published checkpoint are shown.
   * @param path as in C2SP tlog-tiles after `tile/`, e.g. `0/x001/067.p/12`, `entries/000`
   */
  async tile(path: string, hospitalId?: string): Promise<Buffer> {
    const tile = tileOf(path);
    const log = await this.log(hospitalId);
    const signed = (await newestCheckpoint(this.database.reader, log.id))?.size ?? 0;
    if (tile.width > tileWidthAt(tile.level, tile.index, BigInt(signed))) throw notFound();
    const index = Number(tile.index);
    if (tile.level === 'entries') {
      const from = index * TILE_WIDTH;
      const entries = await leavesBetween(this.database.reader, log.id, from, from + tile.width);
      return encodeEntryBundle(entries.map((entry) => encodeEntry(entry)));
    }
    const hashes = await this.trees.of(this.database.reader, log.id).tile(tile.level, index);
    return hashes.subarray(0, tile.width * HASH_BYTES);
  }

  /**
   * Proof that the log of `to` leaves continues that of `from`: a request of C2SP tlog-witness, which carries the checkpoint of `to`.
   * @param to size of a published checkpoint; the newest when left out
   */
  async consistency(hospitalId: string, from: number, to?: number): Promise<string> {
    const { reader } = this.database;
    const log = await this.log(hospitalId);
    const checkpoint = await (to === undefined ? newestCheckpoint(reader, log.id) : checkpointOf(reader, log.id, to));
    if (!checkpoint || from > checkpoint.size) throw notFound();
    const proof = await this.trees.of(reader, log.id).consistency(BigInt(from), BigInt(checkpoint.size));
    return formatAddCheckpoint({ oldSize: BigInt(from), proof, checkpoint: await cosignedNote(reader, checkpoint) });
  }

  /** What a verifier needs to check receipts of this log, in the form of C2SP tlog-policy: our log and its former ones, our witnesses, our quorum. Compare the keys elsewhere. */
  async policyText(hospitalId?: string): Promise<string> {
    const current = await this.log(hospitalId);
    const logs = await logsOf(this.database.reader, current.hospitalId);
    return `${logs.map(({ origin }) => `log ${this.vkey(origin)}\n`).join('')}${this.policy.witnessLines}`;
  }

  /** The log of a hospital; without a name, of the only hospital of this server. */
  private async log(hospitalId: string | undefined): Promise<LogEntity> {
    const id = hospitalId ?? (await this.hospitals.only());
    const log = id === null ? null : await currentLog(this.database.reader, id);
    if (!log) throw notFound();
    return log;
  }
}

function tileOf(path: string): TileId {
  try {
    return parseTilePath(path);
  } catch (error) {
    if (error instanceof FormatError) throw notFound();
    throw error;
  }
}
