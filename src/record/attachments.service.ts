import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type EntityManager, In, IsNull, LessThan, Not } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { CONFIG, type Config } from '../config/config';
import { KeyRing } from '../crypto/key-ring.service';
import type { Vault } from '../crypto/vault';
import { Database } from '../database/database';
import type { AttachmentResponse } from './record.dto';
import { AttachmentChunkEntity, AttachmentEntity, type RecordEntity } from './record.entity';
import { FoundRecord, RecordsService } from './records.service';
import { sealedFiles } from './resources';

const CHUNK_BYTES = 256 * 1024;

/** No upload takes longer: a slower client is cut off (`SLOW_CLIENT_SECONDS`). */
const UPLOAD_MS = 3_600_000;
const MAX_FILES = 20;

export interface Upload {
  readonly name: string;
  readonly contentType: string;
  readonly bytes: AsyncIterable<Buffer>;
}

/** A stored file on its way out. */
export interface Download {
  readonly file: AttachmentResponse;
  readonly bytes: Readable;
}

/**
 * Files of a record (R30). They are streamed in pieces, each sealed under the patient's key and bound to its place, so neither a large file
 * nor a slow sender holds memory or the write lock. A file counts only when it is complete; what an interrupted upload left is removed.
 */
@Injectable()
export class AttachmentsService implements OnApplicationBootstrap {
  constructor(
    private readonly database: Database,
    private readonly access: AccessService,
    private readonly records: RecordsService,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Uploads that a stopped server cut off; those of other processes may be under way. */
  async onApplicationBootstrap(): Promise<void> {
    await this.database.transaction(async (tx) => {
      const cut = await tx
        .getRepository(AttachmentEntity)
        .find({ where: { completedAt: IsNull(), createdAt: LessThan(this.clock.now() - UPLOAD_MS) }, select: { id: true } });
      await this.discard(
        tx,
        cut.map((row) => row.id),
      );
    });
  }

  async add(actor: Actor, recordId: string, upload: Upload): Promise<AttachmentResponse> {
    const { id, vault } = await this.begin(actor, recordId, upload);
    try {
      const { size, sha256 } = await this.store(id, vault, upload.bytes);
      return await this.complete(actor, recordId, id, { size, sha256 }, upload);
    } catch (error) {
      await this.database.transaction((tx) => this.discard(tx, [id]));
      throw error;
    }
  }

  list(actor: Actor, recordId: string): Promise<AttachmentResponse[]> {
    const record = new FoundRecord(recordId);
    return this.access.read(actor, 'attachment.read', record.target, async (manager, grant) => {
      const files = await this.files(manager, grant, record.row);
      grant.note({ ids: files.map((file) => file.id) });
      return files;
    });
  }

  /** The file, piece by piece; a piece that was altered or moved in the database ends the stream with an error. */
  open(actor: Actor, recordId: string, id: string): Promise<Download> {
    const record = new FoundRecord(recordId);
    return this.access.read(actor, 'attachment.read', record.target, async (manager, grant) => {
      const file = (await this.files(manager, grant, record.row)).find((item) => item.id === id);
      if (!file) throw notFound();
      const vault = await this.keyRing.vault(manager, grant.subject);
      grant.note({ subjectId: id });
      return { file, bytes: Readable.from(this.pieces(manager, vault, file), { objectMode: false }) };
    });
  }

  /** The files of a record. Of a sealed one, those that the seal covers and no others: a row that was moved there later is not one of them. */
  private async files(manager: EntityManager, grant: Grant, record: RecordEntity): Promise<AttachmentResponse[]> {
    const rows = await manager
      .getRepository(AttachmentEntity)
      .find({ where: { recordId: record.id, completedAt: Not(IsNull()) }, order: { id: 'ASC' } });
    const vault = await this.keyRing.vault(manager, grant.subject);
    if (record.status === 'draft') return rows.map((row) => toResponse(row, vault));
    return sealedFiles(await this.records.sealedContent(manager, grant, record)).map((file) => {
      const row = rows.find((item) => item.id === file.id);
      if (!row) throw new ApiError('integrity_error', 'A file of a sealed record is missing');
      return { ...file, createdAt: isoTime(row.createdAt) };
    });
  }

  private begin(actor: Actor, recordId: string, upload: Upload): Promise<{ id: string; vault: Vault }> {
    const record = new FoundRecord(recordId);
    return this.access.prepare(actor, 'attachment.add', record.target, async (tx, grant) => {
      record.draft();
      if ((await tx.getRepository(AttachmentEntity).countBy({ recordId })) >= MAX_FILES)
        throw new ApiError('conflict', `A record has at most ${MAX_FILES} files`);
      const now = this.clock.now();
      const id = newId(now);
      const vault = await this.keyRing.vault(tx, grant.subject);
      const { patientId, hospitalId } = grant;
      const row = {
        id,
        recordId,
        patientId,
        hospitalId,
        name: vault.seal('attachment.name', id, upload.name),
        contentType: upload.contentType,
        size: 0,
        sha256: null,
        createdAt: now,
        completedAt: null,
      };
      await tx.getRepository(AttachmentEntity).insert(row);
      return { id, vault };
    });
  }

  private async store(id: string, vault: Vault, source: AsyncIterable<Buffer>): Promise<{ size: number; sha256: Buffer }> {
    const hash = createHash('sha256');
    let size = 0;
    let position = 0;
    for await (const piece of inChunks(source)) {
      size += piece.length;
      if (size > this.config.http.attachmentLimit) throw new ApiError('body_too_large');
      hash.update(piece);
      const chunk = { attachmentId: id, position, bytes: vault.seal('attachment.chunk', `${id}/${position}`, piece) };
      await this.database.transaction((tx) => tx.getRepository(AttachmentChunkEntity).insert(chunk));
      position += 1;
    }
    if (size === 0)
      throw new ApiError('invalid_request', 'The file is empty', { errors: [{ path: 'body', message: 'must not be empty' }] });
    return { size, sha256: hash.digest() };
  }

  /**
   * Decides again, and puts the act on the trail: while the file came in, the draft may have been sealed, deleted or handed over, or the author may have left.
   */
  private complete(
    actor: Actor,
    recordId: string,
    id: string,
    done: { size: number; sha256: Buffer },
    upload: Upload,
  ): Promise<AttachmentResponse> {
    const record = new FoundRecord(recordId);
    return this.access.change(actor, 'attachment.add', record.target, async (tx, grant) => {
      record.draft();
      const completedAt = this.clock.now();
      await tx.getRepository(AttachmentEntity).update({ id }, { ...done, completedAt });
      const { createdAt } = await tx.getRepository(AttachmentEntity).findOneByOrFail({ id });
      grant.note({ subjectId: id, kind: 'Attachment' });
      const { name, contentType } = upload;
      return { id, name, contentType, size: done.size, sha256: done.sha256.toString('base64'), createdAt: isoTime(createdAt) };
    });
  }

  private async *pieces(
    manager: EntityManager,
    vault: Vault,
    row: Pick<AttachmentResponse, 'id' | 'size' | 'sha256'>,
  ): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for (let position = 0, sent = 0; sent < row.size; position += 1) {
      const chunk = await manager.getRepository(AttachmentChunkEntity).findOneBy({ attachmentId: row.id, position });
      if (!chunk) throw new ApiError('integrity_error', 'A piece of the file is missing');
      const piece = vault.openBytes('attachment.chunk', `${row.id}/${position}`, chunk.bytes);
      sent += piece.length;
      hash.update(piece);
      if (sent >= row.size && hash.digest('base64') !== row.sha256)
        throw new ApiError('integrity_error', 'The file does not match its hash');
      yield piece;
    }
  }

  private async discard(tx: EntityManager, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await tx.getRepository(AttachmentChunkEntity).delete({ attachmentId: In([...ids]) });
    await tx.getRepository(AttachmentEntity).delete({ id: In([...ids]) });
  }
}

function toResponse(row: AttachmentEntity, vault: Vault): AttachmentResponse {
  const { id, contentType, size } = row;
  return {
    id,
    name: vault.open('attachment.name', id, row.name),
    contentType,
    size,
    sha256: (row.sha256 ?? Buffer.alloc(0)).toString('base64'),
    createdAt: isoTime(row.createdAt),
  };
}

/** The same bytes in pieces of CHUNK_BYTES, the last one shorter. */
async function* inChunks(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  for await (const part of source) {
    waiting.push(part);
    length += part.length;
    if (length < CHUNK_BYTES) continue;
    const all = Buffer.concat(waiting);
    let at = 0;
    for (; all.length - at >= CHUNK_BYTES; at += CHUNK_BYTES) yield all.subarray(at, at + CHUNK_BYTES);
    waiting = [all.subarray(at)];
    length = all.length - at;
  }
  if (length > 0) yield Buffer.concat(waiting);
}
