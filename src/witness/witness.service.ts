import { Inject, Injectable } from '@nestjs/common';
import { isUtf8 } from 'node:buffer';
import type { EntityManager } from 'typeorm';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { Database } from '../database/database';
import { insertRow, selectRows, updateRow } from '../database/rows';
import { FormatError, sha256 } from '../ledger/core/bytes';
import { type Checkpoint, parseCheckpointText } from '../ledger/core/checkpoint';
import { cosignedBy, signCosignature } from '../ledger/core/cosignature';
import { formatNote, type Note, parseNote, signatureLine, signaturesOf } from '../ledger/core/note';
import type { NoteKey } from '../ledger/core/vkey';
import { formatSizeAnswer, judgeAddCheckpoint, parseAddCheckpoint, type WitnessAnswer } from '../ledger/core/witness-protocol';
import { LogKeys } from '../tlog/log-keys';
import { POLICY, type ServerPolicy } from '../tlog/policy-file';
import { refuseOwnNames } from './own-names';
import { WitnessCheckpointEntity } from './witness.entity';

/** An answer of C2SP tlog-witness whose body the specification lays down. The bodies of the others are free: they are problems, as everywhere here. */
export interface WitnessReply {
  readonly status: 200 | 409;
  readonly contentType: string;
  readonly body: string;
}

const TEXT = 'text/plain; charset=utf-8';
const REFUSALS = { 400: 'invalid_request', 403: 'untrusted_signature', 404: 'unknown_log', 422: 'inconsistent_checkpoint' } as const;

/**
 * This server as a witness (C2SP tlog-witness) of the logs that its policy lists. Its cosignature says: this tree continues every tree of that log that I
 * cosigned before. All of its worth is that the stored checkpoint never goes back and never has two roots for one size.
 */
@Injectable()
export class WitnessService {
  constructor(
    private readonly database: Database,
    private readonly keys: LogKeys,
    private readonly clock: Clock,
    @Inject(POLICY) private readonly policy: ServerPolicy,
  ) {
    refuseOwnNames(policy, keys);
  }

  /**
   * Answers add-checkpoint. What is cosigned is durable before the answer leaves. Most refusals cost no write: they are decided on what is committed; only a
   * request that would be cosigned is judged again, and stored, in one transaction, so that of two concurrent requests the second sees the first.
   * @throws ApiError 400, 403, 404 or 422, each as the specification says
   */
  async add(body: Buffer): Promise<WitnessReply> {
    const text = isUtf8(body) ? body.toString('utf8') : '';
    const origin = originOf(text);
    const last = await storedFor(this.database.reader, origin);
    const answer = this.judge(text, last);
    if (answer.status !== 200) return toReply(answer);
    return this.again(answer.note, last) ?? this.database.transaction((tx) => this.cosign(tx, text, origin));
  }

  /** What was answered this second already: anybody can repeat a request for the newest checkpoint, and a write for each would hold up all that is sealed here. */
  private again(note: Note, last: WitnessCheckpointEntity | null): WitnessReply | null {
    const stored = last && parseNote(last.note);
    const { key } = this.keys.witness;
    if (stored?.text !== note.text) return null;
    const cosigned = cosignedBy(stored, key);
    const [signature] = signaturesOf(stored, key);
    return cosigned && signature && cosigned.timestamp >= this.second()
      ? { status: 200, contentType: TEXT, body: signatureLine(signature) }
      : null;
  }

  /** The checkpoint that was cosigned last, with the log's signature and ours; null when there is none. @param originHash SHA-256 of the origin, lower-case hex */
  async latest(originHash: string): Promise<string | null> {
    const rows = await this.database.reader.getRepository(WitnessCheckpointEntity).find({ select: { origin: true } });
    const found = rows.find(({ origin }) => sha256(origin).toString('hex') === originHash);
    return found ? ((await storedFor(this.database.reader, found.origin))?.note ?? null) : null;
  }

  private judge(body: string, last: WitnessCheckpointEntity | null): WitnessAnswer {
    const stored = (origin: string): Checkpoint | undefined => {
      if (last === null) return undefined;
      if (last.origin !== origin) throw new ApiError('internal_error');
      return { origin, size: BigInt(last.size), root: last.root };
    };
    return judgeAddCheckpoint(body, (origin) => this.keysOf(origin), stored);
  }

  private keysOf(origin: string): NoteKey[] {
    return this.policy.logs.filter(({ key }) => key.name === origin).map(({ key }) => key);
  }

  private async cosign(tx: EntityManager, body: string, origin: string): Promise<WitnessReply> {
    const last = await storedFor(tx, origin);
    const answer = this.judge(body, last);
    if (answer.status !== 200) return toReply(answer);
    const { note, checkpoint } = answer;
    const cosignature = signCosignature(note.text, this.keys.witness, this.timeAfter(last));
    const row = {
      origin,
      size: checkpoint.size.toString(),
      root: checkpoint.root,
      note: formatNote({ text: note.text, signatures: [...note.signatures, cosignature] }),
    };
    if (!last) await insertRow(tx, WitnessCheckpointEntity, row);
    else await updateRow(tx, WitnessCheckpointEntity, last, row);
    return { status: 200, contentType: TEXT, body: signatureLine(cosignature) };
  }

  /** Seconds since the epoch; never before our last cosignature of this log: a clock that was set back must not make two statements contradict each other. */
  private timeAfter(last: WitnessCheckpointEntity | null): bigint {
    const now = this.second();
    const before = last ? cosignedBy(parseNote(last.note), this.keys.witness.key) : undefined;
    return before && before.timestamp > now ? before.timestamp : now;
  }

  private second(): bigint {
    return BigInt(Math.max(1, Math.floor(this.clock.now() / 1000)));
  }
}

/** The origin that a request is about. @throws ApiError `invalid_request` */
function originOf(body: string): string {
  try {
    return parseCheckpointText(parseNote(parseAddCheckpoint(body).checkpoint).text).origin;
  } catch (error) {
    throw error instanceof FormatError ? new ApiError('invalid_request', error.message) : error;
  }
}

/** What was cosigned last. The columns are held against the note: a row that contradicts itself is no ground to cosign on. */
async function storedFor(manager: EntityManager, origin: string): Promise<WitnessCheckpointEntity | null> {
  const [row] = await selectRows(manager, WitnessCheckpointEntity, 'origin', [origin]);
  if (!row) return null;
  const noted = parseCheckpointText(parseNote(row.note).text);
  if (noted.origin !== origin || noted.size.toString() !== row.size || !noted.root.equals(row.root))
    throw new ApiError('integrity_error', 'A stored checkpoint contradicts itself');
  return row;
}

function toReply(answer: Exclude<WitnessAnswer, { status: 200 }>): WitnessReply {
  if (answer.status === 409) return { status: 409, contentType: 'text/x.tlog.size', body: formatSizeAnswer(answer.size) };
  throw new ApiError(REFUSALS[answer.status], answer.reason);
}
