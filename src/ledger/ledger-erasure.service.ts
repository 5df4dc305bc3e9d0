import { Injectable } from '@nestjs/common';
import { type EntityManager, In } from 'typeorm';
import type { Grant } from '../access/access.service';
import { ApiError } from '../common/errors';
import { KeyRing } from '../crypto/key-ring.service';
import { HospitalsService } from '../hospital/hospitals.service';
import { AuthorKeysService } from './author-keys.service';
import { b64u, b64uDecode } from './core/bytes';
import { decryptContent, opening } from './core/content';
import { type ErasureCertificate, readCertificate } from './core/erasure-certificate';
import { decodeHeader } from './core/header';
import { AuthorKeyEntity, BlockEntity, ContentEntity } from './ledger.entity';
import type { SealedBlock } from './ledger.service';

const PAGE = 500;

/** What was erased by a block: one record, or everything below. */
export interface ErasedScope {
  readonly recordId: string | null;
}

/** The ledger's part of an erasure. Triggers refuse to delete a content unless an ERASE block speaks of it, so that block is sealed first. */
@Injectable()
export class LedgerErasureService {
  constructor(
    private readonly hospitals: HospitalsService,
    private readonly authorKeys: AuthorKeysService,
    private readonly keyRing: KeyRing,
  ) {}

  /**
   * Deletes the contents that the block speaks of: ciphertexts and wrapped record keys. Says how many.
   * @throws ApiError `integrity_error` when the content of the one record is not there
   */
  async deleteContents(tx: EntityManager, erasure: SealedBlock, { recordId }: ErasedScope): Promise<number> {
    const contents = tx.getRepository(ContentEntity);
    if (recordId !== null) {
      const { affected } = await contents.delete({ recordId });
      if (affected !== 1) throw new ApiError('integrity_error', 'The content of a sealed record is missing');
      return affected;
    }
    let deleted = 0;
    const chainId = b64uDecode(erasure.chainId, 'chainId');
    for (let below = erasure.height; below > 0; below -= PAGE) {
      const blocks = await tx
        .createQueryBuilder(BlockEntity, 'b')
        .select(['b.chainId', 'b.height', 'b.recordId'])
        .where('b.chainId = :chainId AND b.height < :below AND b.height >= :from', { chainId, below, from: below - PAGE })
        .getMany();
      deleted += (await contents.delete({ recordId: In(blocks.map((block) => block.recordId)) })).affected ?? 0;
    }
    return deleted;
  }

  /** What proves an ERASE block to its patient. Made while the block's content still opens, and checked as anybody else would check it. */
  async certificate(tx: EntityManager, grant: Grant, erasure: SealedBlock): Promise<ErasureCertificate> {
    const { recordId, height, chainId } = erasure;
    const block = await tx.getRepository(BlockEntity).findOneByOrFail({ chainId: b64uDecode(chainId, 'chainId'), height });
    const content = await tx.getRepository(ContentEntity).findOneByOrFail({ recordId, version: block.version });
    const header = decodeHeader(block.header);
    const { x } = await tx.getRepository(AuthorKeyEntity).findOneByOrFail({ kid: b64u(header.authorKeyId) });
    const vault = await this.keyRing.vault(tx, grant.subject);
    const recordKey = vault.openBytes('content.record_key', recordId, content.recordKey);
    const { ledgerId } = header;
    const place = { recordKey, ledgerId, chainId: header.chainId, recordId, version: block.version };
    const payload = decryptContent({ ...place, ciphertext: content.ciphertext });
    const certificate: ErasureCertificate = {
      schema: 'bjwt.erasure-certificate/1',
      origin: await this.hospitals.ledgerOrigin(grant.hospitalId),
      chainId,
      recordId,
      version: block.version,
      statement: payload?.toString('utf8') ?? '',
      opening: b64u(opening(recordKey)),
      header: b64u(block.header),
      attestation: block.attestation ?? '',
      key: { kty: 'OKP', crv: 'Ed25519', x },
    };
    return readCertificate(certificate).certificate;
  }

  /** Drops the signing key of an account that was erased from memory. */
  forgetSigner(accountId: string): void {
    this.authorKeys.forget(accountId);
  }
}
